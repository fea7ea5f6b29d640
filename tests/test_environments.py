"The course in an environment that a user has. The others are jobs of the public workflow: each downloads another PyTorch."
import re, subprocess, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_user():
    "The newest fastai that pip finds, no development tools: the facts hold, a network trains, each lesson runs in an empty folder."
    done = subprocess.run([sys.executable, ROOT/'tools'/'environments.py', 'user'], capture_output=True, text=True)
    assert done.returncode == 0 and 'user: all well' in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(re.findall(r'^0[1-7]_\w+ .* ok$', done.stdout, flags=re.M)) == 7
