"What is built installs and works away from the repo, and `make lab` serves the lessons."
import json, os, re, shutil, signal, socket, subprocess, sys, time, urllib.request, zipfile
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_wheel_carries_data_and_licences(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    scripts = {f'xent_course/support/js/{name}' for name in ('draw.js', 'draw.css', 'panel.js', 'panel.css')}
    data = {f'xent_course/{name}' for name in ('py.typed', 'data/mnist_3_vs_7.npz', 'data/README.md')}
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT/'xent_course').rglob('*.py')}
    assert data | scripts | modules <= set(names)
    assert any(n.endswith('licenses/LICENSE') for n in names)


def needs(wheel, extra=''):
    "What the wheel asks pip for, by itself or under an extra, without versions."
    names = zipfile.ZipFile(wheel).namelist()
    metadata = next(zipfile.ZipFile(wheel).read(n).decode() for n in names if n.endswith('METADATA'))
    found = re.findall(r'^Requires-Dist: ([\w-]+)([^;\n]*)(?:;.*extra == "(\w+)")?$', metadata, re.M)
    return {name: version for name, version, wanted in found if wanted == extra}


def test_wheel_needs_torch_and_numpy_and_pins_nothing(wheel):
    assert set(needs(wheel)) == {'torch', 'numpy'}
    assert needs(wheel, 'course').keys() <= needs(wheel, 'dev').keys() and 'fastai' in needs(wheel, 'course')
    assert not any('<' in version or '==' in version for version in {**needs(wheel), **needs(wheel, 'course')}.values())


def test_wheel_works(with_wheel, tmp_path):
    "Away from the repo the package is the wheel's, its data loads, and the facts hold."
    shutil.copy(ROOT/'tests'/'lessons'/'test_facts.py', tmp_path/'facts.py')
    code = 'import runpy, xent_course; print(*xent_course.__path__); runpy.run_path("facts.py", run_name="__main__")'
    facts = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=with_wheel, capture_output=True, text=True)
    place = str(Path(with_wheel['PYTHONPATH'])/'xent_course')
    assert facts.stdout.splitlines() == [place, 'all facts hold'], facts.stderr


@pytest.mark.make
def test_make_bounds_busy_waiting():
    "What `make lab` starts, kernels included, inherits it."
    quiet = {name: value for name, value in os.environ.items() if name != 'GOMP_SPINCOUNT'}
    command = ['make', '--no-print-directory', '--eval', 'spins: ; @echo $$GOMP_SPINCOUNT', 'spins']
    said = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == '1000'


@pytest.mark.make
@pytest.mark.slow
def test_make_lab_serves_the_lessons(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = '--no-browser --IdentityProvider.token=lessons --ServerApp.port_retries=0'
    with open(tmp_path/'log', 'w') as log:
        command = ['make', 'lab', f'PORT={port}', f'ARGS={args}']
        lab = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=log, stderr=log)
        try:
            found = get_json(f'http://127.0.0.1:{port}/api/contents/lessons?token=lessons')
            opened = unquote(urllib.request.urlopen(f'http://127.0.0.1:{port}/?token=lessons', timeout=60).url)
        except OSError as e: raise AssertionError((tmp_path/'log').read_text()) from e
        finally: os.killpg(lab.pid, signal.SIGKILL)
    assert {'00_whole_game.ipynb', '09_mnist_3_vs_7.ipynb'} <= {item['name'] for item in found['content']}
    assert '/lab/tree/lessons/00_whole_game.ipynb' in opened


def get_json(url, seconds=300):
    "What `url` answers, once there is a server; raises OSError when it does not answer in time."
    end = time.time() + seconds
    while True:
        try: return json.load(urllib.request.urlopen(url, timeout=60))
        except OSError:
            if time.time() > end: raise
            time.sleep(.5)
