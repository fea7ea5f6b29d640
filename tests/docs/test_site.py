"The published site, as `make docs` wrote it, in a real browser: it opens from disk and asks nobody for anything."
import re, sys

import nbformat
import pytest
import torch
import torch.nn.functional as F

from tests.conftest import SITE
from tests.docs.test_notebooks import code_cells, read
from tools.run_lessons import ROOT, lessons

pytestmark = [pytest.mark.site, pytest.mark.browser,
              pytest.mark.skipif(sys.version_info < (3, 11), reason='the site is built with Python 3.11 or newer')]
PAGES = {path.relative_to(ROOT/'nbs').with_suffix('').as_posix(): path for path in lessons()}
QUICK = 'index', 'lessons/07_gradient'
every_page = pytest.mark.parametrize(
    'name', [pytest.param(page, marks=[pytest.mark.slow] * (page not in QUICK)) for page in PAGES])


@pytest.fixture
def open_page(open_tab):
    "Opens a page, and afterwards asserts that its console was quiet and that it asked for nothing from elsewhere."
    complaints, pages = [], []

    def open_page(name, width=1280):
        page = open_tab(width=width, height=1000)
        pages.append(page)
        page.on('console', lambda message: message.type == 'error' and complaints.append(message.text))
        page.on('pageerror', lambda error: complaints.append(str(error)))
        def asks(request): request.url.startswith(('file:', 'data:', 'blob:')) or complaints.append(request.url)
        page.on('request', asks)
        page.goto((SITE/f'{name}.html').as_uri())
        page.wait_for_function('() => !document.querySelector(".math") || document.querySelector("mjx-container")')
        page.evaluate('() => window.MathJax?.startup?.promise')
        return page

    yield open_page
    for page in pages: page.close()
    assert not complaints


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
    marks = page.locator('details.hide').all()
    assert len(marks) == len(folded)
    for cell, mark in zip(folded, marks):
        code = mark.locator('.cell_input')
        solution = bool(cell.metadata.jupyter.get('outputs_hidden'))
        assert not code.is_visible() and mark.locator('.cell_output').count() == (solution and bool(cell.outputs))
        comment = re.match('# (.+)', re.sub(r'(?m)^#\|.*\n', '', cell.source))
        assert mark.locator('summary').inner_text().strip() in ([comment[1]] if comment else ['check', 'code'])
        mark.locator('summary').click()
        assert code.is_visible()
    assert '#|' not in ''.join(page.locator('.cell_input').all_inner_texts())


@every_page
def test_page(open_page, name):
    page, nb = open_page(name), read(PAGES[name])
    formulas = sum(cell.source.count('$$') // 2 for cell in nb.cells if cell.cell_type == 'markdown')
    assert page.locator('mjx-container[display=true]').count() == formulas and page.locator('mjx-merror').count() == 0
    text = page.locator('article :is(p, li):not(:has(code))').all_text_contents()
    assert '$' not in ''.join(text)
    check_pictures(page, nb)
    check_folds(page, nb)
    for option in page.locator('article details:not(.hide)').all():
        option.locator('summary').click()
        assert option.locator('p').first.is_visible() and option.locator('p').first.inner_text()[0] in '✓✗'


@pytest.mark.slow
@pytest.mark.parametrize('name', [name for name in PAGES if not name.startswith('support')])
def test_page_fits_a_phone(open_page, name):
    page = open_page(name, width=390)
    assert page.evaluate('document.documentElement.scrollWidth') <= 390


def test_pages_lead_on(open_page):
    page = open_page('lessons/01_sigmoid_diff')
    page.locator('a.right-next').click()
    assert page.locator('article h1').inner_text().startswith('Softmax')
    page.locator('a.left-prev').click()
    assert page.locator('article h1').inner_text().startswith('Two scores')


STAGES = {'01_sigmoid_diff': 'its sigmoid, the confidence in 3, is', '02_softmax': 'probabilities add up to',
          '03_indexing': "The number in the target's column", '04_nll': 'Minus the log of that is its loss',
          '05_log': '−ln of that is', '06_cross_entropy': 'Cross-entropy loss', '07_gradient': 'Cross-entropy loss'}


@pytest.mark.parametrize('name', [pytest.param(s, marks=[pytest.mark.slow] * (s != '07_gradient')) for s in STAGES])
def test_panel_lives(open_page, name):
    "Without Python, the number that the panel shows is PyTorch's, before and after a move."
    panel = open_page(f'lessons/{name}').locator('.logits-panel')
    scores = panel.locator('tbody tr td:nth-child(2) output')
    for presses in 0, 9:
        slider = panel.get_by_role('slider', name='score of 3' if name.startswith('01') else 'logit of 3')
        for _ in range(presses): slider.press('ArrowRight')
        said = panel.locator('.logits-panel-reading').inner_text()
        x, t = torch.tensor([[float(text) for text in scores.all_inner_texts()]]), 0
        radios = panel.locator('input[type=radio]').all()
        if name > '03': t = next(k for k, radio in enumerate(radios) if radio.is_checked())
        p, loss = x.softmax(1)[0], F.cross_entropy(x, torch.tensor([t]))
        expected = {'01': p[0], '02': torch.tensor(1.), '03': p[t]}.get(name[:2], loss)
        number = re.search(re.escape(STAGES[name]) + r'\D*?(-?\d\.\d{4})', said)
        assert number and abs(float(number[1]) - expected.item()) < 1.1e-4, said


def test_panel_in_the_dark(open_page):
    "On a dark page all of the panel's text and graphics stand out."
    page = open_page('lessons/07_gradient')
    page.add_style_tag(content='body, body * { background-color: transparent; } html { background: #111; } '
                               '.logits-panel { color: #eee; }')
    panel = page.locator('.logits-panel')
    panel.get_by_role('slider', name='logit of 3').press('ArrowRight')
    assert 'dark' in panel.get_attribute('class').split()
    for colour in ('--target', '--score', '--gradient'):
        value = panel.evaluate(f"e => getComputedStyle(e).getPropertyValue('{colour}')").strip()
        rgb = torch.tensor([int(value[i:i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = torch.where(rgb <= .04045, rgb / 12.92, ((rgb + .055) / 1.055)**2.4)
        luminance = linear @ torch.tensor([.2126, .7152, .0722])
        assert (luminance + .05) / (.0056 + .05) > 4.5, colour  # #111 has the luminance .0056


def test_panel_has_labels(open_page):
    "Whoever can't see the panel is told what each control does."
    panel = open_page('lessons/07_gradient').locator('.logits-panel')
    controls = panel.locator('input, button')
    assert controls.count() >= 9
    assert controls.evaluate_all("all => all.every(c => c.getAttribute('aria-label'))")
    assert panel.get_attribute('aria-label') and panel.locator('[aria-live=polite]').count() == 1


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
        texts = panel.locator(f'tbody tr td:nth-child({column}) output').all_inner_texts()
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
    for name in 'share of 3 in the target', 'logit of 7':
        for _ in range(9): panel.get_by_role('slider', name=name).press('ArrowRight')
        seen.append(agrees())
    panel.get_by_role('slider', name='share of 7 in the target').press('Home')
    seen.append(agrees())
    panel.get_by_role('button', name='one class more').click()
    assert len(numbers(2)) == 4
    seen.append(agrees())
    panel.get_by_role('button', name='back to the start').click()
    assert len({tuple(s) for s in seen}) == len(seen) and agrees() == seen[0]
