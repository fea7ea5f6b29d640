"The published site, as `make docs` wrote it, in a real browser: it opens from disk and asks nobody for anything."
import inspect, re, subprocess, sys

import nbformat
import pytest
import torch
import torch.nn.functional as F
from axe_playwright_python.sync_playwright import Axe
from fastcore.docments import docments

import xent_course
from tests.conftest import SITE
from tests.docs.panels import descend, drag, logit, point, read_panel, right_loss, swipe
from tests.docs.test_docments import public
from tests.docs.test_notebooks import code_cells, read
from tools.environments import settings
from tools.run_lessons import ROOT, lessons

pytestmark = [pytest.mark.site, pytest.mark.browser,
              pytest.mark.skipif(sys.version_info < (3, 11), reason='the site is built with Python 3.11 or newer')]
PAGES = {path.relative_to(ROOT/'nbs').with_suffix('').as_posix(): path for path in lessons()}
QUICK = 'index', 'lessons/07_gradient'
every_page = pytest.mark.parametrize(
    'name', [pytest.param(page, marks=[pytest.mark.slow] * (page not in QUICK)) for page in PAGES])


def broken_formulas(page, nb):
    "Formulas that MathJax could not read, with the number of their cell."
    unread = page.locator('.math:not(:has(mjx-container))').all_text_contents()
    broken = [text.strip()[2:-2].strip() for text in unread]  # without \( and \)
    if page.locator('mjx-container').count(): broken += page.evaluate("""() => [...MathJax.startup.document.math]
        .filter(formula => formula.typesetRoot.querySelector('mjx-merror, [style*="color: red"]'))
        .map(formula => formula.math.trim())""")
    return [f'cell {k}: {tex}' for tex in broken for k, cell in enumerate(nb.cells, 1) if tex in cell.source]


def check_pictures(page, nb):
    "Every figure is seen and has its alternative; a panel's picture gives way to the panel."
    outputs = [output for cell in nb.cells for output in cell.get('outputs', [])]
    expected = [output.metadata['image/png']['alt'] for output in outputs if 'image/png' in output.get('data', {})]
    pictures = page.locator('.cell_output img').all()
    assert [picture.get_attribute('alt') for picture in pictures] == expected
    for picture in pictures:
        beside_panel = picture.evaluate("picture => !!picture.closest('.cell_output').querySelector('.logits-panel')")
        assert picture.evaluate('picture => picture.naturalWidth') > 100 and picture.is_visible() != beside_panel


def check_folds(page, nb):
    "Where JupyterLab folds a cell, a page has a mark that opens its code. Outputs stay in sight, but for solutions'."
    shown = [cell for cell in code_cells(nb) if not cell.source.startswith(('#| hide\n', '#| default_exp'))]
    folded = [cell for cell in shown if cell.metadata.get('jupyter', {}).get('source_hidden')]
    folded = [cell for cell in folded if not cell.source.startswith('#| hide_input')]
    look = """all => all.map(fold => ({
        mark: fold.querySelector('summary').innerText.trim(), code: fold.querySelector('.cell_input').checkVisibility(),
        outputs: fold.querySelectorAll('.cell_output').length }))"""
    marks = page.locator('details.hide')
    seen = marks.evaluate_all(look)
    assert len(seen) == len(folded) and not any(fold['code'] for fold in seen)
    for cell, fold in zip(folded, seen):
        solution = bool(cell.metadata.jupyter.get('outputs_hidden'))
        assert fold['outputs'] == (solution and bool(cell.outputs))
        comment = re.match('# (.+)', re.sub(r'(?m)^#\|.*\n', '', cell.source))
        assert fold['mark'] in ([comment[1]] if comment else ['check', 'code'])
    marks.evaluate_all("all => all.forEach(fold => fold.querySelector('summary').click())")
    assert all(fold['code'] for fold in marks.evaluate_all(look))
    assert '#|' not in ''.join(page.locator('.cell_input').all_inner_texts())


THEME = {'region': "the theme's logo and title stand outside of its landmarks"}


def violations(page, context=None, **options):
    "What axe-core has against a page, but for what is the theme's: the rule, and the elements."
    page.evaluate('document.getAnimations().forEach(animation => animation.finish())')
    options = {'resultTypes': ['violations'], 'preload': False, **options}
    found = Axe().run(page, context=context, options=options).response['violations']
    return {v['id']: [node['html'] for node in v['nodes']] for v in found if v['id'] not in THEME}


def contrasts(page, code):
    "Parts that don't stand out from their ground; code is looked at on some pages only: it looks alike on all."
    return violations(page, None if code else {'exclude': [['.highlight']]}, runOnly=['color-contrast'])


def check_width(page):
    "Nothing is wider than the window, and wide code can be scrolled."
    assert page.evaluate('document.documentElement.scrollWidth') <= page.viewport_size['width']
    cut = """all => all.filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'visible'
        || e.getBoundingClientRect().right > innerWidth + 1).map(e => e.innerText)"""
    assert page.locator('article pre:visible').evaluate_all(cut) == []


def check_for_everyone(page, code=False):
    "Both widths, light and dark, all folds open: whoever uses a keyboard or a screen reader gets everything."
    check_width(page)
    assert contrasts(page, code) == {}
    page.emulate_media(color_scheme='dark')
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert contrasts(page, code) == {}
    page.set_viewport_size({'width': 390, 'height': 844})
    check_width(page)
    page.emulate_media(color_scheme='light')
    assert violations(page, rules={'color-contrast': {'enabled': False}}) == {}


@every_page
def test_page(open_page, name):
    page, nb = open_page(name), read(PAGES[name])
    formulas = sum(cell.source.count('$$') // 2 for cell in nb.cells if cell.cell_type == 'markdown')
    assert page.locator('mjx-container[display=true]').count() == formulas and broken_formulas(page, nb) == []
    text = page.locator('article :is(p, li):not(:has(code))').all_text_contents()
    assert '$' not in ''.join(text)
    check_pictures(page, nb)
    check_folds(page, nb)
    options = page.locator('article details:not(.hide)')
    assert not any(options.locator('p').evaluate_all('all => all.map(p => p.checkVisibility())'))
    options.evaluate_all("all => all.forEach(option => option.querySelector('summary').click())")
    if not name.startswith('support/'):  # the bank's answers aren't marked, nor the hints of the teachers' page
        answers = options.evaluate_all("all => all.map(option => option.querySelector('p').innerText[0])")
        assert {*answers} <= {'✓', '✗'}
    check_for_everyone(page, code=name in QUICK)


def test_would_notice_what_excludes(open_page):
    page = open_page('lessons/02_softmax')
    bad = ('<p style="color: #bbb">faint</p><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">'
           '<button></button><pre style="width: 3000px">wide</pre>')
    page.evaluate("bad => document.querySelector('article').insertAdjacentHTML('beforeend', bad)", bad)
    assert {'color-contrast', 'image-alt', 'button-name'} <= violations(page).keys()
    with pytest.raises(AssertionError): check_width(page)


def test_build_names_what_is_wrong(open_tab, tmp_path):
    "An error, a picture without alternative, a lost link: the build fails, with notebook and cell. So do formulas."
    new = nbformat.v4
    figure = new.new_output('display_data', {'image/png': 'iVBORw0KGgo=', 'text/plain': ''})
    failed = new.new_output('error', ename='ValueError', evalue='no', traceback=[])
    bad = [new.new_markdown_cell('# Bad'), new.new_code_cell('1/0', outputs=[failed]),
           new.new_code_cell('plot()', outputs=[figure]), new.new_markdown_cell('[lost](nowhere.ipynb)'),
           new.new_markdown_cell(r'Good $\frac12$, bad $\frac{1}{$.'), new.new_markdown_cell(r'$\nonsense$, $1^2^3$')]
    source, built = tmp_path/'nbs', tmp_path/'built'
    (source/'lessons').mkdir(parents=True)
    nbformat.write(new.new_notebook(cells=[new.new_markdown_cell('# Index')]), source/'index.ipynb')
    nbformat.write(new.new_notebook(cells=bad), source/'lessons'/'bad.ipynb')
    command = [sys.executable, '-m', 'sphinx', '-c', ROOT/'docs', '-W', '--keep-going', '-q', source, built]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    for said in ('cell 2: it ends in an error, ValueError: no', 'cell 3: its picture has no alternative text',
                 'cell 4: its link leads nowhere: nowhere.ipynb'):
        assert f'lessons/bad.ipynb, {said}' in done.stderr
    page = open_tab(1280, 1000)
    page.goto((built/'lessons'/'bad.html').as_uri())
    page.locator('mjx-container').nth(2).wait_for()
    found = broken_formulas(page, new.new_notebook(cells=bad))
    assert sorted(found) == [r'cell 5: \frac{1}{', 'cell 6: 1^2^3', r'cell 6: \nonsense']
    page.close()


@pytest.mark.slow
def test_api(open_page):
    "Every public function and class is there, with each argument's docment and default, and lessons lead to it."
    page = open_page('api')
    for name, obj in public():
        if not callable(obj): continue
        address = f"xent_course.{obj.__name__ if obj.__name__ in xent_course.__all__ else name}"
        entry = page.locator(f'dl:has(> dt[id="{address}"])')
        assert entry.count() == 1, address
        text = ' '.join(entry.inner_text().split())
        for argument, said in docments(obj, full=True).items():
            if argument in ('self', 'return') or not said['docment']: continue
            assert argument in text and plain(said['docment']) in plain(text), f'{address}: {argument}'
        assert plain(inspect.getdoc(obj).splitlines()[0]) in plain(text)
    assert '= 0.0: Share of the target to spread' in ' '.join(page.locator('article').inner_text().split())
    check_for_everyone(page)
    page = open_page('lessons/06_cross_entropy')
    page.locator('article').get_by_role('link', name='CrossEntropyLoss', exact=True).first.click()
    assert page.url.endswith('/api.html#xent_course.CrossEntropyLoss')


def plain(text): return re.sub(r'[\W_]', '', text)


def test_a_table_that_a_cell_prints_is_a_table(open_page):
    "As the table of errors is: a row for each call, all in sight when it is scrolled, on a phone as well."
    cell, = [cell for cell in code_cells(read(PAGES['support/checks'])) if 'Markdown(' in cell.source]
    rows = cell.outputs[0].data['text/markdown'].count('\n') - 1
    for width in 1280, 390:
        page = open_page('support/checks', width)
        table = page.locator('.cell_output table')
        assert table.locator('tbody tr').count() == rows > 100
        assert table.evaluate('table => table.scrollWidth') < 800


def test_page_presents_itself(open_page):
    "Title and description for a search engine; ways to Colab, to the notebook, and to what is searched for."
    page = open_page('lessons/05_log')
    assert page.title().startswith('The log') and 'Cross-entropy loss' in page.title()
    description = page.locator('meta[name=description]').get_attribute('content')
    assert description.startswith('Why the logarithm')
    colab = page.locator('.article-header-buttons a[href*="colab.research.google.com"]').get_attribute('href')
    assert colab.endswith(f"/blob/v{settings()['version']}/nbs/lessons/05_log.ipynb")
    notebook = page.locator('.article-header-buttons a[href$=".ipynb"][download], a.btn-download-source-button')
    stored = (SITE/'lessons'/notebook.first.get_attribute('href')).resolve()
    assert stored.read_text(encoding='utf-8') == PAGES['lessons/05_log'].read_text(encoding='utf-8')
    page.get_by_role('link', name='The whole course').click()
    assert page.url.endswith('_docs/index.html')
    page = open_page('search')
    page.goto((SITE/'search.html').as_uri() + '?q=logsumexp')
    page.locator('#search-results a[href*="05_log"]').first.wait_for()


def test_pages_lead_on(open_page):
    page = open_page('lessons/01_sigmoid_diff')
    page.locator('a.right-next').click()
    assert page.locator('article h1').inner_text().startswith('Softmax')
    page.locator('a.left-prev').click()
    assert page.locator('article h1').inner_text().startswith('Two scores')


STAGES = {'01_sigmoid_diff': 'its sigmoid, the confidence in a 3, is', '02_softmax': 'probabilities add up to',
          '03_indexing': "The number in the target's column", '04_nll': 'Minus the log of that is its loss',
          '05_log': '−ln of that is', '06_cross_entropy': 'Cross-entropy loss', '07_gradient': 'Cross-entropy loss'}


@pytest.mark.parametrize('name', [pytest.param(s, marks=[pytest.mark.slow] * (s != '07_gradient')) for s in STAGES])
def test_panel_lives(open_page, name):
    "Without Python, the number that the panel shows is PyTorch's, before and after a move."
    panel = open_page(f'lessons/{name}').locator('.logits-panel')
    scores = panel.locator('tbody tr td:nth-child(2) .logits-panel-value')
    for presses in 0, 9:
        slider = panel.get_by_role('slider', name='score of a 3' if name.startswith('01') else 'logit of a 3')
        for _ in range(presses): slider.press('ArrowRight')
        said = panel.locator('.logits-panel-reading').inner_text()
        x, t = torch.tensor([[float(text) for text in scores.all_inner_texts()]]), 0
        radios = panel.locator('input[type=radio]').all()
        if name > '03': t = next(k for k, radio in enumerate(radios) if radio.is_checked())
        p, loss = x.softmax(1)[0], F.cross_entropy(x, torch.tensor([t]))
        expected = {'01': p[0], '02': torch.tensor(1.), '03': p[t]}.get(name[:2], loss)
        number = re.search(re.escape(STAGES[name]) + r'\D*?(-?\d\.\d{4})', said)
        assert number and abs(float(number[1]) - expected.item()) < 1.1e-4, said


COLOURS = """panel => ['--target', '--score', '--gradient'].map(name => {
    const ink = document.createElement('canvas').getContext('2d');
    const probe = panel.appendChild(Object.assign(document.createElement('i'), { style: `background: var(${name})` }));
    ink.fillStyle = getComputedStyle(probe).backgroundColor;
    ink.fillRect(0, 0, 1, 1);
    probe.remove();
    return [...ink.getImageData(0, 0, 1, 1).data].slice(0, 3);
})"""


def luminance(rgb):
    rgb = torch.tensor(rgb) / 255
    return torch.where(rgb <= .04045, rgb / 12.92, ((rgb + .055) / 1.055)**2.4) @ torch.tensor([.2126, .7152, .0722])


def contrast(panel, ground):
    "Of the panel's colours with the page's ground."
    found, ground = luminance(panel.evaluate(COLOURS)), luminance([ground] * 3)
    return (torch.maximum(found, ground) + .05) / (torch.minimum(found, ground) + .05)


def test_panel_in_the_dark(open_page):
    "From the first paint, and when the theme is switched, its colours stand out; and it lies on the page's ground."
    page = open_page('lessons/07_gradient', color_scheme='dark')
    panel = page.locator('.logits-panel')
    dark = panel.evaluate(COLOURS)
    assert (contrast(panel, 0x1a) > 4.5).all() and page.locator('.cell_output .text_html').first.evaluate(
        "e => getComputedStyle(e).backgroundColor === 'rgba(0, 0, 0, 0)'")
    page.emulate_media(color_scheme='light')
    page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    assert (contrast(panel, 255) > 3).all() and panel.evaluate(COLOURS) != dark


@pytest.mark.slow
def test_panel_says_what_it_is(open_page):
    "A label for each control, with what is seen in it; one part alone speaks; a question of its own in each lesson."
    questions = set()
    for name in STAGES:
        page = open_page(f'lessons/{name}')
        panel = page.locator('.logits-panel')
        questions.add(panel.locator('p').first.inner_text())
        assert panel.get_attribute('aria-label') and panel.locator('[aria-live], output').count() == 1
        labelled = """all => all.every(c => { const said = c.getAttribute('aria-label'), seen = c.innerText.trim();
            return said ? said.includes(seen) : seen || c.labels?.length })"""
        assert panel.locator('input, button').evaluate_all(labelled)
    assert len(questions) == len(STAGES) and all(question.endswith('?') for question in questions)


def test_panel_keeps_the_focus(open_page):
    "With the keyboard alone, through all it has: sliders, target, steps, five classes and back."
    page = open_page('lessons/07_gradient')
    panel = page.locator('.logits-panel')
    losses = [right_loss(panel)]
    logit(panel, 3).focus()
    page.keyboard.press('ArrowLeft')
    losses.append(right_loss(panel))
    reached = ['']
    while reached[-1] != 'reset' and len(reached) < 30:
        page.keyboard.press('Tab')
        focused = page.locator(':focus')
        reached.append(focused.get_attribute('aria-label') or focused.inner_text())
    assert {'logit of a 7', 'logit of a 1', 'the target is a 1', '1 step', '10 steps', 'temperature'} <= {*reached}
    for name, presses in ('1 step', 1), ('+ class', 4), ('− class', 5):
        button = panel.get_by_role('button', name=name)
        button.focus()
        for _ in range(presses): page.keyboard.press('Enter')
        assert button.evaluate('button => button === document.activeElement')
        losses.append(right_loss(panel))
    assert len(read_panel(panel)[0][0]) == 2 and len(set(losses)) == len(losses)


def test_panel_descends(open_page):
    "One step and ten are PyTorch's SGD on the logits, and the losses on the way are drawn, until something is moved."
    panel = open_page('lessons/07_gradient').locator('.logits-panel')
    losses = [right_loss(panel), descend(panel, '1 step', 1), descend(panel, '10 steps', 10)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < .1 * losses[0]
    drawn = panel.get_by_role('img', name='loss is')
    assert drawn.get_attribute('aria-label') == f'loss is {losses[-1]:.4f} where steps is 11'
    assert drawn.locator('.line').get_attribute('d').count('L') == 11
    logit(panel, 3).press('ArrowRight')
    assert drawn.get_attribute('aria-label').endswith('where steps is 0') and right_loss(panel) != losses[-1]


def test_panel_by_mouse(open_page):
    panel = open_page('lessons/07_gradient').locator('.logits-panel')
    before = right_loss(panel)
    drag(logit(panel, 3), .6, .1)
    assert right_loss(panel) != before and logit(panel, 3).bounding_box()['width'] >= 200  # .1 a pixel


def test_panel_on_a_phone(open_page):
    """All that belongs to a class is in sight at once, large enough for a finger; a finger that scrolls the page moves
    no slider, one that moves along it does, and a button changes it by a tenth."""
    page = open_page('lessons/07_gradient', width=390, has_touch=True, is_mobile=True)
    panel = page.locator('.logits-panel')
    for row in panel.locator('tbody tr').all():
        shown = row.locator('th, input, .logits-panel-value, .logits-panel-bar, .logits-panel-arrow')
        boxes = [part.bounding_box() for part in shown.all()]
        assert len(boxes) == 8 and all(box['x'] >= 0 and box['x'] + box['width'] <= 390 for box in boxes)
    assert panel.locator('table').bounding_box()['height'] < 844 / 2
    for control in panel.locator('input, button').all():
        assert min(control.bounding_box()[side] for side in ('width', 'height')) >= 24
    slider = logit(panel, 7)
    start, before, top = point(slider, .8), right_loss(panel), page.evaluate('scrollY')
    swipe(page, start, (start[0], start[1] - 150))
    page.wait_for_function(f'scrollY > {top + 50}')
    assert right_loss(panel) == before
    page.wait_for_function('() => window.last === (window.last = scrollY)', polling=200)  # until the page rests
    swipe(page, point(slider, .45), point(slider, .8))
    assert right_loss(panel) > before
    logits = read_panel(panel)[0][0]
    panel.get_by_role('button', name='+ 0.1, logit of a 7').tap()
    torch.testing.assert_close(read_panel(panel)[0][0] - logits, torch.tensor([0, .1, 0]), atol=1e-4, rtol=0)
    panel.get_by_role('radio', name='the target is a 7').tap()
    assert right_loss(panel) < before


def test_panels_in_the_notebooks_are_the_package_s():
    "The script that a panel's output carries is today's: run the lesson again after a change of it."
    script = (ROOT/'xent_course'/'support'/'js'/'panel.js').read_text(encoding='utf-8')
    cells = (cell for path in lessons() for cell in nbformat.read(path, as_version=4).cells)
    outputs = [output.get('data', {}).get('text/html', '') for cell in cells for output in cell.get('outputs', [])]
    panels = [html for html in outputs if 'logits-panel-waiting' in html]
    assert len(panels) >= 8 and all(script in html for html in panels)


def test_panel_takes_a_distribution(open_page):
    "Entropy, divergence and their sum are PyTorch's, before and after shares, logits and classes have moved."
    panel = open_page('further/04_information').locator('.logits-panel')
    def numbers(column):
        texts = panel.locator(f'tbody tr td:nth-child({column}) .logits-panel-value').all_inner_texts()
        return torch.tensor([float(text) for text in texts]).double()

    def agrees():
        x, p, q = numbers(2), numbers(3), numbers(4)
        said = [float(v) for v in re.findall(r'\d+\.\d{4}', panel.locator('.logits-panel-reading').inner_text())]
        torch.testing.assert_close(p, x.softmax(0), atol=1e-4, rtol=0)
        torch.testing.assert_close(q.sum(), torch.tensor(1.).double(), atol=3e-4, rtol=0)
        loss, entropy = F.cross_entropy(x, q), -torch.xlogy(q, q).sum()
        expected = torch.stack([loss, entropy, loss - entropy])
        torch.testing.assert_close(torch.tensor(said).double(), expected, atol=2e-3, rtol=0)
        return said

    seen = [agrees()]
    for name in 'share of a 3 in the target', 'logit of a 7':
        for _ in range(9): panel.get_by_role('slider', name=name).press('ArrowRight')
        seen.append(agrees())
    panel.get_by_role('slider', name='share of a 7 in the target').press('Home')
    seen.append(agrees())
    panel.get_by_role('button', name='+ class').click()
    assert len(numbers(2)) == 4
    seen.append(agrees())
    panel.get_by_role('button', name='reset').click()
    assert len({tuple(s) for s in seen}) == len(seen) and agrees() == seen[0]
