"Try the course in an environment that its users have: a new virtual environment in a temporary folder, removed afterwards."
import argparse, configparser, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRAIN = ('from xent_course.digits import hold_out, load_digits\n'
         'from xent_course.mnist import count_errors, train_digits\n'
         'errors = count_errors(train_digits(*hold_out(load_digits()[0]), epochs=1))\n'
         'print(f"\\none epoch: {errors} errors on 2,000 held-out digits")\n'
         'assert errors < 60')


def run(*command, cwd, **env):
    "Run a command away from the repo's own environment; raises CalledProcessError if it fails."
    print('$', *(str(word).replace(str(ROOT), '.') for word in command), flush=True)
    keep = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    subprocess.run(list(map(str, command)), cwd=cwd, env=keep | env, check=True)


def copy_sources(folder):
    "The repo without what was built, installed or downloaded."
    return shutil.copytree(ROOT, folder/'repo', ignore=shutil.ignore_patterns('.venv', '.git', '_docs', '_pages', '_proc', 'build', 'dist', '*.egg-info', '__pycache__', '.*_cache', '.hypothesis'))


def build_wheel(folder):
    "The wheel, built from the sdist, built from a copy of the sources."
    subprocess.run([sys.executable, '-m', 'build', '--outdir', folder, copy_sources(folder)], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob('*.whl'))


def settings():
    "What settings.ini says."
    ini = configparser.ConfigParser(delimiters=['='])
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']


def runner():
    "What tools/run_lessons.py needs."
    return [need for need in settings()['dev_requirements'].split() if re.match('nbclient|nbformat|ipykernel|tqdm', need)]


def new_environment(python, folder, *packages):
    "A virtual environment of `python` with these packages; gives its Python."
    run(python, '-m', 'venv', folder/'venv', cwd=folder)
    run(folder/'venv'/'bin'/'python', '-m', 'pip', 'install', '--quiet', *packages, cwd=folder)
    return folder/'venv'/'bin'/'python'


def use(python, folder, notebooks):
    "What a user does: look at the numbers, train, run each lesson in an empty folder."
    run(python, '-c', 'import torch, fastai, fastcore, xent_course, sys; print(sys.version.split()[0], torch.__version__, fastai.__version__, fastcore.__version__, xent_course.__file__)', cwd=folder)
    run(python, shutil.copy(ROOT/'tests'/'test_facts.py', folder), cwd=folder)
    run(python, '-c', TRAIN, cwd=folder)
    run(python, ROOT/'tools'/'run_lessons.py', '--alone', *notebooks, cwd=folder)


def loss_lessons(): return sorted((ROOT/'nbs').glob('0[1-7]*.ipynb'))


def user(python, folder):
    "Whoever installs the package: the newest of all that it needs, and no development tools."
    use(new_environment(python, folder, build_wheel(folder), *runner()), folder, loss_lessons())


def oldest(python, folder):
    "The oldest PyTorch and fastai that settings.ini allows, with the comparisons with PyTorch."
    bounds = [need.replace('>=', '==') for need in settings()['requirements'].split() if '>=' in need]
    python = new_environment(python, folder, build_wheel(folder), *bounds, *runner(), 'pytest', 'hypothesis', 'expecttest')
    run(python, '-m', 'pytest', *(ROOT/'tests'/f'test_{name}.py' for name in ('parity', 'properties')), cwd=folder)
    use(python, folder, [*loss_lessons(), ROOT/'nbs'/'support'/'errors.ipynb'])


def nbdev3(python, folder):
    "A copy of the repo moved to nbdev 3 with nbdev's own command: its tests must pass."
    repo = copy_sources(folder)
    needs = [need for need in settings()['dev_requirements'].split() if not re.match('nbdev|fastcore|execnb|ghapi', need)]
    python = new_environment(python, folder, 'nbdev>=3', *settings()['requirements'].split(), *needs)
    run('git', 'init', '--quiet', cwd=repo)
    run(python.parent/'nbdev-migrate-config', cwd=repo)
    run(python.parent/'nbdev-test', '--do-print', '--n-workers', '0', cwd=repo)


def main():
    kinds = {f.__name__: f for f in (user, oldest, nbdev3)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog='\n'.join(f'{name:8} {f.__doc__}' for name, f in kinds.items()))
    parser.add_argument('kind', choices=kinds)
    parser.add_argument('--python', default=sys.executable, help='which Python to make it of (default: this one)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try: kinds[args.kind](args.python, Path(folder))
        except subprocess.CalledProcessError as e: sys.exit(f'{args.kind}: {e}')
    print(f'{args.kind}: all well')


if __name__ == '__main__': main()
