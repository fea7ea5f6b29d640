"The drawing pad in a browser, with a model that stands in for Python's."
import pytest
from axe_playwright_python.sync_playwright import Axe

from tools.run_lessons import ROOT

pytestmark = pytest.mark.browser
JS = ROOT/'xent_course'/'support'/'js'
PAGE = """<!doctype html><html lang="en"><title>pad</title><style>{css}</style>
<main><h1>Draw</h1><div id="pad"></div></main>
<script type="module">
{script}
const state = {{ side: 56, pixels: [], readings: [] }};
const set = (name, value) => {{ state[name] = value; }};
const model = {{ get: name => state[name], set, save_changes() {{}}, on() {{}} }};
window.state = state;
render({{ model, el: document.getElementById('pad') }});
</script>"""


@pytest.fixture
def pad(open_tab):
    page = open_tab(400, 700)
    script, css = ((JS/f'draw.{kind}').read_text(encoding='utf-8') for kind in ('js', 'css'))
    page.set_content(PAGE.format(script=script.replace('export default { render };', ''), css=css))
    yield page
    page.close()


def ink(page):
    "How much is drawn, once it has been sent."
    page.wait_for_timeout(100)
    return page.evaluate('state.pixels.filter(v => v > 128).length')


def test_drawn_with_keys(pad):
    "Whoever draws with the keyboard sees the pen; it draws, and with Shift it moves without drawing."
    canvas, pen = pad.get_by_role('application'), pad.locator('.digit-pad-pen')
    assert not pen.is_visible() and 'arrow keys' in canvas.get_attribute('aria-label')
    pad.keyboard.press('Tab')
    assert pen.is_visible()
    before = pen.bounding_box()
    for _ in range(5): pad.keyboard.press('ArrowRight')
    after, drawn = pen.bounding_box(), ink(pad)
    assert abs(after['x'] - before['x'] - 50) < .1 and after['y'] == before['y'] and drawn > 20
    pad.keyboard.press('Shift+ArrowDown')
    assert abs(pen.bounding_box()['y'] - before['y'] - 10) < .1 and ink(pad) == drawn
    pad.keyboard.press('ArrowDown')
    assert ink(pad) > drawn
    pad.keyboard.press('Tab')
    pad.keyboard.press('Enter')
    assert ink(pad) == 0 and not pen.is_visible()


def test_drawn_with_the_mouse(pad):
    box = pad.get_by_role('application').bounding_box()
    pad.mouse.move(box['x'] + 50, box['y'] + 50)
    pad.mouse.down()
    pad.mouse.move(box['x'] + 200, box['y'] + 50, steps=5)
    pad.mouse.up()
    assert ink(pad) > 50 and not pad.locator('.digit-pad-pen').is_visible()


def test_excludes_nobody(pad):
    assert Axe().run(pad, options={'resultTypes': ['violations']}).response['violations'] == []
