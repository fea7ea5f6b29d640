"The course as a user installs it, which the public workflow tries with each lesson, beside other environments."
import re, subprocess, sys

import pytest

from tools.environments import ROOT


@pytest.mark.slow
@pytest.mark.study
def test_user():
    "Torch and numpy alone: the loss works. The newest fastai that pip finds: a network trains, a lesson runs alone."
    command = [sys.executable, '-m', 'tools.environments', 'user', '--lessons', '1']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and 'user: all well' in done.stdout, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.findall(r'^(\w+) .* ok$', done.stdout, flags=re.M) == ['01_sigmoid_diff']
