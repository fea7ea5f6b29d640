"Lessons as decks: what begins a slide, and each deck in a real browser, where it fits and asks nobody for anything."
import re, sys

import nbformat
import pytest

from tests.docs.panels import logit, right_loss
from tests.docs.test_notebooks import read
from tools.run_lessons import room
from tools.write_slides import SITE, is_folded, parts, slide_types

new = nbformat.v4
LESSONS = room('lessons')


def text(source): return new.new_markdown_cell(source)


def code(source, said='', **jupyter):
    outputs = [new.new_output('execute_result', {'text/plain': said})] * bool(said)
    return new.new_code_cell(source, outputs=outputs, metadata={'jupyter': jupyter})


def kind(cell): return cell.metadata.slideshow.slide_type


def shown(nb): return [cell for cell in nb.cells if kind(cell) != 'skip']


def test_what_begins_a_slide():
    cells = [text('# Logs\n\n> Why?'), code('#| hide\nimport torch'), code('import math'),
             text('What is the log of 1?'), code('math.log(1)', '0.0'), text('It is 0.'), text('And of e?'),
             code('1 + 1', '2'), code('assert True', source_hidden=True), code('show()', 'it', source_hidden=True),
             text('Long. ' * 300), text('## Exercises'), code("check('1.1', answer)"), text('## Questionnaire'),
             text('**1.** Which?\n\n<details>'), text('**2.** And?\n\n<details>'), text('## Solutions'), code('1')]
    assert list(slide_types(cells)) == [
        'slide', 'skip', 'subslide', 'fragment', 'fragment', 'fragment', 'subslide', 'fragment',
        'skip', 'fragment', 'subslide', 'skip', 'skip', 'slide', 'fragment', 'subslide', 'skip', 'skip']


def test_a_text_with_a_heading_is_two():
    assert [part.source for part in parts(text('So it is.\n\n## Next\n'))] == ['So it is.\n\n', '## Next\n']
    for cell in text('## Next\n\nMore.'), text('### Below'), code('1\n## 2'): assert parts(cell) == [cell]


@pytest.mark.parametrize('path', LESSONS, ids=lambda path: path.stem)
def test_lesson_has_its_slides(path):
    "Its title, its sections and its questionnaire, but neither what only asserts nor a solution."
    nb = read(path)
    cells = shown(nb)
    assert [kind(cell) for cell in cells].count('slide') > 5 and sum('<details>' in c.source for c in cells) >= 4
    assert not [c for c in cells if is_folded(c) and not c.outputs or 'check(' in c.source or '#| hide\n' in c.source]
    def pictures(cells): return sum('image/png' in o.get('data', {}) for c in cells for o in c.get('outputs', []))
    assert pictures(cells) == pictures(nb.cells)


in_a_browser = [pytest.mark.site, pytest.mark.browser,
                pytest.mark.skipif(sys.version_info < (3, 11), reason='decks are built with Python 3.11 or newer')]
QUICK = '07_gradient'
GO_TO = """what => {
    const { h, v } = Reveal.getIndices(document.querySelector(what).closest('section'));
    Reveal.slide(h, v, 99); }"""
LOOK = """() => Reveal.getSlides().map(slide => {
    const { h, v } = Reveal.getIndices(slide);
    Reveal.slide(h, v, 99);
    return { tall: slide.scrollHeight - slide.clientHeight, wide: slide.scrollWidth - slide.clientWidth,
             scale: Reveal.getScale(), said: slide.innerText.trim() + slide.querySelectorAll('img').length }; })"""


@pytest.fixture
def open_deck(open_page):
    "Opens the deck of a lesson, at the size of a slide."
    def open_deck(name):
        page = open_page(f'slides/{name}.slides')
        page.set_viewport_size({'width': 1280, 'height': 720})
        page.wait_for_function('() => Reveal.isReady()')
        return page

    return open_deck


class TestDeck:
    pytestmark = in_a_browser

    @pytest.mark.parametrize('path', [pytest.param(p, marks=[pytest.mark.slow] * (p.stem != QUICK)) for p in LESSONS],
                             ids=lambda path: path.stem)
    def test_fits(self, open_deck, path):
        "Each slide fits its screen and says something; formulas are drawn, figures described, links lead to the site."
        page, nb = open_deck(path.stem), read(path)
        slides = page.evaluate(LOOK)
        assert all(s['tall'] < 2 and s['wide'] < 1 and abs(s['scale'] - 1) < .01 and s['said'] != '0' for s in slides)
        formulas = ''.join(c.source for c in shown(nb) if c.cell_type == 'markdown').count('$') // 4
        assert page.locator('mjx-container').count() >= formulas and not page.locator('mjx-merror').count()
        assert '$' not in ''.join(page.locator('.jp-MarkdownCell').all_text_contents())
        links = page.locator('.slides a').evaluate_all("all => all.map(a => a.href)")
        assert not [link for link in links if link.startswith('file:') and '#' not in link]
        assert all(page.locator('.slides img').evaluate_all('all => all.map(i => i.alt && i.naturalWidth > 100)'))
        code = [text.strip() for text in page.locator('.jp-InputArea-editor').all_text_contents()]
        cells = [cell for cell in shown(nb) if cell.cell_type == 'code' and not is_folded(cell)]
        plain = [re.sub(r'(?m)^#\|.*\n', '', c.source).strip() for c in cells if 'show_panel(' not in c.source]
        assert code == plain

    def test_panel_lives(self, open_deck):
        "A slider moves it, by mouse and by keys, which the deck leaves alone then; PyTorch agrees."
        page = open_deck('07_gradient')
        panel = page.locator('.logits-panel')
        page.evaluate(GO_TO, '.logits-panel')
        page.wait_for_function("() => document.querySelector('.logits-panel-value')?.innerText")
        before, number = right_loss(panel), page.evaluate('() => Reveal.getIndices()')
        for _ in range(9): logit(panel, 7).press('ArrowRight')
        assert right_loss(panel) != before and page.evaluate('() => Reveal.getIndices()') == number
        assert not page.locator('img[alt^="The panel at its start"]').is_visible()
        logit(panel, 7).click()
        page.wait_for_function('() => document.activeElement === document.body')  # so that keys turn pages again

    def test_questions_are_asked(self, open_deck):
        "In the questionnaire an option opens when it is clicked, and only then says whether it is right."
        page = open_deck('02_softmax')
        option = page.locator('details', has_text='Exactly one third')
        page.evaluate(GO_TO, 'details')
        reason = option.get_by_text('each is a third of their sum')
        assert not reason.is_visible()
        option.locator('summary').click()
        assert reason.is_visible()
        link = page.locator('.slides a', has_text='the last lesson').get_attribute('href')
        assert link == f'{SITE}/lessons/01_sigmoid_diff.html'
