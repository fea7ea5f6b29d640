"Every public name says what it is, and what each of its arguments is."
import importlib, inspect, pkgutil, subprocess, sys

import pytest
from fastcore.docments import docments

import xent_course

LOSS = ['sigmoid', 'softmax', 'indexing', 'nll', 'log_softmax', 'gradient', 'cross_entropy']
DOCTOR = ['diagnose', 'checkup']


def public():
    "Every name in any `__all__`, with what it names."
    for info in pkgutil.iter_modules(xent_course.__path__):
        module = importlib.import_module(f'xent_course.{info.name}')
        if not info.name.startswith('_'): yield from ((f'{info.name}.{name}', getattr(module, name)) for name in module.__all__)


def undocumented(obj):
    "What a reader would miss: the docstring, or the names of arguments without a docment."
    missing = [] if (inspect.getdoc(obj) or '').strip() else ['docstring']
    methods = [m for n, m in vars(obj).items() if inspect.isfunction(m) and not n.startswith('_') and n != 'extra_repr'] if inspect.isclass(obj) else []
    for f in [obj, *methods]:
        if f is not obj: missing += [] if inspect.getdoc(f) else [f'docstring of {f.__name__}']
        meanings = docments(f, full=True)
        if inspect.isclass(f): meanings.pop('return', None)
        if f is not obj and list(inspect.signature(f).parameters) == ['self']: meanings.pop('return', None)  # as fastai's events
        if inspect.isclass(f) and '__init__' not in vars(f) and not vars(f).get('__annotations__'): meanings = {}  # those of its base class
        missing += [f'{f.__name__}: {name}' for name, d in meanings.items() if name != 'self' and not d['docment']]
    return missing


@pytest.mark.parametrize('name,obj', list(public()), ids=lambda v: v if isinstance(v, str) else '')
def test_documented(name, obj): assert undocumented(obj) == []


def test_would_notice():
    def bare(x): return x
    def half(x, # a number
             y): "Adds."
    assert undocumented(bare) == ['docstring', 'bare: x', 'bare: return'] and 'half: y' in undocumented(half)


def test_one_import_for_the_loss():
    "`from xent_course import …` offers the public names of lessons 01 to 07 and of the doctor, and the functions themselves."
    offered = {name: obj for module in LOSS + DOCTOR for name, obj in vars(importlib.import_module(f'xent_course.{module}')).items()
               if name in importlib.import_module(f'xent_course.{module}').__all__}
    assert len(offered) == 17 and offered.items() <= vars(xent_course).items()
    assert importlib.import_module('xent_course.checks').__all__ == []
    assert not any(inspect.isfunction(obj) and name not in offered for name, obj in vars(xent_course).items())


def test_loss_modules_import_torch_alone():
    "Beside what torch imports, they take nothing but each other and Python's own: importing the package costs what importing torch costs."
    code = 'import sys, torch; before = set(sys.modules); import xent_course, xent_course.diagnose; print(*{m.split(".")[0] for m in set(sys.modules) - before})'
    loaded = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.split()
    assert 'xent_course' in loaded and set(loaded) <= {'xent_course', 'torch', *sys.stdlib_module_names}
