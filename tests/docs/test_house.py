"A module is where its notebook is, under the same name, and imports run one way."
import ast, importlib, re, sys
from types import ModuleType

import nbformat
import pytest

import xent_course
from tools.run_lessons import ROOT, lessons, room

PACKAGE = ROOT/'xent_course'
FASTAI = {'support.loaders', 'support.resnet18', 'lessons.mnist_3_vs_7', 'doctor.callback'}
ORDER = [path.stem[3:] for name in ('lessons', 'further') for path in room(name)]


def module_of(path):
    "The module that a notebook should make: its room, and its name without the number in front."
    *rooms, name = path.relative_to(ROOT/'nbs').with_suffix('').parts
    return '.'.join([*rooms, re.sub(r'^\d+_', '', name)])


def sources(path): return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == 'code']


def default_exp(path):
    "The module that a notebook names, or None."
    found = re.findall(r'^#\| *default_exp +(\S+)', '\n'.join(sources(path)), re.M)
    assert len(found) < 2, f'{path.name} names {found}'
    return found[0] if found else None


def exports(path): return any(re.match(r'#\| *exporti?\b', source) for source in sources(path))


def modules():
    "Every generated module -> its file."
    found = {'.'.join(path.relative_to(PACKAGE).with_suffix('').parts): path for path in PACKAGE.rglob('*.py')}
    return {name: path for name, path in found.items() if not name.endswith('__init__') and name != '_modidx'}


@pytest.mark.parametrize('path', lessons(), ids=module_of)
def test_notebook_names_its_module(path):
    "It names the one that its place gives, and exports something into it; or it does neither."
    expected = module_of(path) if exports(path) else None
    assert default_exp(path) == expected, 'default_exp, or what is exported, is wrong'


def test_every_module_has_its_notebook():
    made = {module_of(path) for path in lessons() if exports(path)}
    assert set(modules()) == made, 'a module that no notebook makes, or none that a notebook should: make sync'


@pytest.mark.parametrize('name', ['', *modules()])
def test_all_names_exist(name):
    module = importlib.import_module(f'xent_course.{name}'.rstrip('.'))
    assert len(set(module.__all__)) == len(module.__all__)
    assert not [missing for missing in module.__all__ if not hasattr(module, missing)]


@pytest.mark.parametrize('name', modules())
def test_no_module_is_shadowed(name):
    "What stands under a module's name is the module, at every level, so that `import … as` and `mock.patch` work."
    importlib.import_module(f'xent_course.{name}')
    found = xent_course
    for part in name.split('.'): found = getattr(found, part)
    assert isinstance(found, ModuleType) and found.__name__ == f'xent_course.{name}'


@pytest.mark.parametrize('path', sorted(PACKAGE.rglob('__init__.py')), ids=lambda path: path.parent.name)
def test_rooms_offer_nothing(path):
    if path.parent != PACKAGE: assert not path.read_text(encoding='utf-8').strip()


def imports(path):
    "The modules that a file imports, ours from below the package on: ('torch', 'support.checks', …)."
    place = ('xent_course', *path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import): yield from (alias.name.split('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level: yield node.module.split('.')[0]
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield '.'.join([*place[1:len(place) - node.level], node.module])


def allowed(name, other):
    "May the module `name` import `other`?"
    place, own = name.split('.')[0], '.' in other
    if place == 'support': return True
    if not own: return other in {'torch', *sys.stdlib_module_names} or other == 'fastai' and name in FASTAI
    if other in ('support.checks', 'support.fast', 'support.extras'): return True
    if name.startswith('lessons.mnist') and other in ('support.digits', 'support.loaders'): return True
    where, what = other.split('.')
    if place == 'doctor': return where in ('lessons', 'doctor')
    return where in ('lessons', 'further') and ORDER.index(what) < ORDER.index(name.split('.')[1])


@pytest.mark.parametrize('name', modules())
def test_imports_run_backwards(name):
    "Lessons import earlier ones, the checks, the fast losses and torch; figures and fastai have their own rooms."
    assert not [other for other in imports(modules()[name]) if not allowed(name, other)]


def test_would_notice():
    assert not allowed('lessons.softmax', 'lessons.nll') and not allowed('lessons.nll', 'matplotlib')
    assert not allowed('further.binary', 'fastai') and not allowed('doctor.diagnose', 'support.show')
    assert allowed('further.binary', 'lessons.nll') and allowed('lessons.nll', 'lessons.softmax')
