"Installing the loss installs torch: what else a part needs is declared, and said in one line where it is missing."
import ast, os, re, subprocess, sys
from importlib.metadata import packages_distributions
from pathlib import Path

import nbformat
import pytest

from tools.environments import ROOT, needs
from tools.run_lessons import lessons

ALONE = Path(__file__).with_name('alone.py')
OURS = {'xent_course', 'tests', 'tools', 'benchmarks', 'alone', '__future__'}
OWNERS = packages_distributions()


def plain(name): return re.sub('[-_.]+', '-', re.match(r'[\w.-]+', name)[0].lower())


def declared(*kinds): return {plain(need) for need in needs(*kinds)}


LOSS, COURSE = declared('requirements'), declared('requirements', 'course_requirements')
EVERYTHING = COURSE | declared('dev_requirements')


def imported(code):
    "The top-level names of all that some code imports, relative imports aside."
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import): yield from (alias.name.split('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level: yield node.module.split('.')[0]


def undeclared(code, allowed):
    "What code imports and neither Python nor an allowed distribution has."
    names = set(imported(code)) - OURS - set(sys.stdlib_module_names) - {'google'}  # Colab's own
    return {name for name in names if not any(plain(owner) in allowed for owner in OWNERS.get(name, [name]))}


def code_of(path):
    "All Python in a file, or in a notebook."
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.py': return text
    cells = (cell.source for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == 'code')
    return re.sub(r'(?m)^( *)%', r'\1pass  # %', '\n'.join(cells))


def python_files(*folders): return [path for folder in folders for path in sorted((ROOT/folder).rglob('*.py'))]


@pytest.mark.parametrize('path', lessons() + python_files('xent_course'), ids=lambda path: path.stem)
def test_the_course_declares_what_it_imports(path):
    assert not undeclared(code_of(path), COURSE)


DEVELOPMENT = python_files('tests', 'tools', 'benchmarks') + [ROOT/'setup.py']


@pytest.mark.parametrize('path', DEVELOPMENT, ids=lambda path: path.stem)
def test_development_declares_what_it_imports(path): assert not undeclared(code_of(path), EVERYTHING)


def test_would_notice(): assert undeclared('import torch, os, seaborn\nfrom . import x', LOSS) == {'seaborn'}


def run_alone(code, *options):
    "A program where torch and numpy can be imported, and nothing else of the course."
    command = [sys.executable, '-W', 'ignore', '-c', 'import sys, alone; alone.block()\n' + code, *options]
    env = os.environ | {'PYTHONPATH': str(ALONE.parent)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)


def test_the_loss_needs_torch_alone():
    done = subprocess.run([sys.executable, '-W', 'ignore', ALONE, '--block'], capture_output=True, text=True)
    assert done.returncode == 0 and '26 modules work' in done.stdout, done.stderr




def test_each_notebook_says_what_is_missing():
    "Whoever opens a notebook with the loss alone is told what to install, before anything else goes wrong."
    code = """
import ast, json, pathlib
for path in sys.argv[1:]:
    cells = json.loads(pathlib.Path(path).read_text(encoding='utf-8'))['cells']
    cells = [''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code']
    said, space = 'nothing', {}
    for cell in cells:
        if '%' in cell: continue
        for node in ast.parse(cell).body:
            text = ast.unparse(node)
            if not isinstance(node, (ast.Import, ast.ImportFrom)) and not text.startswith('course_needs('): continue
            try: exec(text, space)
            except ImportError as e: said = str(e); break
        if said != 'nothing': break
    print(pathlib.Path(path).name, said, sep=': ')
"""
    done = run_alone(code, *map(str, lessons()))
    lines = done.stdout.splitlines()
    told = ': nothing', 'pip install "xent_course[course] @ git+'
    silent = [line for line in lines if not any(words in line for words in told)]
    assert len(lines) == len(lessons()) and not silent, silent or done.stderr
