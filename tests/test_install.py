"What is built installs and works away from the repo, and `make lab` serves the lessons."
import json, os, shutil, signal, socket, subprocess, sys, time, urllib.request, venv, zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    "The wheel, built from the sdist, built from a copy of the sources."
    source = tmp_path_factory.mktemp('source')/'repo'
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns('.venv', '.git', 'build', 'dist', '*.egg-info', '__pycache__'))
    subprocess.run([sys.executable, '-m', 'build', '--outdir', source/'dist', source], check=True, stdout=subprocess.DEVNULL)
    return next((source/'dist').glob('*.whl'))


def test_wheel_carries_data_and_licences(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {'xent_course/data/mnist_3_vs_7.npz', 'xent_course/data/README.md', *(f'xent_course/js/{name}' for name in ('draw.js', 'draw.css', 'panel.js', 'panel.css'))} <= set(names)
    assert any(n.endswith('licenses/LICENSE') for n in names)


def test_wheel_pins_nothing_of_fastai(wheel):
    metadata = next(zipfile.ZipFile(wheel).read(n).decode() for n in zipfile.ZipFile(wheel).namelist() if n.endswith('METADATA'))
    needs = [line for line in metadata.splitlines() if line.startswith('Requires-Dist') and 'extra ==' not in line]
    assert any('fastai' in n for n in needs) and not any('fastcore' in n or '<' in n for n in needs)


def test_wheel_works_in_a_new_venv(wheel, tmp_path):
    "With the newest fastai that pip finds, the data loads, the facts hold, and a network trains."
    venv.create(tmp_path/'venv', with_pip=True)
    python = tmp_path/'venv'/'bin'/'python'
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    subprocess.run([python, '-m', 'pip', 'install', '--quiet', wheel], check=True, cwd=tmp_path, env=env)
    shutil.copy(ROOT/'tests'/'test_facts.py', tmp_path/'facts.py')
    facts = subprocess.run([python, 'facts.py'], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert facts.stdout.strip() == 'all facts hold', facts.stderr
    code = ('import xent_course, fastai; from xent_course.mnist import hold_out, load_digits, train_digits;'
            'learn = train_digits(hold_out(load_digits()), epochs=1); print(xent_course.__file__, fastai.__version__, learn.validate()[1])')
    trained = subprocess.run([python, '-c', code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert trained.returncode == 0, trained.stderr
    file, version, accuracy = trained.stdout.split()[-3:]
    assert file.startswith(str(tmp_path)) and float(accuracy) > .98, f'fastai {version}: {trained.stdout}'
    shutil.rmtree(tmp_path/'venv')


def test_make_lab_serves_the_lessons(tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = '--no-browser --IdentityProvider.token=lessons --ServerApp.port_retries=0'
    with open(tmp_path/'log', 'w') as log:
        lab = subprocess.Popen(['make', 'lab', f'PORT={port}', f'ARGS={args}'], cwd=ROOT, start_new_session=True, stdout=log, stderr=log)
        try: names = {item['name'] for item in get_json(f'http://127.0.0.1:{port}/api/contents/?token=lessons')['content']}
        except OSError as e: raise AssertionError((tmp_path/'log').read_text()) from e
        finally: os.killpg(lab.pid, signal.SIGKILL)
    assert {'index.ipynb', '01_sigmoid_diff.ipynb', '08_mnist_3_vs_7.ipynb'} <= names


def get_json(url, seconds=60):
    "What `url` answers, once there is a server; raises OSError when it does not answer in time."
    end = time.time() + seconds
    while True:
        try: return json.load(urllib.request.urlopen(url, timeout=5))
        except OSError:
            if time.time() > end: raise
            time.sleep(.5)
