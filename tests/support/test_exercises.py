"Each exercise is asked, unrun, and solved at its lesson's end; each question has one right option and says why."
import math, re
from fractions import Fraction

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tools.run_lessons import is_stub, room
from xent_course.support.marking import _odd_answers, check, exercises, load_exercises, mark

SPINE, FURTHER = room('lessons'), room('further')
load_exercises()


def checks(path, strict):
    "Name of each exercise that a lesson checks, strictly or not -> what the answer is called, and its cell."
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != 'code': continue
        match = re.search(r"^check\('(.+?)', (\w+)(, strict=True)?\)$", cell.source, re.M)
        if match and bool(match[3]) == strict: found[match[1]] = match[2], cell
    return found


@pytest.mark.parametrize('path', [p for p in SPINE + FURTHER if checks(p, strict=False)], ids=lambda p: p.stem)
def test_asked_and_solved(path):
    asked, solved = checks(path, strict=False), checks(path, strict=True)
    most = 10 if path.stem == '01_review' else 4
    assert list(asked) == list(solved), 'each exercise has a stub and a solution, in the same order'
    assert 2 <= len(asked) <= most, f'a lesson has 2 to {most} exercises, and this one {len(asked)}: replace one'
    for (answer, stub), (same, solution) in zip(asked.values(), solved.values()):
        assert is_stub(stub.source) and not is_stub(solution.source)
        assert not stub.outputs and not stub.metadata.get('jupyter')  # a page shows no hint to what nobody has answered
        assert solution.outputs[-1].data['text/plain'].startswith('✓') and solution.metadata.jupyter.source_hidden
        assert answer == same


def test_none_is_forgotten():
    asked = {name for path in SPINE + FURTHER for name in checks(path, strict=False)}
    assert not asked ^ set(exercises), 'asked in no lesson, or in no notebook of support/exercises'


@pytest.mark.parametrize('path', SPINE + [p for p in FURTHER if p.stem != '01_review'], ids=lambda p: p.stem)
def test_questions_mark_themselves(path):
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == 'markdown']
    questions = [text for text in texts if re.match(r'\*\*\d+\.\*\* ', text)]
    freely = [question for question in questions if '<summary>What we would say</summary>' in question]
    assert freely == (questions[-1:] if path in SPINE else [])  # the last one has no options
    questions = [question for question in questions if question not in freely]
    assert len(questions) >= 3
    places = []
    for question in questions:
        options = re.findall(r'<details><summary>(.+?)</summary>\n\n([✓✗]) (.{10,}?)\n\n</details>', question)
        marks = [mark for _, mark, _ in options]
        assert len(options) == question.count('<details>') == 3 and marks.count('✓') == 1, question
        lengths = [len(re.sub('<.*?>', '', text)) for text, _, _ in options]
        assert max(lengths) <= 1.35 * min(lengths) + 3, question  # the right one is not given away by its length
        places.append(marks.index('✓'))
    assert len(set(places)) > 1  # not always the same option


@pytest.mark.parametrize('name', sorted(exercises))
def test_marks(name):
    "The right answer passes, but no other shape, dtype or kind, and nothing odd; each mistake gets its own hint."
    e = exercises[name]
    assert check(name, e.right).message == e.praise and len(e.mistakes) >= 3
    for mistake, hint in e.mistakes: assert not check(name, mistake) and check(name, mistake).message == hint
    count = len(distorted(e.right(*e.cases[0]) if e.cases else e.right))
    for k in range(count):
        assert not check(name, (lambda *a: distorted(e.right(*a))[k]) if e.cases else distorted(e.right)[k]), k
    for odd in _odd_answers(): assert not check(name, odd), odd


def distorted(value):
    "The same value in other shapes, dtypes and kinds."
    if not isinstance(value, torch.Tensor): return [[value], str(value), {'answer': value}]
    more = [value.half(), value.tolist()] if value.ndim else []
    return [value[None], value[..., None], value.to(torch.complex64), *more]


def rows(t): return range(len(t))


def shifted(by):
    "Softmax, logsumexp, log_softmax and cross-entropy, with each row shifted by something that is not its maximum."
    softmax = lambda x: (x - by(x)).exp() / (x - by(x)).exp().sum(1, keepdim=True)
    logsumexp = lambda x: (x - by(x)).exp().sum(1).log() + by(x)[:, 0]
    return {'2.2': softmax, '5.2': logsumexp, '5.3': lambda x: x - logsumexp(x)[:, None],
            'mixed 10': lambda x, t: (logsumexp(x) - x[rows(t), t]).mean()}


def safe_cross_entropy(x, t):
    "Without PyTorch's own."
    x = x - x.amax(1, keepdim=True)
    return (x.exp().sum(1).log() - x[rows(t), t]).mean()


# Plausible answers that hold on easy inputs, and answers that are right in an unusual form.
WRONG = [('1.3', lambda x, end=end: torch.sigmoid(x.clamp(-end, end))) for end in (20, 50, 80)] + [
    *shifted(lambda x: x[:, :1]).items(), *shifted(lambda x: x.mean(1, keepdim=True)).items(),
    *shifted(lambda x: x.amin(1, keepdim=True)).items(),
    ('3.1', lambda p, t: p.gather(1, t[:, None]).squeeze()),
    ('5.1', lambda p: (p + 1e-8).log().sum()),
    ('5.3', lambda x: F.softmax(x.double(), 1).log().float()),
    ('6.2', lambda x, t: F.nll_loss(F.softmax(x.double(), 1).log(), t).float()),
    ('6.2', F.cross_entropy), ('mixed 10', F.cross_entropy),
    ('6.4', lambda x, t: F.nll_loss(F.softmax(x, 1).log(), t)),
    ('mixed 6', lambda x, t: F.cross_entropy(x, t, reduction='sum') / (t > 0).sum()),
    ('mixed 1', .951), ('mixed 5', 2.31), ('mixed 9', 1.45), ('mixed 3', .76), ('6.1', 36)]
RIGHT = [
    ('6.1', 37.), ('6.1', torch.tensor(37)), ('6.1', Fraction(37)), ('6.1', np.int64(37)),
    ('mixed 3', Fraction(3, 4)), ('mixed 3', torch.tensor(.75, dtype=torch.float64)),
    ('mixed 1', .953), ('mixed 1', np.float32(.9526)), ('mixed 9', 1.46),
    ('mixed 2', [(4, 10), (4, 4), (4,)]), ('mixed 2', [torch.Size([4, 10]), [4, 4], (4,)]),
    ('3.4', lambda p, t: (p.topk(2, 1).indices == t[:, None]).any(1).float().mean().item()),
    ('4.1', lambda logp, t: -logp[rows(t), t].mean().item()),
    ('4.1', lambda logp, t: -logp.double()[rows(t), t].mean()),
    ('5.4', lambda loss: torch.tensor(loss) / math.log(2)), ('5.4', lambda loss: np.float64(loss) / np.log(2)),
    ('8.1', lambda x, t: (x.argmax(1) != t).float().sum()), ('8.1', lambda x, t: float((x.argmax(1) != t).sum())),
    ('mixed 10', safe_cross_entropy)]


@pytest.mark.parametrize('name,answer', WRONG, ids=lambda v: v if isinstance(v, str) else '')
def test_wrong_is_refused(name, answer): assert not mark(exercises[name], answer)


@pytest.mark.parametrize('name,answer', RIGHT, ids=lambda v: v if isinstance(v, str) else '')
def test_right_is_accepted(name, answer): assert mark(exercises[name], answer), mark(exercises[name], answer)


# What is said must fit the mistake: not any error has the cause that one of them has, and a gradient is called one.
HINTS = [
    ('mixed 4', lambda x, t: 1 / 0 if len(x) else None, 'There is an error, ZeroDivisionError', 'classes on axis 1'),
    ('mixed 4', lambda x, t: torch.zeros(2) @ torch.zeros(3), 'There is an error, RuntimeError', 'classes on axis 1'),
    ('2.1', lambda x: F.softmax(x, 1).double().int(),
     'The dtype should be torch.float32, and is torch.int32', 'and is (5, 4)'),
    ('1.3', lambda x: torch.sigmoid(x).detach() + 0 * x,
     'The values are right, but not the gradient', 'the result should be'),
    ('2.2', shifted(lambda x: x.mean(1, keepdim=True))['2.2'], 'This subtracts the mean', 'smallest')]


@pytest.mark.parametrize('name,answer,said,unsaid', HINTS, ids=lambda v: v if isinstance(v, str) else '')
def test_hint_fits(name, answer, said, unsaid):
    message = mark(exercises[name], answer).message
    assert said in message and unsaid not in message
