"What diagnose and check_training find, what they leave alone, and how often they are right."
import copy, math, random, re, warnings
from functools import cache, partial
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks import setups
from benchmarks.doctor import SETS, by_kind, counts, details, doctor, score
from benchmarks.setups import dev, held_out, new_dev, new_held_out, parts
from xent_course import CrossEntropyLoss, check_training, cross_entropy, log_softmax, mnist_loss, softmax
from xent_course.doctor.diagnose import diagnose
from xent_course.doctor.findings import OF_A_BATCH

ROOT = Path(__file__).resolve().parents[2]
g = torch.Generator().manual_seed(1)
x, t, words = torch.randn(32, 5, generator=g), torch.randint(5, (32,), generator=g), torch.randn(8, 20, 5, generator=g)
q, none, seq = softmax(torch.randn(32, 5, generator=g)), torch.full((32,), -100), torch.randint(5, (8, 20), generator=g)
hole, elsewhere = x.clone().scatter_(1, t[:, None], -math.inf), x.clone().scatter_(1, (t[:, None] + 1) % 5, -math.inf)
yes, hot, smooth = (t > 2).float(), F.one_hot(t, 5).float(), nn.CrossEntropyLoss(label_smoothing=.1)
square, square_target = nn.Linear(5, 5)(torch.randn(8, 5, 5, generator=g)), torch.randint(5, (8, 5), generator=g)
graph = x.clone().requires_grad_()
p, logp, some_classes = softmax(x), log_softmax(x), hot + hot.roll(1, 1)
labelled = 8 * F.one_hot(square_target, 5).float()
unknown, nobody, one_left = t.where(t > 0, 255), none + 355, none.where(none.cumsum(0) < -100, t)
nll, bce, kl = F.nll_loss, nn.BCEWithLogitsLoss(), nn.KLDivLoss(reduction='batchmean')
skipping, weighted = nn.CrossEntropyLoss(ignore_index=255), nn.CrossEntropyLoss(weight=1 / t.bincount())


def of(f, loss=nll): return lambda x, t: loss(f(x), t)
def at_target(x, t): return x.gather(1, t[:, None]).mean()
def squared(x, t): return ((x - t)**2).mean()
def margin(x, t): return F.multi_margin_loss(x, t)
def next_class(x, t): return F.cross_entropy(x, (t + 1) % 5)
def errors(x, t): return (x.argmax(1) != t).float().mean()
padded = (seq % 4 + 1).masked_fill(torch.arange(20) >= torch.arange(8, 16)[:, None], 0)
rare = torch.tensor([0] * 20 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3)
pixels, marks = torch.randn(4, 5, 5, 5, generator=g), torch.randint(2, (4, 5, 5, 5), generator=g).float()
def weigh(*shape): return nn.BCEWithLogitsLoss(pos_weight=torch.linspace(1, 30, 5).view(shape))


def focal(reduction):
    "The weight of the mean, or of each item."
    def loss(x, t):
        ce = F.cross_entropy(x, t, reduction=reduction)
        return ((1 - (-ce).exp())**2 * ce).mean()
    return loss


def rows_of(rows):
    "Distillation, item by item or pixel by pixel."
    return lambda x, t: -(rows(t).softmax(1) * rows(x).log_softmax(1)).sum(1).mean()


def mean_of_all(x, t): return -(t * x.log_softmax(1)).mean()
def mean_of_sums(x, t): return -(t * x.log_softmax(1)).sum(1).mean()


def masked_log(x, t):
    "Fine forwards, and 0 / 0 backwards."
    return F.cross_entropy(x, t) + torch.where(x > 0, x.log(), 0.).mean()


def hinge(sign):
    def loss(x, t):
        lead = x - x.gather(1, t[:, None])
        return (1 + sign * lead).relu().scatter(1, t[:, None], 0.).sum(1).mean()
    return loss


def smoothed(sign):
    "By hand; the smoothed part wants a minus."
    return lambda x, t: .9 * F.cross_entropy(x, t) + sign * .1 * x.log_softmax(1).mean()


def focal_labels(of_errors):
    "Weighs each label with 1 - p, or with p."
    def loss(x, t):
        ce = F.binary_cross_entropy_with_logits(x, t, reduction='none')
        return ((of_errors - (-ce).exp())**2 * ce).mean()
    return loss


def masked(mean):
    "Words of class 0 don't count."
    def loss(x, t):
        kept = t != 0
        return mean(F.cross_entropy(x.movedim(-1, 1), t, reduction='none') * kept, kept)
    return loss


def mean_of_kept(ce, kept): return ce.sum() / kept.sum()


# name -> batches that must be found out, each with one that is put right
CASES = {
    'logits dtype': [((t, x), (x, t))],
    'empty batch': [((x[:0], t[:0]), (x[:1], t[:1]))],
    'nan or inf': [
        ((x.masked_fill(x > 2, math.nan), t), (x, t)),
        ((x.masked_fill(x > 2, math.inf), t), (x, t))],
    'one output column': [
        ((x[:, :1], t * 0), (x[:, :2], t * 0)),
        ((x[:, :1], t), (x[:, :1], yes[:, None], bce))],
    'rows alike': [((x[:1].expand(32, 5), t), (0 * x, t))],
    'loss far above ln c': [((50 * x, t), (x, t))],
    'classes permuted': [((5 * F.one_hot((t + 1) % 5, 5) + x, t), (5 * F.one_hot(t, 5) + x, t))],
    'class axis': [
        ((square, square_target), (square.movedim(-1, 1), square_target)),
        ((labelled, square_target), (labelled.movedim(-1, 1) + .1 * square.detach(), square_target))],
    'all ignored': [
        ((x, none), (x, one_left)),
        ((x, nobody, skipping), (x, unknown, skipping))],
    'target not probabilities': [
        ((x, 2 * q), (x, q)),
        ((x, some_classes), (x, some_classes, bce))],
    'weights with probabilities': [((x, q, weighted), (x, t, weighted))],
    '-inf among the logits': [
        ((hole, t), (hole.clamp(min=-1), t)),
        ((elsewhere, t, smooth), (elsewhere, t)),
        ((elsewhere, hot), (elsewhere, t))],
    'double softmax': [
        ((p, t), (x, t)),
        ((p, t, nn.CrossEntropyLoss()), (p, t, of(torch.log)))],
    'softmax over the wrong axis': [((x.softmax(0), t), (x, t))],
    'activation at the end': [
        *(((f(graph), t), (graph, t)) for f in (torch.sigmoid, torch.tanh, torch.relu, F.gelu)),
        ((x.relu(), t), (x, t)),
        (((9 * x).sigmoid(), t), (9 * hot + x, t)),
        ((graph[:, 0].relu(), yes, bce), (x[:, 0], yes, bce))],
    'log_softmax twice': [((logp, t), (logp, t, nll))],
    'log missing': [
        ((p, t, nll), (logp, t, nll)),
        ((p, q, kl), (logp, q, kl))],
    'logits for log-probabilities': [
        ((x, t, nn.NLLLoss()), (logp, t, nn.NLLLoss())),
        ((x, q, kl), (logp, q, kl))],
    'logits for probabilities': [((x, t, of(torch.log)), (p, t, of(torch.log)))],
    'double sigmoid': [
        ((graph[:, 0].sigmoid(), yes, bce), (x[:, 0], yes, bce)),
        ((x[:, 0], yes, of(torch.sigmoid, bce)), (x[:, 0].sigmoid(), yes, nn.BCELoss()))],
    'wrong dtype': [
        ((x, t.float()), (x, t)),
        ((x, F.one_hot(t, 5)), (x, hot)),
        ((x, t.int(), nn.CrossEntropyLoss()), (x, t, nn.CrossEntropyLoss()))],
    'wrong shape': [
        ((x, t[:, None]), (x, t)),
        ((words, seq), (words.movedim(-1, 1), seq)),
        ((x, t[:30]), (x[:30], t[:30]))],
    'label out of range': [
        ((x, t + 1), (x, t)),
        ((x, t - 1, nn.CrossEntropyLoss()), (x, t, nn.CrossEntropyLoss()))],
    'loss raises': [((x, t, lambda x, t: x @ x), (x, t, CrossEntropyLoss()))],
    'loss not a number': [
        ((x, t, nn.CrossEntropyLoss(reduction='none')), (x, t, nn.CrossEntropyLoss(reduction='sum')))],
    'loss not finite': [((x, t, lambda x, t: x.sum() * math.nan), (x, t, F.cross_entropy))],
    'gradient not finite': [((x - x[:1], t, masked_log), (x - x[:1], t))],
    'negative loss': [((x, t, lambda x, t: margin(x, t) - 99), (x, t, margin))],
    'no gradient': [
        ((x, t, lambda x, t: F.cross_entropy(x, t).item()), (x, t)),
        ((x, t, errors), (x, t))],
    'wrong sign': [
        ((x, t, of(log_softmax, at_target)), (x, t, lambda x, t: -at_target(log_softmax(x), t))),
        ((x, t, hinge(-1)), (x, t, hinge(1)))],
    'no lower bound': [((x, t, smoothed(1)), (x, t, smoothed(-1)))],
    'confident errors cost nothing': [((x, some_classes, focal_labels(0)), (x, some_classes, focal_labels(1)))],
    'loss without effect': [((x, q.long(), mean_of_sums), (x, q, mean_of_sums))],
    'wrong column': [((x, t, next_class), (x, t, lambda x, t: F.cross_entropy(x / .07, t) + 3))],
    'activation inside the loss': [
        ((x, t, of(f, loss)), (x, t, loss))
        for f in (softmax, torch.sigmoid, torch.tanh, torch.relu) for loss in (cross_entropy, smooth)],
    'softmax inside over the batch': [((x, t, of(lambda x: x.log_softmax(0))), (x, t, of(lambda x: x.log_softmax(1))))],
    'no log inside the loss': [((x, t, lambda x, t: -at_target(softmax(x), t)), (x, t, cross_entropy))],
    'softmax, then log': [((x, t, of(lambda x: x.softmax(1).log())), (x, t, of(lambda x: x.log_softmax(1))))],
    'ceiling on the loss': [((x, t, of(lambda x: (x.softmax(1) + 1e-8).log())), (x, t, nn.MultiMarginLoss()))],
    'mean over classes': [
        ((logp, q, nn.KLDivLoss()), (logp, q, nn.KLDivLoss(reduction='sum'))),
        ((x, hot, mean_of_all), (x, hot, mean_of_sums))],
    'target outside 0 to 1': [((x[:, 0], 255 * yes, bce), (x[:, 0], yes, bce))],
    'class without gradient': [
        ((x, t, nn.CrossEntropyLoss(ignore_index=4)), (x, t.where(t != 4, -100))),
        ((x, t, lambda x, t: F.cross_entropy(x, t, ignore_index=4)), (x, t, lambda x, t: F.cross_entropy(x, t)))],
    'padding counted': [
        ((words.movedim(-1, 1), padded), (words.movedim(-1, 1), padded, partial(F.cross_entropy, ignore_index=0)))],
    'one class only': [
        ((x, 0 * t), (x, t)),
        ((words.view(16, 10, 5).movedim(-1, 1), 0 * seq.view(16, 10)), (words.movedim(-1, 1), 0 * seq))],
    'constant tail': [
        ((x, t.where(torch.arange(32) < 16, 4)), (x, t.where(torch.arange(32) < 16, -100))),
        ((words.movedim(-1, 1), seq.where(torch.arange(20) < 14, 2)), (words.movedim(-1, 1), seq))],
    'weights rise with frequency': [
        ((x, rare, nn.CrossEntropyLoss(rare.bincount().float())), (x, rare, nn.CrossEntropyLoss(1 / rare.bincount()))),
        *(((x[:, 0], (rare == 4).float(), nn.BCEWithLogitsLoss(pos_weight=torch.tensor(1 / w))),
           (x[:, 0], (rare == 4).float(), nn.BCEWithLogitsLoss(pos_weight=torch.tensor(w)))) for w in (2., 7.))],
    'arguments swapped': [((x, some_classes, lambda x, t: bce(t, x)), (x, some_classes, bce))],
    'wrong pairing': [
        ((words, seq, lambda x, t: F.cross_entropy(x.transpose(0, 1).reshape(-1, 5), t.flatten())),
         (words, seq, lambda x, t: F.cross_entropy(x.flatten(0, 1), t.flatten()))),
        ((x.view(8, 5, 4), q.view(8, 5, 4).softmax(1), rows_of(lambda x: x.view(-1, 5))),
         (x.view(8, 5, 4), q.view(8, 5, 4).softmax(1), rows_of(lambda x: x.movedim(1, -1).reshape(-1, 5))))],
    'items share a weight': [((x, t, focal('mean')), (x, t, focal('none')))],
    'weights along the wrong axis': [
        ((pixels, marks, weigh(5)), (pixels, marks, weigh(5, 1, 1)))],
    'averaged twice': [(
        (x, t, lambda x, t: F.cross_entropy(x, t) / len(t)), (x, t, lambda x, t: F.cross_entropy(x, t)))],
    'ignored are averaged in': [
        ((words, padded, masked(lambda ce, kept: ce.mean())), (words, padded, masked(mean_of_kept)))],
    'smoothing too strong': [
        ((x, t, nn.CrossEntropyLoss(label_smoothing=.9)), (x, t, nn.CrossEntropyLoss(label_smoothing=.1))),
        ((x, t, lambda x, t: F.cross_entropy(x, .2 * F.one_hot(t, 5) + .8 / 5)),
         (x, t, lambda x, t: F.cross_entropy(x, .8 * F.one_hot(t, 5) + .2 / 5)))],
    'smoothing with weights': [
        ((x, t, nn.CrossEntropyLoss(torch.arange(1., 6), label_smoothing=.1)),
         (x, t, nn.CrossEntropyLoss(torch.arange(1., 6)))),
        ((x, t, partial(F.cross_entropy, weight=torch.arange(1., 6), label_smoothing=.1)), (x, t, smooth))],
    'broadcast': [
        ((x[:, :1], yes, squared), (x[:, 0], yes, squared)),
        ((x[:, 0], yes[:, None], squared), (x[:, :1], yes[:, None], squared))],
}
PAIRS = [(name, *pair) for name, pairs in CASES.items() for pair in pairs]


def names(findings): return [f.rule for f in findings]


def test_every_finding_has_a_case(): assert list(CASES) and set(CASES) == set(OF_A_BATCH)


@pytest.mark.parametrize('name,bad,good', PAIRS, ids=lambda v: v if isinstance(v, str) else '')
def test_found_and_fixed(name, bad, good):
    assert name in names(diagnose(*bad, verbose=False)) and diagnose(*good, verbose=False) == []


def test_dtypes_and_single_rows():
    found = partial(diagnose, verbose=False)
    for dtype in torch.float16, torch.bfloat16, torch.float64:
        assert names(found(softmax(x.to(dtype)), t)) == ['double softmax'] and found(x.to(dtype), t) == []
        assert names(found(log_softmax(x.to(dtype)), t)) == ['log_softmax twice']
    assert found(x[0], t[0]) == found(x[0], q[0]) == found(x[0, 0], yes[0], F.mse_loss) == []
    assert found(x[:, 0], (t > 2).long(), mnist_loss) == []
    for loss in F.cross_entropy, smooth:
        assert found(words, seq, lambda x, t: loss(x.reshape(-1, 5), t.reshape(-1))) == []


def test_a_gpu_survives_being_asked(device):
    "A BCELoss is asked for numbers that are no probabilities: on a GPU the first one would end the program."
    p, t = x[:, 0].sigmoid().to(device), yes.to(device)
    assert diagnose(p, t, nn.BCELoss(), verbose=False) == []
    twice = lambda x, t: F.cross_entropy(x.softmax(1), t)
    assert 'activation inside the loss' in names(diagnose(x.to(device), yes.long().to(device), twice, verbose=False))
    assert torch.ones(2, device=device).sum() == 2


def test_says_it_in_words(capsys):
    diagnose(softmax(x), t)
    diagnose(50 * x, t)
    diagnose(x, t)
    said = capsys.readouterr().out
    assert said.startswith('Error: double softmax. The network gives probabilities') and 'a floor of 0.9048' in said
    assert 'Warning: loss far above ln c. The loss is' in said and said.endswith('Nothing found.\n')


def healthy(seed):
    "Random logits that lean towards their targets by anything from nothing to a lot."
    g = torch.Generator().manual_seed(seed)
    draw = lambda low, high: torch.randint(low, high, (), generator=g).item()
    n, c, more = draw(2, 65), draw(2, 200), [(), (7,), (3, 4)][draw(0, 3)]
    target = torch.randint(c, (n, *more), generator=g)
    noise = torch.randn((n, c, *more), generator=g) * draw(1, 25) / 10
    logits = noise + F.one_hot(target, c).movedim(-1, 1) * draw(0, 12)
    return logits.to([torch.float32, torch.float16, torch.bfloat16, torch.float64][draw(0, 4)]), target


@pytest.mark.parametrize('count', [200, pytest.param(1000, marks=pytest.mark.study)])
def test_healthy_batches_raise_nothing(count):
    losses = None, CrossEntropyLoss(), F.cross_entropy
    found = {seed: names(diagnose(*healthy(seed), losses[seed % 3], verbose=False)) for seed in range(count)}
    assert {seed: wrong for seed, wrong in found.items() if wrong} == {}


def state(model, opt, batch):
    "All that a look must leave alone."
    kept = model.state_dict(), [m.training for m in model.modules()], [w.grad for w in model.parameters()]
    chance = torch.get_rng_state(), random.getstate(), [*map(str, np.random.get_state())]
    return copy.deepcopy([*kept, opt.state_dict(), list(batch), *chance])


def same(a, b):
    if isinstance(a, torch.Tensor): return torch.equal(a, b)
    if isinstance(a, dict): return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)): return len(a) == len(b) and all(map(same, a, b))
    return a == b


class Failing(nn.Module):
    "Breaks at its `last` call, and uses every random number there is."
    def __init__(self, last): super().__init__(); self.last, self.inner = last, setups.cnn(10, drop=.2)
    def forward(self, x):
        random.random(), np.random.rand()
        Failing.calls += 1
        if Failing.calls == self.last: raise RuntimeError('enough')
        return self.inner(x)


@pytest.mark.parametrize('last', [1, 2, 5, 15, 30, 10_000])
def test_nothing_is_changed_by_looking(last):
    Failing.calls = 0
    torch.manual_seed(0)
    model, batch = Failing(last), setups.small_digits(flat=False)
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    F.cross_entropy(model.inner(batch[0]), batch[1]).backward(); opt.step()  # there are gradients and a state of Adam
    model.inner[0].eval()
    before = state(model, opt, batch)
    look = lambda: check_training(model, batch, nn.CrossEntropyLoss(), opt, verbose=False)
    report = look()
    if last == 1: assert report.rules == ['model raises']
    elif 2 < last < 10_000: assert report.not_looked and 'RuntimeError: enough' in str(report)
    elif last == 10_000: assert report == [] and not report.not_looked
    assert same(before, state(model, opt, batch))


def test_diagnose_changes_nothing():
    torch.manual_seed(0)
    a, b = x.clone().requires_grad_(), t.clone()
    noisy = lambda x, t: F.cross_entropy(F.dropout(x, .5) + random.random() + np.random.rand(), t)
    chance, python_chance, numpy_chance = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    diagnose(a, b, noisy, verbose=False)
    assert a.grad is None and torch.equal(a, x) and torch.equal(b, t) and torch.equal(chance, torch.get_rng_state())
    assert python_chance == random.getstate() and (numpy_chance == np.random.get_state()[1]).all()


class Dropping(nn.Module):
    def __init__(self): super().__init__(); self.last = nn.Linear(64, 10)
    def forward(self, x): return self.last(F.dropout(x, .3))


def vanishing():
    torch.manual_seed(0)
    net = setups.mlp(64, 20, 10)
    net[0].weight.data *= 1e6
    return nn.Sequential(net[0], setups.Apply(nn.Identity(), lambda x: x * 1e-6), *net[1:])


def found_in_dev():
    "The rules that the set-ups that it was made with, and two more, break."
    found = set()
    for _, make in dev.BROKEN:
        torch.manual_seed(0)
        s = make()
        found |= set(names(check_training(s.model, s.batch, s.loss_func, s.opt, verbose=False)))
    found |= set(names(check_training(Dropping(), setups.small_digits(), verbose=False)))
    return found | set(names(check_training(vanishing(), setups.small_digits(), verbose=False)))


def test_any_output_and_any_batch():
    batch = setups.small_digits()
    inner = setups.mlp(64, 30, 10)
    class Output:
        def __init__(self, x): self.logits = x
    for after in (lambda x: (x, None)), Output:
        assert check_training(setups.Apply(inner, after), batch, verbose=False) == []
    wrong = setups.Apply(inner, lambda x: {'y': x})
    with pytest.raises(TypeError, match='must give a tensor of logits, or an object with .logits, got dict'):
        check_training(wrong, batch, verbose=False)
    assert check_training(inner, list(batch), verbose=False) == []  # as a DataLoader gives it


@cache
def scored(name):
    "What the doctor sees in each set-up."
    warnings.simplefilter('ignore')
    return score(doctor, SETS[name])


@pytest.mark.parametrize('name,named', [
    ('dev', .9),
    *(pytest.param(*of, marks=pytest.mark.slow) for of in (('held_out', .9), ('new_dev', .75), ('later', .65)))])
def test_meets_its_target(name, named):
    "Most faults are named, nothing healthy is called an error, and not one in forty warned of."
    results = scored(name)
    n = counts(results)
    assert n['broken'] >= 40 and n['named'] >= named * n['broken'], details(results)
    assert not n['false errors'] and not any(r.failed for r in results), details(results)
    assert n['false warnings'] <= .025 * n['healthy'], details(results)


def test_sets_are_apart():
    for one, other, kinds in (dev, held_out, set(setups.KINDS)), (new_dev, new_held_out, set(parts.KINDS)):
        assert len(one.BROKEN) + len(other.BROKEN) >= 80 and len(one.HEALTHY) + len(other.HEALTHY) >= 40
        assert {kind for kind, *_ in one.BROKEN} == {kind for kind, *_ in other.BROKEN} == kinds
        names = [f.__name__ for s in (one, other) for f in [*[fault[1] for fault in s.BROKEN], *s.HEALTHY]]
        assert len(set(names)) == len(names)
        assert all(f.twin in s.HEALTHY for s in (one, other) for f in s.BROKEN if hasattr(f, 'twin'))


@pytest.mark.slow
def test_page_has_the_table():
    "The bench's kinds and numbers of set-ups; counts may differ by one where numbers are rounded otherwise."
    cells = nbformat.read(ROOT/'nbs'/'doctor'/'index.ipynb', as_version=4).cells
    page, = (cell.source for cell in cells if '| kind of fault |' in cell.source)
    row = re.compile(r'^\| (?:\*\*)?([^|*]+?)(?:\*\*)? \| \**(\d+)\** \|(?:.*\|)? \**(\d+)\** \|$', re.M)
    rows = lambda text: {kind: [int(n), int(named)] for kind, n, named in row.findall(text)}
    said, now = rows(page), rows(by_kind(scored('held_out')))
    assert said.keys() == now.keys() and len(now) == len(setups.KINDS) + 1
    assert all(abs(a - b) <= 1 for kind in now for a, b in zip(said[kind], now[kind]))
    assert said['all'][0] == now['all'][0]
