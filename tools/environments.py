"Try the course in an environment that its users have: a new virtual environment in a temporary folder, removed after."
import argparse, configparser, json, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = 'Scripts' if os.name == 'nt' else 'bin'
BUILT = ('.venv', '.git', '_docs', 'jupyter_execute', '_proc', 'build', 'dist', '*.egg-info', '__pycache__', '.*_cache',
         '.hypothesis')
TRAIN = '''
from xent_course.lessons.mnist_3_vs_7 import count_errors, train_digits
from xent_course.support.digits import hold_out, load_digits
errors = count_errors(train_digits(*hold_out(load_digits()[0]), epochs=1))
print(f"\\none epoch: {errors} errors on 2,000 held-out digits")
assert errors < 60'''
VERSIONS = '''
import sys, torch, fastai, fastcore, xent_course
print(sys.version.split()[0], torch.__version__, fastai.__version__, fastcore.__version__, xent_course.__file__)'''


def run(*command, cwd, **env):
    "Run a command away from the repo's own environment; raises CalledProcessError if it fails."
    print('$', *(str(word).replace(str(ROOT), '.') for word in command), flush=True)
    keep = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    subprocess.run(list(map(str, command)), cwd=cwd, env=keep | env, check=True)


def copy_sources(folder):
    "The repo without what was built, installed or downloaded."
    return shutil.copytree(ROOT, folder/'repo', ignore=shutil.ignore_patterns(*BUILT))


def build_wheel(folder, *options):
    "The wheel, built from the sdist, built from a copy of the sources."
    command = [sys.executable, '-m', 'build', *options, '--outdir', folder, copy_sources(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob('*.whl'))


def settings():
    "What settings.ini says."
    ini = configparser.ConfigParser(delimiters=['='])
    ini.read(ROOT/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']


def needs(*kinds):
    "What settings.ini asks for: of 'requirements', 'course_requirements', 'dev_requirements'."
    return [need for kind in kinds for need in settings()[kind].split()]


def runner():
    "What tools/run_lessons.py needs."
    return [need for need in needs('dev_requirements') if re.match('nbclient|nbformat|ipykernel|tqdm', need)]


def install(python, folder, *packages):
    run(python, '-m', 'pip', 'install', '--quiet', *packages, cwd=folder)


def new_environment(python, folder, *packages):
    "A virtual environment of `python` with these packages; gives its Python."
    run(python, '-m', 'venv', folder/'venv', cwd=folder)
    made = folder/'venv'/SCRIPTS/'python'
    install(made, folder, *packages)
    return made


def tests(folder):
    "The tests, away from the repo, so that the package which they import is the installed one."
    for name in 'tests', 'tools': shutil.copytree(ROOT/name, folder/name, ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copy(ROOT/'pyproject.toml', folder)
    return folder/'tests'


def use(python, folder, notebooks):
    "What a user does: look at the numbers, train, run each lesson in an empty folder."
    run(python, '-c', VERSIONS, cwd=folder)
    run(python, shutil.copy(ROOT/'tests'/'lessons'/'test_facts.py', folder), cwd=folder)
    run(python, '-c', TRAIN, cwd=folder)
    run(python, ROOT/'tools'/'run_lessons.py', '--alone', *notebooks, cwd=folder)


def user(python, folder, lessons):
    "Whoever installs the loss, which brings torch and numpy alone; and then the newest of all that the course needs."
    wheel = build_wheel(folder)
    python = new_environment(python, folder, wheel)
    run(python, shutil.copy(ROOT/'tests'/'install'/'alone.py', folder), cwd=folder)
    install(python, folder, f'{wheel}[course]', *runner())
    use(python, folder, lessons)


def oldest(python, folder, lessons):
    "The oldest PyTorch and fastai that settings.ini allows, with the comparisons with PyTorch."
    bounds = [need.replace('>=', '==') for need in needs('requirements', 'course_requirements') if '>=' in need]
    wheel = f'{build_wheel(folder)}[course]'
    python = new_environment(python, folder, wheel, *bounds, *runner(), 'pytest', 'hypothesis', 'expecttest')
    checks = tests(folder)/'lessons'
    run(python, '-m', 'pytest', checks/'test_parity.py', checks/'test_properties.py', cwd=folder)
    use(python, folder, [*lessons, ROOT/'nbs'/'support'/'checks.ipynb'])


def complete(pyproject, dev):
    "What nbdev's move leaves out of pyproject.toml: the rooms, their data, the course's own needs."
    extras = {'course': needs('course_requirements'), 'dev': [*needs('course_requirements'), *dev]}
    text = pyproject.read_text(encoding='utf-8').replace('include = ["xent_course"]', 'include = ["xent_course*"]')
    lines = '\n'.join(f'{name} = {json.dumps(wanted)}' for name, wanted in extras.items())
    text = re.sub(r'(?m)^dev = .*$', lambda _: lines, text)
    text += '\n[tool.setuptools.package-data]\nxent_course = ["py.typed", "data/*"]\n"xent_course.support" = ["js/*"]\n'
    pyproject.write_text(text, encoding='utf-8')


def nbdev3(python, folder, lessons):
    "A copy of the repo moved to nbdev 3 with nbdev's own command: its tests must pass, its wheel hold every room."
    repo = copy_sources(folder)
    pinned = 'nbdev|fastcore|execnb|ghapi'
    dev = ['nbdev>=3', *(need for need in needs('dev_requirements') if not re.match(pinned, need))]
    python = new_environment(python, folder, *dev)
    run('git', 'init', '--quiet', cwd=repo)
    run(python.parent/'nbdev-migrate-config', cwd=repo)
    complete(repo/'pyproject.toml', dev)
    for old in 'settings.ini', 'setup.py': (repo/old).unlink()
    run(python, '-m', 'build', '--wheel', '--outdir', folder/'wheel', repo, cwd=folder)
    install(python, folder, f"{next((folder/'wheel').glob('*.whl'))}[course,dev]")
    run(python, shutil.copy(ROOT/'tests'/'install'/'alone.py', folder), '--with-course', cwd=folder)
    run(python, '-m', 'pip', 'uninstall', '--quiet', '--yes', 'xent_course', cwd=folder)
    run(python.parent/'nbdev-test', '--do-print', '--n-workers', '0', cwd=repo, PYTHONPATH=str(repo))


def main():
    kinds = {f.__name__: f for f in (user, oldest, nbdev3)}
    epilog = '\n'.join(f'{name:8} {f.__doc__}' for name, f in kinds.items())
    parser = argparse.ArgumentParser(description=__doc__, epilog=epilog,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('kind', choices=kinds)
    parser.add_argument('--python', default=sys.executable, help='which Python to make it of (default: this one)')
    parser.add_argument('--lessons', type=int, default=7, help='how many lessons to try, from the first (default 7)')
    args = parser.parse_args()
    lessons = sorted((ROOT/'nbs'/'lessons').glob('0[1-7]*.ipynb'))[:args.lessons]
    with tempfile.TemporaryDirectory() as folder:
        try: kinds[args.kind](args.python, Path(folder), lessons)
        except subprocess.CalledProcessError as e: sys.exit(f'{args.kind}: {e}')
    print(f'{args.kind}: all well')


if __name__ == '__main__': main()
