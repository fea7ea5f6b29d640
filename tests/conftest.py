"What several tests share: the wheel, a browser, and the closing line."
import os, shutil, subprocess, sys
from pathlib import Path

import pytest

# Before torch is loaded: how long a thread waits in a busy loop for the others. With the default, trainings beside other work take minutes instead of seconds.
os.environ.setdefault('GOMP_SPINCOUNT', '1000')

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT/'tools'))
NO_BROWSER = 'no Chromium found for the browser tests: apt install chromium, or .venv/bin/playwright install chromium'
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
PATIENCE = 600_000  # milliseconds, for anything that a browser waits for: nothing here takes long, but other programs may


@pytest.fixture(scope='session')
def open_tab():
    "Opens a new tab in Chromium."
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        names = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'
        found = next(filter(None, map(shutil.which, names)), playwright.chromium.executable_path)
        if not Path(found).exists(): (pytest.fail if os.environ.get('CI') else pytest.skip)(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS, timeout=PATIENCE)

        def open_tab(**size):
            page = browser.new_page(viewport=size)
            page.set_default_timeout(PATIENCE)
            return page

        yield open_tab
        browser.close()


def pytest_generate_tests(metafunc):
    "Whatever takes a `device` runs on each kind that this machine has."
    if 'device' in metafunc.fixturenames:
        import torch
        metafunc.parametrize('device', ['cpu', 'cuda'][:1 + torch.cuda.is_available()])


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    "The wheel of the package as it stands."
    from environments import build_wheel
    return build_wheel(tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='session')
def with_wheel(wheel, tmp_path_factory):
    "An environment for programs in which the package comes out of the wheel, not out of the repo."
    folder = tmp_path_factory.mktemp('package')
    subprocess.run([sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, wheel], check=True)
    return os.environ | {'PYTHONPATH': str(folder)}


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin('terminalreporter')
    if not reporter or config.option.collectonly: return
    count = lambda *outcomes: sum(len(reporter.stats.get(o, [])) for o in outcomes)
    skipped = count('skipped')
    if any(NO_BROWSER in str(report.longrepr) for report in reporter.stats.get('skipped', [])): print(NO_BROWSER)
    print(f"{count('passed')} passed, {count('failed', 'error')} failed" + (f', {skipped} skipped' if skipped else ''))
