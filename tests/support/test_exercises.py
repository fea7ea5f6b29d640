"Each exercise is asked, unrun, and solved at its lesson's end; each question has one right option and says why."
import math, random, re, subprocess, sys
from fractions import Fraction

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tools.run_lessons import is_stub, room
from xent_course.support.exercises.break_it import bce
from xent_course.support.marking import Exercise, _exercises as exercises, _odd_answers, check, load_exercises, mark

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
    assert mark(e, e.right).message == e.praise and len(e.mistakes) >= 3
    for mistake, hint in e.mistakes: assert not mark(e, mistake) and mark(e, mistake).message == hint
    count = len(distorted(e.right(*e.cases[0]) if e.cases else e.right))
    for k in range(count):
        assert not check(name, (lambda *a: distorted(e.right(*a))[k]) if e.cases else distorted(e.right)[k]), k
    for odd in _odd_answers(): assert not check(name, odd), odd


@pytest.mark.parametrize('name', sorted(exercises))
def test_right_answers_are_not_handed_out(name):
    "Not by the door that everybody imports; and a function from behind it is refused."
    from xent_course.support.marking import exercises as door
    with pytest.raises(TypeError, match='give your answer to check'): door[name]
    right = exercises[name].right
    if getattr(right, '__module__', '').startswith('xent_course'): assert "course's own" in check(name, right).message
    elif callable(right): assert check(name, right)  # PyTorch's own, which a learner may give, too


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


def two_by_two(row):
    "logsumexp of one row by PyTorch's logaddexp."
    total = row[0]
    for logit in row[1:]: total = torch.logaddexp(total, logit)
    return total


def safe_cross_entropy(x, t):
    "Without PyTorch's own."
    x = x - x.amax(1, keepdim=True)
    return (x.exp().sum(1).log() - x[rows(t), t]).mean()


def by_autograd(x, t):
    x.requires_grad_()
    F.cross_entropy(x, t).backward()
    return x.grad


def trained(loss, outputs, steps=200, lr=.05):
    "The script of break 1 and break 2."
    def train(x, y):
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs))
        opt = torch.optim.Adam(net.parameters(), lr=lr)
        for _ in range(steps):
            l = loss(net(x), y)
            opt.zero_grad()
            l.backward()
            opt.step()
        return l
    return train


def yes_or_no(x, y): return bce(x[:, 0], (y == 1).float())


def gap(x, t): return F.softmax(x, 1).amax(1).mean() - (x.argmax(1) == t).float().mean()


def positive_and_negative(x):
    "A sigmoid in float32 whatever x is, as one who fills a result in two steps writes it."
    p, low = torch.empty(len(x)), x < 0
    p[~low], p[low] = 1 / (1 + torch.exp(-x[~low])), torch.exp(x[low]) / (1 + torch.exp(x[low]))
    return p


# Plausible answers that hold on easy inputs, and answers that are right in an unusual form.
WRONG = [('1.3', lambda x, end=end: torch.sigmoid(x.clamp(-end, end))) for end in (20, 50, 80)] + [
    *shifted(lambda x: x[:, :1]).items(), *shifted(lambda x: x.mean(1, keepdim=True)).items(),
    *shifted(lambda x: x.amin(1, keepdim=True)).items(),
    ('3.1', lambda p, t: p.gather(1, t[:, None]).squeeze()),
    ('5.1', lambda p: (p + 1e-8).log().sum()),
    ('5.3', lambda x: F.softmax(x.double(), 1).log().float()),
    ('6.2', lambda x, t: F.nll_loss(F.softmax(x.double(), 1).log(), t).float()),
    ('6.2', F.cross_entropy), ('mixed 10', F.cross_entropy),
    ('mixed 6', lambda x, t: F.cross_entropy(x, t, reduction='sum') / (t > 0).sum()),
    ('1.3', torch.sigmoid), ('1.3', torch.nn.Sigmoid()), ('1.3', torch.special.expit),
    ('1.3', lambda x: (x.double().exp() / (1 + x.double().exp())).float()),
    ('3.3', lambda p, allowed: p[:, allowed].sum(1) > .5), ('3.3', lambda p, allowed: (p[:, allowed] > .5).any(1)),
    ('5.1', lambda p: p.double().prod().log()), ('5.1', lambda p: (p.double() + 1e-12).log().sum()),
    ('5.3', lambda x: x.log_softmax(1)), ('5.3', torch.nn.LogSoftmax(1)),
    ('7.1', by_autograd), ('7.1', torch.func.grad(F.cross_entropy)),
    ('8.1', lambda x, t: ((x[:, 1] > x[:, 0]) != t).sum()), ('8.1', lambda x, t: (x[:, :2].argmax(1) != t).sum()),
    ('sees 2', lambda x, t: gap(x, t).abs()), ('sees 2', lambda x, t: gap(x, t).clamp(min=0)),
    ('binary 1', lambda x: x >= 0), ('binary 1', lambda x: torch.sigmoid(x) >= .5),
    *[('break 1', trained(F.cross_entropy, 3, **other)) for other in ({'steps': 190}, {'steps': 220}, {'lr': .051})],
    *[('break 2', trained(yes_or_no, 1, **other)) for other in ({'steps': 190}, {'steps': 220}, {'lr': .051})],
    ('mixed 10', lambda x, t: (torch.stack([two_by_two(row) for row in x]) - x[rows(t), t]).mean()),
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
    ('1.1', lambda s: torch.tensor([1 / (1 + math.exp(b - a)) for a, b in s.tolist()])),
    ('1.3', positive_and_negative), ('mixed 8', lambda x: x @ torch.tensor([[0., 1.]])),
    ('6.4', lambda x, t: F.nll_loss(F.softmax(x, 1).log(), t)),
    ('fair 1', lambda a, b: torch.stack([(a & ~b).sum(), (b & ~a).sum()])),
    ('fair 1', lambda a, b: [(a & ~b).sum(), (b & ~a).sum()]),
    ('fair 1', lambda a, b: np.array([(a & ~b).sum(), (b & ~a).sum()])),
    ('next 1', lambda t: torch.stack([t[:, :-1], t[:, 1:]])),
    ('8.1', lambda x, t: (x.numpy().argmax(1) != t.numpy()).sum()), ('5.4', lambda loss: np.array(loss / math.log(2))),
    ('7.1', torch.no_grad()(lambda x, t: (F.softmax(x, 1) - F.one_hot(t, x.shape[1])) / len(t))),
    ('break 1', trained(lambda x, y: F.nll_loss(x.log_softmax(1), y), 3)),
    ('break 2', trained(lambda x, y: F.binary_cross_entropy_with_logits(x.squeeze(1), (y == 1).float()), 1)),
    ('mixed 10', safe_cross_entropy)]


@pytest.mark.parametrize('name,answer', WRONG, ids=lambda v: v if isinstance(v, str) else '')
def test_wrong_is_refused(name, answer): assert not mark(exercises[name], answer)


@pytest.mark.parametrize('name,answer', RIGHT, ids=lambda v: v if isinstance(v, str) else '')
def test_right_is_accepted(name, answer): assert mark(exercises[name], answer), mark(exercises[name], answer)


# What is said must fit the mistake: not any error has the cause that one of them has, and a gradient is called one.
HINTS = [
    ('mixed 4', lambda x, t: 1 / 0 if len(x) else None, 'Your code raised ZeroDivisionError', 'classes on axis 1'),
    ('mixed 4', lambda x, t: torch.zeros(2) @ torch.zeros(3), 'Your code raised RuntimeError', 'classes on axis 1'),
    ('2.1', lambda x: F.softmax(x, 1).double().int(),
     'The dtype should be torch.float32, and is torch.int32', 'and is (5, 4)'),
    ('1.3', lambda x: torch.sigmoid(x).detach() + 0 * x,
     'The values are right, but not the gradient', 'the result should be'),
    ('2.1', lambda x: F.softmax(x, 1).numpy(), 'is a NumPy array of shape (6, 2): torch.tensor(...)', 'compared'),
    ('3.3', lambda p, allowed: ~(p.argmax(1)[:, None] == allowed).any(1), 'should be [True, ', '1.0'),
    ('5.4', lambda loss: 1.0005 * loss / math.log(2), 'should be 2.2583, and is 2.2594', 'Not answered'),
    ('2.4', lambda lead, p: 1.0002 * lead / math.log(p / (1 - p)), 'should be 1.3654, and is 1.3656', 'Not answered'),
    ('5.1', lambda p: p.log().sum() * 1.00011, 'should be -2.4079, and is -2.4082', 'Not answered'),
    ('1.3', lambda x: .5 + .5 * torch.tanh(x / 2), '9.3576e-14', 'calls'),
    ('8.3', lambda x, w, t, lr: w.sub_(1), 'Your function overwrites its arguments', 'error'),
    ('2.2', shifted(lambda x: x.mean(1, keepdim=True))['2.2'], 'This subtracts the mean', 'smallest')]


@pytest.mark.parametrize('name,answer,said,unsaid', HINTS, ids=lambda v: v if isinstance(v, str) else '')
def test_hint_fits(name, answer, said, unsaid):
    message = mark(exercises[name], answer).message
    assert said in message and unsaid not in message


@pytest.mark.parametrize('number', [1 / 3, 1., .99999, 123_456., 1e-30])
def test_two_numbers_never_print_alike(number):
    answer = lambda x: 1.00011 * x
    for x in number, torch.tensor([number]), torch.full((20,), number):
        exercise = Exercise(right=lambda x: x, mistakes=[], cases=((x,),), atol=0)
        right, given = re.search(r'should be (.+), and is (.+?)\. ', mark(exercise, answer).message).groups()
        assert right != given


@pytest.mark.parametrize('name', sorted(n for n in exercises if exercises[n].cases))
def test_unanswered(name):
    def dots(*arguments): ...
    for answer in (dots, lambda *a: ..., lambda *a: (..., ...), lambda *a: [..., ...]):
        assert mark(exercises[name], answer).message.startswith('Not answered yet'), name


@pytest.mark.parametrize('setting', [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_marks_whatever_the_notebook_has_switched_off(setting):
    with setting():
        assert not mark(exercises['1.3'], lambda x: torch.exp(x) / (1 + torch.exp(x)))
        assert not mark(exercises['1.3'], lambda x: exercises['1.3'].right(x).detach())
        assert not mark(exercises['break 1'], trained(lambda x, y: F.cross_entropy(x.softmax(1), y), 3, steps=2))
        assert mark(exercises['1.3'], exercises['1.3'].right)
        assert mark(exercises['break 3'], exercises['break 3'].right)


def state():
    return (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_rng_state().tolist(), random.getstate(),
            np.random.get_state()[1].tolist())


def test_nothing_is_left_changed():
    def rude(x):
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - what a learner writes
        return F.softmax(x, 1)
    def ruder(x): return 1 / len(rude(x)[:0])
    before = state()
    assert mark(exercises['2.1'], rude) and state() == before
    assert not mark(exercises['2.1'], ruder) and state() == before
    assert mark(exercises['break 1'], exercises['break 1'].right) and state() == before
    with torch.no_grad(): assert mark(exercises['2.1'], rude) and not torch.is_grad_enabled()


def test_loading_is_the_same_in_any_setting():
    "Importing the exercises changes no random numbers, and their numbers are float32 whatever the default is."
    code = """
import random
import numpy as np, torch
from xent_course.support.marking import _exercises as exercises, check
torch.set_default_dtype(torch.float64)
torch.manual_seed(5), random.seed(5), np.random.seed(5)
def state(): return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
before = state()
with torch.no_grad(): assert check('1.1', lambda s: torch.sigmoid(s[:, 0] - s[:, 1]))
assert state() == before and exercises['1.1'].cases[0][0].dtype == torch.float32
"""
    subprocess.run([sys.executable, '-c', code], check=True)


def test_no_tick_where_the_right_answer_fails():
    def fail(x): raise ValueError('no')
    broken = Exercise(right=fail, mistakes=[], cases=((1.,),))
    for answer in (fail, lambda x: x):
        assert not mark(broken, answer) and "the course's own" in mark(broken, answer).message


@pytest.mark.parametrize('name,near', [('6.9', '6.'), ('mixed 33', 'mixed 3'), ('brake 1', 'break 1'), (2.1, '2.1')])
def test_a_mistyped_name(name, near):
    with pytest.raises(ValueError, match=f"the nearest are '{near}") as e: check(name, 1)
    assert len(str(e.value)) < 100
