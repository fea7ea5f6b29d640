"Every notebook runs: in nbdev's test runner, and alone in an empty folder in a fresh kernel, with the package's wheel."
import html, os, re, subprocess, sys, sysconfig
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter

from tools.run_lessons import ROOT, cut_down, is_stub, lessons, room, run_alone, tagged_output, without
from xent_course.support.teaching import reading_minutes

EXERCISES = ROOT/'nbs'/'support'/'exercises'  # they are imported and tried elsewhere, and show nothing


def script(name): return Path(sysconfig.get_path('scripts'))/name


def test_nbdev_test():
    "One notebook after the other: other tests keep the other cores busy."
    env = os.environ | {'OMP_NUM_THREADS': os.environ.get('OMP_NUM_THREADS', '1')}
    subprocess.run([script('nbdev_test'), '--do_print', '--n_workers', '0'], cwd=ROOT, env=env, check=True)


def read(path): return nbformat.read(path, as_version=4)


def code_cells(nb): return [cell for cell in nb.cells if cell.cell_type == 'code']


def check_outputs(cells, notebook):
    "Code cells that were just run gave outputs of the kinds that are committed; exercises are committed unrun."
    def kinds(cells):
        run = [cell for cell in cells if not is_stub(cell['source'])]
        return [[o['output_type'] for o in cell['outputs'] if o['output_type'] != 'stream'] for cell in run]
    stale = 'the outputs in the repo are not those of its cells: make run ARGS=--save'
    assert kinds(cells) == kinds(code_cells(notebook)), stale


def marked(flag): return [path for path in lessons() if any(f'#| {flag}\n' in c.source for c in code_cells(read(path)))]


OTHERS = [path for path in lessons() if path not in room('lessons') and EXERCISES not in path.parents]
SLOW, STUDIES = marked('slow'), marked('study')


@pytest.mark.slow
@pytest.mark.parametrize('path', [pytest.param(p, marks=[pytest.mark.study] * (p not in SLOW)) for p in OTHERS],
                         ids=lambda path: path.stem)
def test_runs_alone(path, with_wheel):
    "All but the spine, which test_jupyterlab runs. Those without slow cells have been through nbdev_test already."
    run = run_alone(without('study', read(path)), env=with_wheel)
    assert not run.problem, run.problem
    check_outputs(code_cells(run.notebook), without('study', read(path)))


@pytest.mark.study
@pytest.mark.slow
@pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
def test_study(path, with_wheel):
    "Whole, with each of its trainings."
    run = run_alone(read(path), env=with_wheel)
    assert not run.problem, run.problem
    check_outputs(code_cells(run.notebook), read(path))


@pytest.mark.slow
@pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
def test_study_on_a_small_part(path, with_wheel):
    "On some hundred digits, so that nothing can be said of what they show; but everything runs."
    run = run_alone(cut_down(read(path)), env=with_wheel)
    assert not run.problem, run.problem


ASSERTS = re.compile(r'\bassert|test_fail')


@pytest.mark.parametrize('path', room('lessons'), ids=lambda path: path.stem)
def test_the_idea_is_in_the_flow(path):
    """Of the code that a reader sees, two thirds or more are the idea (three fifths where a network is trained);
    nothing visible only asserts, and no line is too long for a page."""
    visible = [cell for cell in code_cells(read(path)) if not cell.metadata.get('jupyter', {}).get('source_hidden')]
    def lines(cells):
        found = (line for cell in cells for line in cell.source.splitlines())
        return [line for line in found if line.strip() and not line.startswith('#|')]
    ideas = [cell for cell in visible if '#| export' not in cell.source]
    least = 2 / 3 if path in room('lessons')[:8] else .6
    assert len(visible) <= 32 and len(lines(ideas)) >= least * len(lines(visible))
    assert not [cell.source for cell in visible if ASSERTS.search(cell.source)]
    assert max(map(len, lines(visible))) <= 100


def minutes(path):
    "How long it takes to read a lesson, exercises aside: words, visible cells, and panels to play with."
    return sum(reading_minutes(path).values())


def test_reading_takes_as_long_as_readme_says():
    "Each lesson's minutes, at most 20 in the spine, and three hours for all of it."
    readme = (ROOT/'README.md').read_text(encoding='utf-8')
    said = re.findall(r'\(nbs/((?:lessons|further|doctor)/\S+\.ipynb)\) \|[^|]+\| (\d+) \|', readme)
    wrong = [(name, minutes(ROOT/'nbs'/name)) for name, n in said if abs(minutes(ROOT/'nbs'/name) - int(n)) > 1]
    assert len(said) > 25 and not wrong
    spine = [minutes(path) for path in room('lessons')]
    assert max(spine) < 20.5 and 165 < sum(spine) < 185


def test_last_lesson_says_its_accuracy():
    assert tagged_output(read(ROOT/'nbs'/'lessons'/'09_mnist_3_vs_7.ipynb'), 'accuracy').startswith('accuracy 0.99')


def test_failing_lesson_is_named(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in ('1', 'assert 1 == 2, "no"')]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path/'broken.ipynb')
    command = [sys.executable, '-m', 'tools.run_lessons', tmp_path/'broken.ipynb']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and 'cell 2 of 2 failed: AssertionError: no' in done.stdout


def test_pictures_have_alternatives():
    outputs = [(path.stem, o) for path in lessons() for cell in code_cells(read(path)) for o in cell.outputs]
    pictures = [(name, o.metadata.get('image/png', {})) for name, o in outputs if 'image/png' in o.get('data', {})]
    assert len(pictures) > 10 and not [name for name, picture in pictures if not picture.get('alt')]


def test_nbconvert_keeps_the_alternatives():
    "A lesson that somebody turns into HTML describes its pictures, in nbconvert's template that asks for it."
    path = ROOT/'nbs'/'lessons'/'02_softmax.ipynb'
    page, _ = HTMLExporter(template_name='classic').from_filename(path)
    outputs = [o for cell in code_cells(read(path)) for o in cell.outputs if 'image/png' in o.get('data', {})]
    described = [html.unescape(alt) for alt in re.findall(r'<img[^>]*? alt="([^"]*)"', page)]
    assert len(outputs) > 1 and described == [o.metadata['image/png']['alt'] for o in outputs]
