"The browser that some tests need, and the closing line."
import os, shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

NO_BROWSER = 'no Chromium found for the browser tests: apt install chromium, or .venv/bin/playwright install chromium'
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']


@pytest.fixture(scope='session')
def browser():
    with sync_playwright() as playwright:
        names = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'
        found = next(filter(None, map(shutil.which, names)), playwright.chromium.executable_path)
        if not Path(found).exists(): (pytest.fail if os.environ.get('CI') else pytest.skip)(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin('terminalreporter')
    if not reporter or config.option.collectonly: return
    count = lambda *outcomes: sum(len(reporter.stats.get(o, [])) for o in outcomes)
    skipped = count('skipped')
    if any(NO_BROWSER in str(report.longrepr) for report in reporter.stats.get('skipped', [])): print(NO_BROWSER)
    print(f"{count('passed')} passed, {count('failed', 'error')} failed" + (f', {skipped} skipped' if skipped else ''))
