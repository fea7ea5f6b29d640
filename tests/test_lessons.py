"Every notebook runs: in nbdev's test runner, and, alone in an empty folder with the package from its wheel, in a fresh Jupyter kernel."
import re, subprocess, sys
from pathlib import Path

import nbformat
import pytest

from run_lessons import is_stub, lessons, run_alone, spine, tagged_output

ROOT = Path(__file__).resolve().parent.parent


def test_nbdev_test():
    subprocess.run([Path(sys.executable).parent/'nbdev_test', '--do_print', '--n_workers', '0'], cwd=ROOT, check=True)


def check_outputs(cells, path):
    "Code cells that were just run gave outputs of the same kinds as those that are committed; exercises are committed unrun."
    kinds = lambda cells: [[o['output_type'] for o in c['outputs'] if o['output_type'] != 'stream'] for c in cells if not is_stub(c['source'])]
    assert kinds(cells) == kinds(code_cells(nbformat.read(path, as_version=4))), 'the outputs in the repo are not those of its cells: make run ARGS=--save'


def code_cells(nb): return [cell for cell in nb.cells if cell.cell_type == 'code']


@pytest.mark.slow
@pytest.mark.parametrize('path', [p for p in lessons() if p not in spine()], ids=lambda p: p.stem)
def test_runs_alone(path, with_wheel):
    "All but the spine, which test_jupyterlab runs."
    run = run_alone(path, env=with_wheel)
    assert not run.problem, run.problem
    check_outputs(code_cells(run.notebook), path)


ASSERTS = re.compile(r'\bassert|test_fail')


@pytest.mark.parametrize('path', spine(), ids=lambda p: p.stem)
def test_the_idea_is_in_the_flow(path):
    "Of the code that a reader sees, two thirds or more are the idea (three fifths where a network is trained); nothing visible only asserts, and no line is too long for a page."
    visible = [cell for cell in code_cells(nbformat.read(path, as_version=4)) if not cell.metadata.get('jupyter', {}).get('source_hidden')]
    lines = lambda cells: [line for cell in cells for line in cell.source.splitlines() if line.strip() and not line.startswith('#|')]
    ideas = [cell for cell in visible if '#| export' not in cell.source]
    assert len(visible) <= 32 and len(lines(ideas)) >= (2 / 3 if path in spine()[:7] else .6) * len(lines(visible))
    assert not [cell.source for cell in visible if ASSERTS.search(cell.source)]
    assert max(map(len, lines(visible))) <= 100


def test_last_lesson_says_its_accuracy():
    nb = nbformat.read(ROOT/'nbs'/'09_mnist_3_vs_7.ipynb', as_version=4)
    assert tagged_output(nb, 'accuracy').startswith('accuracy 0.99')


def test_failing_lesson_is_named(tmp_path):
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in ('1', 'assert 1 == 2, "no"')])
    nbformat.write(nb, tmp_path/'broken.ipynb')
    done = subprocess.run([sys.executable, ROOT/'tools'/'run_lessons.py', tmp_path/'broken.ipynb'], capture_output=True, text=True)
    assert done.returncode == 1 and 'cell 2 of 2 failed: AssertionError: no' in done.stdout


def test_pictures_have_alternatives():
    pictures = [(path.stem, o.metadata.get('image/png', {}).get('alt', '')) for path in lessons()
                for c in nbformat.read(path, as_version=4).cells for o in c.get('outputs', []) if 'image/png' in o.get('data', {})]
    assert len(pictures) > 10 and all(alt for _, alt in pictures), [name for name, alt in pictures if not alt]
