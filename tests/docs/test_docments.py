"Every public name says what it is, and what each of its arguments is."
import importlib.resources, inspect, subprocess, sys

import pytest
from fastcore.docments import docments

import xent_course
from tests.docs.test_house import modules


def public():
    "Every name in any `__all__`, with what it names."
    for name in modules():
        module = importlib.import_module(f'xent_course.{name}')
        yield from ((f'{name}.{public}', getattr(module, public)) for public in module.__all__)


def undocumented(obj):
    "What a reader would miss: the docstring, or the names of arguments without a docment."
    missing = [] if (inspect.getdoc(obj) or '').strip() else ['docstring']
    members = vars(obj).items() if inspect.isclass(obj) else ()
    methods = [m for n, m in members if inspect.isfunction(m) and not n.startswith('_') and n != 'extra_repr']
    for f in [obj, *methods]:
        if f is not obj: missing += [] if inspect.getdoc(f) else [f'docstring of {f.__name__}']
        meanings = docments(f, full=True)
        an_event = f is not obj and list(inspect.signature(f).parameters) == ['self']  # as fastai has them
        if inspect.isclass(f) or an_event: meanings.pop('return', None)
        inherited = inspect.isclass(f) and '__init__' not in vars(f) and not vars(f).get('__annotations__')
        if inherited: meanings = {}
        missing += [f'{f.__name__}: {name}' for name, d in meanings.items() if name != 'self' and not d['docment']]
    return missing


@pytest.mark.parametrize('name,obj', list(public()), ids=lambda v: v if isinstance(v, str) else '')
def test_documented(name, obj): assert undocumented(obj) == []


def test_would_notice():
    def bare(x): return x
    def half(x, # a number
             y): "Adds."
    assert undocumented(bare) == ['docstring', 'bare: x', 'bare: return'] and 'half: y' in undocumented(half)


def test_one_door():
    "The top offers the loss, `diagnose` and `check_training`: the functions, under a docstring that names the rooms."
    assert len(xent_course.__all__) == 15 and {'cross_entropy', 'diagnose', 'check_training'} < set(xent_course.__all__)
    assert xent_course.__all__ == sorted(xent_course.__all__, key=lambda name: (name[0].islower(), name))
    for name in xent_course.__all__:
        obj = getattr(xent_course, name)
        assert callable(obj) and name in sys.modules[obj.__module__].__all__
    for room in 'lessons', 'further', 'doctor', 'support': assert f'xent_course.{room}`' in xent_course.__doc__
    assert importlib.import_module('xent_course.support.checks').__all__ == []


def test_the_door_is_typed():
    assert (importlib.resources.files('xent_course')/'py.typed').is_file()


def test_importing_it_imports_torch_alone():
    "Beside what torch imports, nothing but itself and Python's own: it costs what importing torch costs."
    code = ('import sys, torch; before = set(sys.modules); import xent_course; '
            'print(*{m.split(".")[0] for m in set(sys.modules) - before})')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert 'xent_course' in loaded <= {'xent_course', 'torch', *sys.stdlib_module_names}
