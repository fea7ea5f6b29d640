"What several tests share: what they need of a machine, the wheel, a browser, and the closing line."
import os, shutil, sys, zipfile
from pathlib import Path

import pytest

# Before torch is loaded: how long a thread waits in a busy loop for the others. With the default, trainings beside
# other work take minutes instead of seconds.
os.environ.setdefault('GOMP_SPINCOUNT', '1000')
os.environ.setdefault('XENT_DOCTOR_STRICT', '1')  # faults of the doctor's own are raised

BROWSERS = 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'
NO_BROWSER = ('no Chromium found for the browser tests: '
              'apt install chromium, or playwright install chromium (in the environment of the course)')
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync']
PATIENCE = 600_000  # milliseconds, for anything that a browser waits for: other programs may take long


def browser_path():
    "Of a Chromium that is installed, or None."
    from playwright.sync_api import sync_playwright
    if found := next(filter(None, map(shutil.which, BROWSERS)), None): return found
    with sync_playwright() as playwright: own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


SITE = Path(__file__).resolve().parents[1]/'_docs'
# What a test may need of the machine, by its marker -> what is said where that is missing, or ''
MISSING = {
    'make': lambda: '' if shutil.which('make') and os.name == 'posix' else 'no make here',
    'posix': lambda: '' if os.name == 'posix' else 'it needs POSIX, as Linux and macOS have it',
    'site': lambda: '' if SITE.exists() or sys.version_info < (3, 11) else 'make docs writes the site',
    'browser': lambda: '' if browser_path() else NO_BROWSER}


def pytest_collection_modifyitems(items):
    "Skip what cannot run here, but fail in CI, where all of it should."
    needed = {name for item in items for name in MISSING if item.get_closest_marker(name)}
    missing = {name: said for name in needed if (said := MISSING[name]())}
    for item in items:
        for name, said in missing.items():
            if not item.get_closest_marker(name): continue
            if os.environ.get('CI'): pytest.exit(said, returncode=1)
            item.add_marker(pytest.mark.skip(reason=said))


@pytest.fixture(scope='session')
def open_tab():
    "Opens a new tab in Chromium."
    from playwright.sync_api import sync_playwright
    found = browser_path()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS, timeout=PATIENCE)

        def open_tab(width, height, **options):
            page = browser.new_page(viewport={'width': width, 'height': height}, **options)
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
    "The wheel of the package as it stands, built with what is installed."
    from tools.environments import build_wheel
    return build_wheel(tmp_path_factory.mktemp('wheel'), '--no-isolation')


@pytest.fixture(scope='session')
def with_wheel(wheel, tmp_path_factory):
    "An environment for programs in which the package comes out of the wheel, not out of the repo."
    folder = tmp_path_factory.mktemp('package')
    zipfile.ZipFile(wheel).extractall(folder)
    return os.environ | {'PYTHONPATH': str(folder)}


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin('terminalreporter')
    if not reporter or config.option.collectonly: return
    count = lambda *outcomes: sum(len(reporter.stats.get(o, [])) for o in outcomes)
    skipped = count('skipped')
    if any(NO_BROWSER in str(report.longrepr) for report in reporter.stats.get('skipped', [])): print(NO_BROWSER)
    print(f"{count('passed')} passed, {count('failed', 'error')} failed" + (f', {skipped} skipped' if skipped else ''))
