"What is generated from the notebooks is up to date: modules, README, cleaned notebooks."
import shutil, subprocess, sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ['nbs', 'xent_course', 'index_files', 'settings.ini', 'pyproject.toml', 'README.md', 'tools']
GENERATE = {'nbdev_export': 'xent_course', 'nbdev_clean': 'nbs', 'write_readme': 'README.md index_files'}


@pytest.fixture
def copy(tmp_path):
    "A copy of all that is needed to generate the rest."
    for name in SOURCES:
        if (ROOT/name).is_dir(): shutil.copytree(ROOT/name, tmp_path/name, ignore=shutil.ignore_patterns('__pycache__', '.*', '_proc', 'nbdev.yml'))
        else: shutil.copy(ROOT/name, tmp_path/name)
    return tmp_path


def contents(path):
    "Each file at or below `path`, by its name."
    found = [path] if path.is_file() else (p for p in path.rglob('*') if p.is_file())
    return {p.relative_to(path.parent).as_posix(): p.read_bytes() for p in found
            if not any(part.startswith('.') or part in ('__pycache__', 'nbdev.yml') for part in p.relative_to(path.parent).parts)}


@pytest.mark.parametrize('command', GENERATE)
def test_generated_is_up_to_date(copy, command):
    program = [sys.executable, copy/'tools'/'write_readme.py'] if command == 'write_readme' else [Path(sys.executable).parent/command]
    subprocess.run(program, cwd=copy, check=True)
    for name in GENERATE[command].split():
        ours, fresh = contents(ROOT/name), contents(copy/name)
        differ = sorted(f for f in ours.keys() | fresh.keys() if ours.get(f) != fresh.get(f))
        assert not differ, f'{command} gives other files than these: run `make sync` and commit them: {differ}'


def test_no_trace_of_a_machine():
    "No committed text names a folder of somebody's machine."
    tracked = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split('\n')
    texts = {f: (ROOT/f).read_text(encoding='utf-8') for f in tracked if f and not f.endswith(('.npz', '.png')) and f != 'tests/test_repo.py'}
    signs = ['/home/', '/Users/', '/root/', 'site-packages', str(ROOT)]
    found = [f'{name}: {sign}' for name, text in texts.items() for sign in signs if sign in text]
    assert texts and not found, found
