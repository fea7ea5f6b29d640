"What is built installs and works away from the repo, and `make lab` serves the lessons."
import json, os, shutil, signal, socket, subprocess, sys, time, urllib.request, zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_wheel_carries_data_and_licences(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {'xent_course/data/mnist_3_vs_7.npz', 'xent_course/data/README.md', *(f'xent_course/js/{name}' for name in ('draw.js', 'draw.css', 'panel.js', 'panel.css'))} <= set(names)
    assert any(n.endswith('licenses/LICENSE') for n in names)


def test_wheel_pins_nothing_of_fastai(wheel):
    metadata = next(zipfile.ZipFile(wheel).read(n).decode() for n in zipfile.ZipFile(wheel).namelist() if n.endswith('METADATA'))
    needs = [line for line in metadata.splitlines() if line.startswith('Requires-Dist') and 'extra ==' not in line]
    assert any('fastai' in n for n in needs) and not any('fastcore' in n or '<' in n for n in needs)


def test_wheel_works(with_wheel, tmp_path):
    "Away from the repo the package is the wheel's, its data loads, and the facts hold."
    shutil.copy(ROOT/'tests'/'test_facts.py', tmp_path/'facts.py')
    facts = subprocess.run([sys.executable, 'facts.py'], cwd=tmp_path, env=with_wheel, capture_output=True, text=True)
    assert facts.stdout.strip() == 'all facts hold', facts.stderr
    where = subprocess.run([sys.executable, '-c', 'import xent_course; print(xent_course.__file__)'], cwd=tmp_path, env=with_wheel, capture_output=True, text=True)
    assert where.stdout.startswith(with_wheel['PYTHONPATH'])


def test_make_bounds_busy_waiting():
    "What `make lab` starts, kernels included, inherits it."
    quiet = {name: value for name, value in os.environ.items() if name != 'GOMP_SPINCOUNT'}
    said = subprocess.run(['make', '--no-print-directory', '--eval', 'spins: ; @echo $$GOMP_SPINCOUNT', 'spins'], cwd=ROOT, env=quiet, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == '1000'


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
    assert {'index.ipynb', '01_sigmoid_diff.ipynb', '09_mnist_3_vs_7.ipynb'} <= names


def get_json(url, seconds=300):
    "What `url` answers, once there is a server; raises OSError when it does not answer in time."
    end = time.time() + seconds
    while True:
        try: return json.load(urllib.request.urlopen(url, timeout=60))
        except OSError:
            if time.time() > end: raise
            time.sleep(.5)
