"The lessons as web pages without Jupyter, served from this machine, in a real browser."
import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import pytest
import torch
import torch.nn.functional as F

from pages import write_pages
from run_lessons import lessons

ROOT = Path(__file__).resolve().parent.parent
PAGES = [path.relative_to(ROOT/'nbs').with_suffix('').as_posix() for path in lessons()]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp('pages')
    write_pages(folder/'site')
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=folder/'site'))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()


@pytest.fixture
def open_page(open_tab, site):
    "Opens a page, and afterwards asserts that its console was quiet and that it asked for nothing from elsewhere."
    page, complaints = open_tab(width=1000, height=1000), []
    page.on('console', lambda message: message.type in ('error', 'warning') and complaints.append(message.text))
    page.on('pageerror', lambda error: complaints.append(str(error)))
    page.on('request', lambda request: request.url.startswith((site, 'data:')) or complaints.append(f'asks for {request.url}'))
    page.on('response', lambda response: response.status < 400 or complaints.append(f'{response.status} {response.url}'))

    def open_page(name):
        page.goto(f'{site}/{name}.html')
        page.wait_for_function('() => window.MathJax?.isReady')
        page.evaluate('() => new Promise(done => MathJax.Hub.Queue(done))')
        return page

    yield open_page
    page.close()
    assert not complaints


def check_pictures(page, nb):
    "Every figure is seen and has its alternative; a panel's picture gives way to the panel."
    expected = [output.metadata['image/png']['alt'] for cell in nb.cells for output in cell.get('outputs', []) if 'image/png' in output.get('data', {})]
    pictures = page.locator('.jp-RenderedImage img').all()
    assert [picture.get_attribute('alt') for picture in pictures] == expected
    for picture in pictures:
        beside_panel = picture.evaluate("picture => !!picture.closest('.jp-OutputArea').querySelector('.logits-panel')")
        assert picture.evaluate('picture => picture.naturalWidth') > 100 and picture.is_visible() != beside_panel


def check_folds(page, nb):
    "Where JupyterLab folds a cell, a page has a mark that opens its code. Outputs stay in sight, but for those of solutions."
    shown = [cell for cell in nb.cells if cell.cell_type == 'code' and not cell.source.startswith(('#| hide', '#| default_exp'))]
    folded = [cell for cell in shown if cell.metadata.get('jupyter', {}).get('source_hidden')]
    marks = page.locator('details.folded')
    assert marks.count() == len(folded)
    for cell, mark in zip(folded, marks.all()):
        code, solution = mark.locator('.highlight'), cell.metadata.jupyter.get('outputs_hidden', False)
        assert not code.is_visible() and mark.locator('.jp-OutputArea').count() == (solution and bool(cell.outputs))
        mark.locator('summary').click()
        assert code.is_visible()
    assert page.locator('.jp-OutputArea').count() == sum(bool(cell.outputs) for cell in shown) + sum(cell.source.startswith('#| hide_input') for cell in nb.cells)


@pytest.mark.parametrize('name', PAGES)
def test_page(open_page, name):
    page, nb = open_page(name), nbformat.read(ROOT/'nbs'/f'{name}.ipynb', as_version=4)
    formulas = sum(cell.source.count('$$') // 2 for cell in nb.cells if cell.cell_type == 'markdown')
    assert page.locator('.MathJax_SVG_Display').count() == formulas and page.locator('.merror').count() == 0
    assert '$' not in page.evaluate("() => [...document.querySelectorAll('.jp-RenderedMarkdown p, .jp-RenderedMarkdown li')].filter(e => !e.querySelector('code')).map(e => e.textContent).join('')")
    check_pictures(page, nb)
    check_folds(page, nb)
    for option in page.locator('.jp-MarkdownCell details').all():
        option.locator('summary').click()
        assert option.locator('p').is_visible() and option.locator('p').inner_text()[0] in '✓✗'


def test_spine_links_lead_to_pages(open_page):
    page = open_page('01_sigmoid_diff')
    page.get_by_role('link', name='The next lesson').click()
    assert page.locator('h1').inner_text().startswith('Softmax')


STAGES = {'01_sigmoid_diff': 'its sigmoid, the confidence in 3, is', '02_softmax': 'probabilities add up to', '03_indexing': "The number in the target's column",
          '04_nll': 'Minus the log of that is its loss', '05_log': '−ln of that is', '06_cross_entropy': 'Cross-entropy loss', '07_gradient': 'Cross-entropy loss'}


@pytest.mark.parametrize('name', STAGES)
def test_panel_lives(open_page, name):
    "Without Python, the number that the panel shows is PyTorch's, before and after a move."
    panel = open_page(name).locator('.logits-panel')
    scores = panel.locator('tbody tr td:nth-child(2) output')
    for presses in 0, 9:
        for _ in range(presses): panel.get_by_role('slider', name='score of 3' if name.startswith('01') else 'logit of 3').press('ArrowRight')
        said = panel.locator('.logits-panel-reading').inner_text()
        x, t = torch.tensor([[float(text) for text in scores.all_inner_texts()]]), 0
        if name > '03': t = next(k for k, radio in enumerate(panel.locator('input[type=radio]').all()) if radio.is_checked())
        p, loss = x.softmax(1)[0], F.cross_entropy(x, torch.tensor([t]))
        expected = {'01': p[0], '02': torch.tensor(1.), '03': p[t]}.get(name[:2], loss)
        number = re.search(re.escape(STAGES[name]) + r'\D*?(-?\d\.\d{4})', said)
        assert number and abs(float(number[1]) - expected.item()) < 1.1e-4, said


def test_panel_in_the_dark(open_page):
    "On a dark page all of the panel's text and graphics stand out."
    page = open_page('07_gradient')
    page.add_style_tag(content='body, body * { background-color: transparent; } html { background: #111; } .logits-panel { color: #eee; }')
    panel = page.locator('.logits-panel')
    panel.get_by_role('slider', name='logit of 3').press('ArrowRight')
    assert 'dark' in panel.get_attribute('class').split()
    for colour in ('--target', '--score', '--gradient'):
        rgb = torch.tensor([int(panel.evaluate(f"e => getComputedStyle(e).getPropertyValue('{colour}')").strip()[i:i + 2], 16) / 255 for i in (1, 3, 5)])
        luminance = (torch.where(rgb <= .04045, rgb / 12.92, ((rgb + .055) / 1.055)**2.4) * torch.tensor([.2126, .7152, .0722])).sum()
        assert (luminance + .05) / (.0056 + .05) > 4.5, colour  # #111 has the luminance .0056


def test_panel_has_labels(open_page):
    "Whoever can't see the panel is told what each control does."
    panel = open_page('07_gradient').locator('.logits-panel')
    controls = panel.locator('input, button')
    assert controls.count() >= 9
    assert controls.evaluate_all("all => all.every(c => c.getAttribute('aria-label'))")
    assert panel.get_attribute('aria-label') and panel.locator('[aria-live=polite]').count() == 1


def test_panels_in_the_notebooks_are_the_package_s():
    "The script that a panel's output carries is today's: run the lesson again after a change of it."
    script = (ROOT/'xent_course'/'js'/'panel.js').read_text(encoding='utf-8')
    outputs = [output['data']['text/html'] for path in lessons() for cell in nbformat.read(path, as_version=4).cells
               for output in cell.get('outputs', []) if 'logits-panel-waiting' in output.get('data', {}).get('text/html', '')]
    assert len(outputs) >= 8 and all(script in output for output in outputs)


def test_panel_takes_a_distribution(open_page):
    "Entropy, divergence and their sum are PyTorch's, before and after shares, logits and classes have moved."
    panel = open_page('further/07_information').locator('.logits-panel')
    numbers = lambda column: torch.tensor([float(text) for text in panel.locator(f'tbody tr td:nth-child({column}) output').all_inner_texts()]).double()

    def agrees():
        x, p, q = numbers(2), numbers(3), numbers(4)
        said = [float(v) for v in re.findall(r'\d+\.\d{4}', panel.locator('.logits-panel-reading').inner_text())]
        torch.testing.assert_close(p, x.softmax(0), atol=1e-4, rtol=0)
        torch.testing.assert_close(q.sum(), torch.tensor(1.).double(), atol=3e-4, rtol=0)
        loss, entropy = F.cross_entropy(x, q), -torch.xlogy(q, q).sum()
        torch.testing.assert_close(torch.tensor(said).double(), torch.stack([loss, entropy, loss - entropy]), atol=2e-3, rtol=0)
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
