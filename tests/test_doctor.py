"What diagnose and check_training find, what they leave alone, and how often they are right."
import copy, math, random, re, warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import bench_doctor, setups
from setups import build, held
from xent_course import CrossEntropyLoss, check_training, checkup, cross_entropy, log_softmax, mnist_loss, softmax
from xent_course.diagnose import WORDS, Certain, Suspicion, diagnose

ROOT = Path(__file__).resolve().parent.parent
g = torch.Generator().manual_seed(1)
x, t, words = torch.randn(32, 5, generator=g), torch.randint(5, (32,), generator=g), torch.randn(8, 20, 5, generator=g)
q, none, seq = softmax(torch.randn(32, 5, generator=g)), torch.full((32,), -100), torch.randint(5, (8, 20), generator=g)
hole, elsewhere = x.clone().scatter_(1, t[:, None], -math.inf), x.clone().scatter_(1, (t[:, None] + 1) % 5, -math.inf)
yes, hot, smooth = (t > 2).float(), F.one_hot(t, 5).float(), nn.CrossEntropyLoss(label_smoothing=.1)
square, square_target = nn.Linear(5, 5)(torch.randn(8, 5, 5, generator=g)), torch.randint(5, (8, 5), generator=g)
graph = x.clone().requires_grad_()
bce, kl = nn.BCEWithLogitsLoss(), nn.KLDivLoss(reduction='batchmean')
squared = lambda x, t: ((x - t)**2).mean()
masked_log = lambda x, t: F.cross_entropy(x, t) + torch.where(x > 0, x.log(), 0.).mean()  # fine forwards, and 0 / 0 backwards

# name -> batches that must be found out, each with one that is put right
CASES = {
    'logits dtype': [((t, x), (x, t))],
    'empty batch': [((x[:0], t[:0]), (x[:1], t[:1]))],
    'nan or inf': [((x.masked_fill(x > 2, math.nan), t), (x, t)), ((x.masked_fill(x > 2, math.inf), t), (x, t))],
    'one output column': [((x[:, :1], t * 0), (x[:, :2], t * 0)), ((x[:, :1], t), (x[:, :1], yes[:, None], bce))],
    'rows alike': [((x[:1].expand(32, 5), t), (0 * x, t))],
    'loss far above ln c': [((50 * x, t), (x, t))],
    'classes permuted': [((5 * F.one_hot((t + 1) % 5, 5) + x, t), (5 * F.one_hot(t, 5) + x, t))],
    'class axis': [((square, square_target), (square.movedim(-1, 1), square_target)), ((8 * F.one_hot(square_target, 5).float(), square_target), (8 * F.one_hot(square_target, 5).movedim(-1, 1) + .1 * square.detach(), square_target))],
    'all ignored': [((x, none), (x, none.where(none.cumsum(0) < -100, t))), ((x, none + 355, nn.CrossEntropyLoss(ignore_index=255)), (x, t.where(t > 0, 255), nn.CrossEntropyLoss(ignore_index=255)))],
    'target not probabilities': [((x, 2 * q), (x, q)), ((x, hot + hot.roll(1, 1)), (x, hot + hot.roll(1, 1), bce))],
    'weights with probabilities': [((x, q, nn.CrossEntropyLoss(weight=torch.rand(5))), (x, t, nn.CrossEntropyLoss(weight=torch.rand(5))))],
    '-inf among the logits': [((hole, t), (hole.clamp(min=-1), t)), ((elsewhere, t, smooth), (elsewhere, t)), ((elsewhere, hot), (elsewhere, t))],
    'double softmax': [((softmax(x), t), (x, t)), ((softmax(x), t, nn.CrossEntropyLoss()), (softmax(x), t, lambda p, t: F.nll_loss(p.log(), t)))],
    'softmax over the wrong axis': [((x.softmax(0), t), (x, t))],
    'activation at the end': [((f(graph), t), (graph, t)) for f in (torch.sigmoid, torch.tanh, torch.relu, F.gelu)] + [((x.relu(), t), (x, t)), (((9 * x).sigmoid(), t), (9 * hot + x, t)), ((graph[:, 0].relu(), yes, bce), (x[:, 0], yes, bce))],
    'log_softmax twice': [((log_softmax(x), t), (log_softmax(x), t, F.nll_loss))],
    'log missing': [((softmax(x), t, F.nll_loss), (log_softmax(x), t, F.nll_loss)), ((softmax(x), q, kl), (log_softmax(x), q, kl))],
    'logits for log-probabilities': [((x, t, nn.NLLLoss()), (log_softmax(x), t, nn.NLLLoss())), ((x, q, kl), (log_softmax(x), q, kl))],
    'logits for probabilities': [((x, t, lambda p, t: F.nll_loss(p.log(), t)), (softmax(x), t, lambda p, t: F.nll_loss(p.log(), t)))],
    'double sigmoid': [((graph[:, 0].sigmoid(), yes, bce), (x[:, 0], yes, bce)), ((x[:, 0], yes, lambda x, t: bce(x.sigmoid(), t)), (x[:, 0].sigmoid(), yes, nn.BCELoss()))],
    'wrong dtype': [((x, t.float()), (x, t)), ((x, F.one_hot(t, 5)), (x, hot)), ((x, t.int(), nn.CrossEntropyLoss()), (x, t, nn.CrossEntropyLoss()))],
    'wrong shape': [((x, t[:, None]), (x, t)), ((words, seq), (words.movedim(-1, 1), seq)), ((x, t[:30]), (x[:30], t[:30]))],
    'label out of range': [((x, t + 1), (x, t)), ((x, t - 1, nn.CrossEntropyLoss()), (x, t, nn.CrossEntropyLoss()))],
    'loss raises': [((x, t, lambda x, t: x @ x), (x, t, CrossEntropyLoss()))],
    'loss not a number': [((x, t, nn.CrossEntropyLoss(reduction='none')), (x, t, nn.CrossEntropyLoss(reduction='sum')))],
    'loss not finite': [((x, t, lambda x, t: x.sum() * math.nan), (x, t, F.cross_entropy))],
    'gradient not finite': [((x - x[:1], t, masked_log), (x - x[:1], t))],
    'negative loss': [((x, t, lambda x, t: F.cross_entropy(x, t)**3 - 99), (x, t, lambda x, t: F.cross_entropy(x, t)**3))],
    'no gradient': [((x, t, lambda x, t: F.cross_entropy(x, t).item()), (x, t)), ((x, t, lambda x, t: (x.argmax(1) != t).float().mean()), (x, t))],
    'wrong sign': [((x, t, lambda x, t: F.log_softmax(x, 1).gather(1, t[:, None]).mean()), (x, t, lambda x, t: -F.log_softmax(x, 1).gather(1, t[:, None]).mean()))],
    'wrong column': [((x, t, lambda x, t: F.cross_entropy(x, (t + 1) % 5)), (x, t, lambda x, t: F.cross_entropy(x / .07, t) + 3))],
    'activation inside the loss': [((x, t, lambda x, t, f=f: loss(f(x), t)), (x, t, loss)) for f in (softmax, torch.sigmoid, torch.tanh, torch.relu) for loss in (cross_entropy, smooth)],
    'softmax inside over the batch': [((x, t, lambda x, t: F.nll_loss(x.log_softmax(0), t)), (x, t, lambda x, t: F.nll_loss(x.log_softmax(1), t)))],
    'no log inside the loss': [((x, t, lambda x, t: -softmax(x).gather(1, t[:, None]).mean()), (x, t, cross_entropy))],
    'softmax, then log': [((x, t, lambda x, t: F.nll_loss(x.softmax(1).log(), t)), (x, t, lambda x, t: F.nll_loss(x.log_softmax(1), t)))],
    'ceiling on the loss': [((x, t, lambda x, t: F.nll_loss((x.softmax(1) + 1e-8).log(), t)), (x, t, nn.MultiMarginLoss()))],
    'mean over classes': [((log_softmax(x), q, nn.KLDivLoss()), (log_softmax(x), q, nn.KLDivLoss(reduction='sum'))), ((x, hot, lambda x, t: -(t * x.log_softmax(1)).mean()), (x, hot, lambda x, t: -(t * x.log_softmax(1)).sum(1).mean()))],
    'broadcast': [((x[:, :1], yes, squared), (x[:, 0], yes, squared)), ((x[:, 0], yes[:, None], squared), (x[:, :1], yes[:, None], squared))],
}


def names(findings): return [f.name for f in findings]


def test_every_finding_has_a_case(): assert list(CASES) and set(CASES) == set(WORDS)


@pytest.mark.parametrize('name,bad,good', [(name, *pair) for name, pairs in CASES.items() for pair in pairs], ids=lambda v: v if isinstance(v, str) else '')
def test_found_and_cured(name, bad, good):
    assert name in names(diagnose(*bad, verbose=False)) and diagnose(*good, verbose=False) == []


def test_dtypes_and_single_rows():
    for dtype in torch.float16, torch.bfloat16, torch.float64:
        assert names(diagnose(softmax(x.to(dtype)), t, verbose=False)) == ['double softmax'] and diagnose(x.to(dtype), t, verbose=False) == []
        assert names(diagnose(log_softmax(x.to(dtype)), t, verbose=False)) == ['log_softmax twice']
    assert diagnose(x[0], t[0], verbose=False) == diagnose(x[0], q[0], verbose=False) == diagnose(x[0, 0], yes[0], F.mse_loss, verbose=False) == []
    assert diagnose(x[:, 0], (t > 2).long(), mnist_loss, verbose=False) == []
    for flat in F.cross_entropy, smooth: assert diagnose(words, seq, lambda x, t: flat(x.reshape(-1, 5), t.reshape(-1)), verbose=False) == []


def test_says_it_in_words(capsys):
    diagnose(softmax(x), t)
    diagnose(50 * x, t)
    diagnose(x, t)
    said = capsys.readouterr().out
    assert said.startswith('Certain: double softmax. The network gives probabilities') and 'a floor of 0.9048' in said
    assert 'Suspicion: loss far above ln c. The loss is' in said and said.endswith('Nothing found.\n')


def healthy(seed):
    "Random logits that lean towards their targets by anything from nothing to a lot."
    g = torch.Generator().manual_seed(seed)
    draw = lambda low, high: torch.randint(low, high, (), generator=g).item()
    n, c, more = draw(2, 65), draw(2, 200), [(), (7,), (3, 4)][draw(0, 3)]
    target = torch.randint(c, (n, *more), generator=g)
    logits = torch.randn((n, c, *more), generator=g) * draw(1, 25) / 10 + F.one_hot(target, c).movedim(-1, 1) * draw(0, 12)
    return logits.to([torch.float32, torch.float16, torch.bfloat16, torch.float64][draw(0, 4)]), target


def test_healthy_batches_raise_nothing():
    losses = None, CrossEntropyLoss(), F.cross_entropy
    assert [(seed, names(found)) for seed in range(1000) if (found := diagnose(*healthy(seed), losses[seed % 3], verbose=False))] == []


def state(model, opt, batch):
    "All that a look must leave alone."
    return copy.deepcopy([model.state_dict(), [m.training for m in model.modules()], [w.grad for w in model.parameters()], opt.state_dict(), list(batch),
                          torch.get_rng_state(), random.getstate(), [*map(str, np.random.get_state())]])


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


@pytest.mark.parametrize('last', [1, 2, 5, 40, 60, 10_000])
def test_nothing_is_changed_by_looking(last):
    Failing.calls = 0
    torch.manual_seed(0)
    model, batch = Failing(last), setups.small_digits(flat=False)
    opt = torch.optim.Adam(model.parameters(), 1e-3)
    F.cross_entropy(model.inner(batch[0]), batch[1]).backward(); opt.step()  # there are gradients and a state of Adam
    model.inner[0].eval()
    before = state(model, opt, batch)
    if last < 10_000:
        with pytest.raises(RuntimeError, match='enough'): check_training(model, batch, nn.CrossEntropyLoss(), opt, verbose=False)
    else: assert check_training(model, batch, nn.CrossEntropyLoss(), opt, verbose=False) == []
    assert same(before, state(model, opt, batch))


def test_diagnose_changes_nothing():
    torch.manual_seed(0)
    a, b = x.clone().requires_grad_(), t.clone()
    noisy = lambda x, t: F.cross_entropy(F.dropout(x, .5) + random.random() + np.random.rand(), t)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    diagnose(a, b, noisy, verbose=False)
    assert a.grad is None and torch.equal(a, x) and torch.equal(b, t)
    assert torch.equal(before[0], torch.get_rng_state()) and before[1] == random.getstate() and (before[2] == np.random.get_state()[1]).all()


class Dropping(nn.Module):
    def __init__(self): super().__init__(); self.last = nn.Linear(64, 10)
    def forward(self, x): return self.last(F.dropout(x, .3))


def vanishing():
    torch.manual_seed(0)
    net = setups.mlp(64, 20, 10)
    net[0].weight.data *= 1e6
    return nn.Sequential(net[0], setups.Apply(nn.Identity(), lambda x: x * 1e-6), *net[1:])


def test_every_finding_of_the_check_up():
    "On the set-ups that it was made with, and two more."
    found = set()
    for _, make in build.BROKEN:
        torch.manual_seed(0)
        s = make()
        found |= set(names(check_training(s.model, s.batch, s.loss_func, s.opt, verbose=False)))
    found |= set(names(check_training(Dropping(), setups.small_digits(), verbose=False)))
    found |= set(names(check_training(vanishing(), setups.small_digits(), verbose=False)))
    assert set(checkup.WORDS) <= found, set(checkup.WORDS) - found


def test_any_output_and_any_batch():
    batch = setups.small_digits()
    inner = setups.mlp(64, 30, 10)
    class Output:
        def __init__(self, x): self.logits = x
    for after in (lambda x: (x, None)), Output: assert check_training(setups.Apply(inner, after), batch, verbose=False) == []
    with pytest.raises(TypeError, match='must give a tensor of logits, or an object with .logits, got dict'): check_training(setups.Apply(inner, lambda x: {'y': x}), batch, verbose=False)
    assert check_training(inner, list(batch), verbose=False) == []  # as a DataLoader gives it


@pytest.fixture(scope='module')
def scored():
    warnings.simplefilter('ignore')
    return {half: (*bench_doctor.recall(bench_doctor.HALVES[half], [0]), bench_doctor.alarms(bench_doctor.HALVES[half], [0])) for half in ('build', 'held')}


@pytest.mark.parametrize('half', ['build', 'held'])
def test_meets_its_target(scored, half):
    "Nine of ten faults are named, nothing healthy is called certainly broken, and not one in fifty suspected."
    table, missed, alarms = scored[half]
    broken, found = sum(c[0] for c in table.values()), sum(c[3] for c in table.values())
    assert broken >= 40 and found >= .9 * broken, missed
    assert not [a for a in alarms if isinstance(a[1], Certain)] and len({name for name, _ in alarms}) <= .02 * len(bench_doctor.HALVES[half].HEALTHY), alarms


def test_halves_are_apart():
    assert len(build.BROKEN) + len(held.BROKEN) >= 80 and len(build.HEALTHY) + len(held.HEALTHY) >= 40
    assert {kind for kind, _ in build.BROKEN} == {kind for kind, _ in held.BROKEN} == set(setups.KINDS)
    names = [f.__name__ for half in (build, held) for f in [*[f for _, f in half.BROKEN], *half.HEALTHY]]
    assert len(set(names)) == len(names)


def test_readme_has_the_table(scored):
    "The kinds and the numbers of set-ups are those of the bench; the counts may differ by one where numbers are rounded otherwise."
    rows = lambda text: {r[0]: list(map(int, r[1:])) for r in re.findall(r'^\| (?:\*\*)?([^|*]+?)(?:\*\*)? \| \**(\d+)\** \| \**(\d+)\** \| \**(\d+)\** \| \**(\d+)\** \|$', text, re.M)}
    said, now = rows((ROOT/'README.md').read_text()), rows(bench_doctor.markdown(scored['held'][0]))
    assert said.keys() == now.keys() and len(now) == len(setups.KINDS) + 1
    assert all(abs(a - b) <= 1 for kind in now for a, b in zip(said[kind], now[kind])) and said['all'][0] == now['all'][0]
