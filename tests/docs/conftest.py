"What the tests of the site and of the decks share."
import pytest

from tests.conftest import SITE


@pytest.fixture
def open_page(open_tab):
    "Opens a page, and afterwards asserts that its console was quiet and that it asked for nothing from elsewhere."
    complaints, pages = [], []

    def open_page(name, width=1280, **options):
        page = open_tab(width, 1000 if width > 390 else 844, **options)
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
