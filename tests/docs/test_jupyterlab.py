"The spine as a reader meets it: in a real JupyterLab and browser, alone in its folder, the package from its wheel."
import json, re, socket, subprocess, time, urllib.request

import nbformat
import pytest
import torch

from tests.docs.panels import descend, drag, logit, point, read_panel, right_loss, swipe
from tests.docs.test_notebooks import check_outputs, read, script, without
from tools.run_lessons import room

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SPINE = room('lessons')
IDLE = 60  # seconds in which a kernel does nothing: then it has nothing left to do
SETTINGS = {'notebook-extension/tracker': {'windowingMode': 'none'}, 'docmanager-extension/plugin': {'autosave': False},
            'apputils-extension/notification': {'fetchNews': 'false'}}
# What the notebook in front holds now, and whether its kernel is at work.
STATE = '''() => {
    const { content, sessionContext } = window.jupyterapp.shell.currentWidget;
    const cells = Array.from({ length: content.model.cells.length }, (_, i) => content.model.cells.get(i));
    const state = (cell, index) => cell.type !== 'code' ? null :
        { index, source: cell.sharedModel.source, number: cell.executionCount, outputs: cell.outputs.toJSON() };
    return { status: sessionContext.session?.kernel?.status, cells: cells.map(state).filter(Boolean) };
}'''

# nbclassic draws each widget again, as an empty place, once it has asked its kernel for those from before.
MANAGER = 'window.Jupyter?.notebook?.kernel?.widget_manager'


@pytest.fixture(scope='module')
def lab(open_tab, with_wheel, tmp_path_factory):
    "JupyterLab on a free port, over copies of the lessons without their outputs; gives a function that opens one."
    place = tmp_path_factory.mktemp('lab')
    for name, values in SETTINGS.items():
        file = place/'settings'/'@jupyterlab'/f'{name}.jupyterlab-settings'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free: free.bind(('127.0.0.1', 0)); port = free.getsockname()[1]
    (place/'nbs').mkdir()
    command = [script('jupyter'), 'lab', '--no-browser', '--allow-root', '--LabApp.expose_app_in_browser=True',
               '--JupyterNotebookApp.expose_app_in_browser=True', f'--port={port}', '--ServerApp.port_retries=0',
               '--IdentityProvider.token=reader', f'--ServerApp.root_dir={place}/nbs',
               f'--LabApp.user_settings_dir={place}/settings', f'--LabApp.workspaces_dir={place}/workspaces']
    log = open(place/'log', 'w')
    server = subprocess.Popen(command, stdout=log, stderr=log, env=with_wheel)
    try:
        for _ in range(600):
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api/status?token=reader').close(); break
            except OSError: time.sleep(.5)
        else: pytest.fail((place/'log').read_text())

        def open_notebook(notebook, name, app='lab/workspaces/{name}/tree'):
            for cell in notebook.cells:
                if cell.cell_type == 'code': cell.outputs, cell.execution_count = [], None
            nbformat.write(notebook, place/'nbs'/f'{name}.ipynb')
            page = open_tab(width=1400, height=1000)
            page.add_locator_handler(page.locator('.jp-Dialog', has_text='Select Kernel'), start_kernel,
                                     no_wait_after=True)
            page.goto(f'http://127.0.0.1:{port}/{app.format(name=name)}/{name}.ipynb?token=reader')
            if 'nbclassic' in app:
                page.wait_for_function(f'() => {MANAGER}')
                page.evaluate(f'() => {MANAGER}._loadFromKernel().then(() => null)')  # behind its own question
            else:
                kernel = 'window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel'
                page.wait_for_function(f"() => {kernel}?.status === 'idle'")
            return page

        yield open_notebook
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def until(page, seconds, done):
    "Wait until it is `done`, but no longer than that."
    for _ in range(5 * seconds):
        if done(): return
        page.wait_for_timeout(200)


def start_kernel(question):
    "Who runs cells before a kernel has started, as on a busy machine, is asked which one to start."
    question.page.evaluate("() => document.querySelector('.jp-Dialog .jp-mod-accept')?.click()")  # if it is still there


def errors(state):
    outputs = (output for cell in state['cells'] for output in cell['outputs'])
    return [f"{o['ename']}: {o['evalue']}" for o in outputs if o['output_type'] == 'error']


def settled(page, done):
    "The notebook's state once its kernel rests and it is `done`."
    worked = time.time()
    while time.time() < worked + IDLE:
        state = page.evaluate(STATE)
        if state['status'] != 'idle': worked = time.time()
        elif done(state): return state
        page.wait_for_timeout(200)
    waiting = [cell['source'][:60] for cell in state['cells'] if not cell['number']]
    raise AssertionError(f'the kernel rests, and these cells were not run: {waiting[:3]}')


def run_all(page):
    page.get_by_role('menuitem', name='Run', exact=True).click()
    page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
    return settled(page, lambda state: errors(state) or all(cell['number'] for cell in state['cells']))


def close(page):
    page.evaluate('() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()')
    page.close()


def rerun(page, contains, source=None):
    "Run the cell that contains a text, after typing something else into it if given; gives what it shows."
    cells = page.evaluate(STATE)['cells']
    asked = next(cell for cell in cells if contains in cell['source'] and 'strict=True' not in cell['source'])
    index, before = asked['index'], asked['number']
    cell = page.locator('.jp-Notebook .jp-Cell').nth(index)
    cell.locator('.cm-content').click()
    if source:
        page.keyboard.press('Control+A')
        page.keyboard.insert_text(source)
    page.keyboard.press('Control+Enter')
    now = lambda state: next(c for c in state['cells'] if c['index'] == index)
    state = settled(page, lambda state: now(state)['number'] not in (None, before) and now(state)['outputs'])
    return ''.join(now(state)['outputs'][0]['data']['text/plain'])


def move_panel(page):
    "Keys, mouse, fingers, steps, target, temperature, shift and classes do what they should, and Python reads it."
    panel = page.locator('.logits-panel').first
    losses = [right_loss(panel)]
    for _ in range(7): logit(panel, 3).press('ArrowRight')
    losses.append(right_loss(panel))
    drag(logit(panel, 7), .45, .8)
    losses.append(right_loss(panel))
    swipe(page, point(logit(panel, 3), .6), point(logit(panel, 3), .2))
    losses.append(right_loss(panel))
    losses += [descend(panel, '1 step', 1), descend(panel, '10 steps', 10)]
    panel.get_by_label('the target is a 7').check()
    losses.append(right_loss(panel))
    panel.get_by_role('button', name='+ class').click()
    losses.append(right_loss(panel))
    assert len(read_panel(panel)[0][0]) == 4 and len(set(losses)) == len(losses)
    before = read_panel(panel)[0]
    panel.get_by_role('slider', name='shift all').press('End')
    assert '10.0 was added to every logit, and it changes nothing' in panel.locator('.logits-panel-note').inner_text()
    torch.testing.assert_close(read_panel(panel)[0], before)
    panel.get_by_role('slider', name='temperature').press('End')
    right_loss(panel, temperature=5.)
    in_python = rerun(page, 'panel.row()')
    printed = [f'{float(v):.4f}'.lstrip('-') for v in re.findall(r'-?\d\.\d{4}', in_python)]
    assert printed == [f'{v:.4f}'.lstrip('-') for v in read_panel(panel)[0][2]]
    panel.get_by_role('button', name='reset').click()
    assert right_loss(panel) == losses[0]


def answer_exercise(page):
    "A wrong answer gets its hint, a right one its tick."
    assert rerun(page, "check('2.1'").startswith('✗ Not answered yet')
    answer = ('def rows_softmax(x): return torch.exp(x) / torch.exp(x).sum(dim={}, keepdim=True)\n'
              "check('2.1', rows_softmax)")
    assert rerun(page, "check('2.1'", answer.format(0)).startswith('✗ Here each column adds up to 1')
    assert rerun(page, "check('2.1'", answer.format(1)).startswith('✓ Right')
    options = page.locator('details', has_text='A third').last
    assert not options.get_by_text('Three equal exponentials').is_visible()
    options.locator('summary').click()
    assert options.get_by_text('✓ Three equal exponentials').is_visible()


DEEDS = {'02_softmax': answer_exercise, '07_gradient': move_panel}  # what is done besides running these lessons
IN_CI = '00_whole_game', *DEEDS, '09_mnist_3_vs_7'  # the others are a study


def test_a_failing_cell_is_seen(lab):
    cells = ['1', 'assert 1 == 2, "no"', '3']
    cells = [nbformat.v4.new_code_cell(source) for source in cells]
    broken = nbformat.v4.new_notebook(cells=cells, metadata=read(SPINE[0]).metadata)
    page = lab(broken, 'broken')
    state = run_all(page)
    assert errors(state) == ['AssertionError: no']
    assert [bool(cell['number']) for cell in state['cells'][:2]] == [True, True]  # a third may have been on its way
    close(page)


@pytest.mark.parametrize('path', [pytest.param(p, marks=[pytest.mark.study] * (p.stem not in IN_CI)) for p in SPINE],
                         ids=lambda path: path.stem)
def test_lesson(lab, path):
    "Run All, less the studies."
    page = lab(without('study', read(path)), path.stem)
    state = run_all(page)
    assert not errors(state) and len(state['cells']) > 10
    check_outputs(state['cells'], without('study', read(path)))
    if path.stem in DEEDS: DEEDS[path.stem](page)
    close(page)


PANEL_AND_FIGURE = """from xent_course.support.panel import show_panel
import matplotlib.pyplot as plt
panel = show_panel([2., -1., .5], target=2)"""


@pytest.mark.parametrize('app', ['lab/tree', 'notebooks', 'nbclassic/notebooks'])
def test_picture_gives_way_to_the_panel(lab, app):
    "In JupyterLab, Notebook 7 and nbclassic: the panel is seen, its picture is not, and the next cell's figure is."
    cells = [nbformat.v4.new_code_cell(source) for source in (PANEL_AND_FIGURE, 'plt.plot([1, 2]);')]
    page = lab(nbformat.v4.new_notebook(cells=cells, metadata=read(SPINE[0]).metadata), app.replace('/', '-'), app)
    rows = page.locator('.logits-panel tbody tr')
    while rows.count() != 3:  # nothing says when a page is ready to run a widget
        if app.startswith('nbclassic'): page.evaluate('() => { Jupyter.notebook.execute_all_cells() }')
        else:
            page.get_by_role('menuitem', name='Run', exact=True).click()
            page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
        until(page, 15, lambda: rows.count() == 3)  # a second run beside the first may leave the outputs of both
    pictures = page.locator('img[src^="data:image/png"]')
    pictures.nth(1).wait_for()
    def seen(): return [picture.is_visible() for picture in pictures.all()]
    until(page, 60, lambda: seen() == [False, True])  # the cells may be run once more at this moment
    assert seen() == [False, True]
    assert page.locator('.logits-panel').bounding_box()['width'] > 600
    page.close()
