"What is generated from the notebooks is up to date, and what they hold travels: links, versions, outputs."
import re, shutil, subprocess, sys
from types import SimpleNamespace

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.docs.test_notebooks import script
from tools.environments import settings
from tools.run_lessons import ROOT, lessons
from tools.set_version import TAGGED, set_version

SOURCES = ['nbs', 'xent_course', 'index_files', 'settings.ini', 'pyproject.toml', 'README.md', 'tools']
LEFT_OUT = '__pycache__', '.*', '_proc', 'nbdev.yml'
GENERATE = {'nbdev_export': 'xent_course', 'nbdev_clean': 'nbs', 'write_slides': 'nbs',
            'write_readme': 'README.md index_files'}


@pytest.fixture
def copy(tmp_path):
    "A copy of all that is needed to generate the rest."
    for name in SOURCES:
        if (ROOT/name).is_dir(): shutil.copytree(ROOT/name, tmp_path/name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else: shutil.copy(ROOT/name, tmp_path/name)
    return tmp_path


def contents(path):
    "Each file at or below `path`, by its name."
    found = [path] if path.is_file() else (p for p in path.rglob('*') if p.is_file())
    def counts(part): return not part.startswith('.') and part not in LEFT_OUT
    below = {p.relative_to(path.parent): p for p in found}
    return {name.as_posix(): p.read_bytes() for name, p in below.items() if all(map(counts, name.parts))}


@pytest.mark.parametrize('command', GENERATE)
def test_generated_is_up_to_date(copy, command):
    made_here = command.startswith('write_')
    program = [sys.executable, '-m', f'tools.{command}'] if made_here else [script(command)]
    subprocess.run(program, cwd=copy, check=True)
    for name in GENERATE[command].split():
        ours, fresh = contents(ROOT/name), contents(copy/name)
        differ = sorted(f for f in ours.keys() | fresh.keys() if ours.get(f) != fresh.get(f))
        assert not differ, f'{command} gives other files: run `make sync` and commit {differ}'


def test_ruff():
    "No name is unused or missing, no exception is caught blindly, no line is too long: in modules, tests and tools."
    found = subprocess.run([sys.executable, '-m', 'ruff', 'check'], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_no_trace_of_a_machine():
    "No committed text names a folder of somebody's machine."
    git = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = git.stdout.split('\n')
    tracked = [f for f in listed if f and not f.endswith(('.npz', '.png', 'tests/docs/test_repo.py'))]
    texts = {f: (ROOT/f).read_text(encoding='utf-8') for f in tracked if (ROOT/f).is_file()}
    place = [str(ROOT)] if len(ROOT.parts) > 2 else []  # a clone at /xent_course has a name that says nothing
    signs = ['/home/', '/Users/', '/root/', 'site-packages', *place]
    found = [f'{name}: {sign}' for name, text in texts.items() for sign in signs if sign in text]
    assert texts and not found, found


VERSION = settings()['version']
NOTEBOOKS = {path.relative_to(ROOT/'nbs').as_posix(): nbformat.read(path, as_version=4) for path in lessons()}
named = pytest.mark.parametrize('name', NOTEBOOKS)


def is_read(name):
    "Whether a notebook is a page of the course, not what makes it."
    return name.startswith(('lessons/', 'further/')) or name in ('doctor/index.ipynb', 'doctor/symptoms.ipynb')


def sources(name, kind): return [cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == kind]


@named
def test_links_lead_somewhere(name):
    "A link is to a file of the repo, a place in the notebook, or the web; there, if it is ours, to this version."
    links = [link for text in sources(name, 'markdown') for link in re.findall(r'\]\(([^)\s]+)', text)]
    for link in links:
        if not re.match('https?:|#', link): assert (ROOT/'nbs'/name).parent.joinpath(link.split('#')[0]).is_file(), link
        if blob := re.search(r'xent_course/blob/([^/]+)/(.+)', link):
            assert blob[1] == f'v{VERSION}' and (ROOT/blob[2]).is_file(), link
    picture = re.search(r'!\[|<img', ''.join(sources(name, 'markdown')))
    assert not picture, 'a picture that stays behind when the notebook travels: draw it in a cell'
    if is_read(name): assert any(f'/blob/v{VERSION}/nbs/{name}' in link for link in links), 'no way to Colab'


@named
def test_colab_installs_this_version(name, monkeypatch):
    "In a Colab made of stand-ins, the cell installs the package and turns on its panels; elsewhere it does nothing."
    cells = [text for text in sources(name, 'code') if 'google.colab' in text]
    assert len(cells) == (is_read(name) or name == 'index.ipynb')
    for cell in cells:
        assert cell.startswith('#| hide\n#| eval: false\n')
        done, shell = [], InteractiveShell()
        shell.register_magic_function(done.append, magic_name='pip')
        shell.run_cell(cell).raise_error()
        assert done == []
        output = SimpleNamespace(enable_custom_widget_manager=lambda: done.append('panels'))
        monkeypatch.setitem(sys.modules, 'google.colab', SimpleNamespace(output=output))
        shell.run_cell(cell).raise_error()
        address = f'git+https://github.com/xent-course/xent_course@v{VERSION}'
        assert done == [f'install -q "xent_course[course] @ {address}"', 'panels']


@named
def test_outputs_are_light(name):
    """No state of widgets, which would carry their scripts once more, no place of one that lives no longer, and the
    panel's script once at most."""
    nb = NOTEBOOKS[name]
    outputs = [output.get('data', {}) for cell in nb.cells for output in cell.get('outputs', [])]
    places = [data for data in outputs if 'application/vnd.jupyter.widget-view+json' in data]
    assert 'widgets' not in nb.metadata and not places, f'make run ARGS="--save nbs/{name}"'
    assert sum('logits-panel-waiting' in data.get('text/html', '') for data in outputs) <= 1


@named
def test_no_cell_judges_a_time(name):
    judged = r'^.*\bassert\b.*(?:seconds|perf_counter|time\.time|rates?\b).*$'
    assert not re.findall(judged, '\n'.join(sources(name, 'code')), flags=re.M)


def test_version_is_the_same_everywhere(copy):
    tracked = [ROOT/'CITATION.cff', ROOT/'README.md', *lessons()]
    assert f'version: {VERSION}\n' in tracked[0].read_text(encoding='utf-8')
    found = [tag for path in tracked[1:] for _, tag in TAGGED.findall(path.read_text(encoding='utf-8'))]
    assert len(found) > 30 and set(found) == {f'v{VERSION}'}
    shutil.copy(ROOT/'CITATION.cff', copy)
    set_version(copy, '12.34.56')
    paths = copy/'settings.ini', copy/'CITATION.cff', *(copy/'nbs').rglob('*.ipynb')
    changed = [path.read_text(encoding='utf-8') for path in paths]
    assert not any(f'v{VERSION}' in text for text in changed) and all('12.34.56' in text for text in changed[:2])
    with pytest.raises(ValueError, match='three numbers'): set_version(copy, 'v3')


@pytest.mark.parametrize('name', ['README.md', 'CONTRIBUTING.md'])
def test_paths_that_are_named_exist(name):
    "What a text calls a file or folder of the repo is one."
    text = (ROOT/name).read_text(encoding='utf-8')
    named = re.findall(r'[`(]((?:nbs|xent_course|benchmarks|tests|tools|docs)/[\w./-]+)[`)#]', text)
    assert len(named) > 5 and not [path for path in named if not (ROOT/path).exists()]
