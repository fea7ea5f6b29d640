"""The functions of the further lessons against libraries that nobody here wrote: torch, torchvision, torchmetrics,
SciPy, scikit-learn, and what kornia and statsmodels once said (recorded.json names the versions)."""
import json, math
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from tests.lessons.test_parity import FLOATS, check_agreement
from xent_course import cross_entropy, linear_cross_entropy
from xent_course.further.binary import binary_cross_entropy_with_logits
from xent_course.further.calibration import best_temperature, reliability
from xent_course.further.comparison import mcnemar
from xent_course.further.curvature import cross_entropy_hessian, z_loss
from xent_course.further.denominator import denominator
from xent_course.further.imbalance import class_weights, focal_loss, log_prior
from xent_course.further.information import entropy, kl_divergence
from xent_course.further.language import next_tokens, perplexity, total_loss
from xent_course.further.linear_cross_entropy import streaming_logsumexp
from xent_course.further.soft_targets import distillation_loss, info_nce

INF = float('inf')
RECORDED = json.loads((Path(__file__).parent/'recorded.json').read_text(encoding='utf-8'))


def random(*shape, dtype=torch.float64, seed=0, scale=3.):
    return (torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale).to(dtype)


def value_and_grads(loss, *inputs):
    "A loss of tensors, and its gradient at each of them."
    inputs = [x.detach().requires_grad_() for x in inputs]
    value = loss(*inputs)
    return value.detach(), torch.autograd.grad(value.sum(), inputs)


# ---- binary cross-entropy: torch

SHAPES = {'a row': (7,), 'several labels': (4, 3), 'an image': (2, 3, 5), 'empty': (0, 3), 'one': (1,), 'none': ()}


@pytest.mark.parametrize('dtype', FLOATS, ids=str)
@pytest.mark.parametrize('shape', SHAPES.values(), ids=SHAPES)
def test_binary(shape, dtype):
    x, t = random(*shape, dtype=dtype), random(*shape, seed=1).sigmoid().to(dtype)
    w, pos = random(*shape, seed=2).sigmoid().to(dtype), random(*shape[-1:], seed=3).exp().to(dtype)
    weights = None, w, w[..., :1] if shape else w
    for reduction, weight, pos_weight in product(('none', 'mean', 'sum'), weights, (None, pos)):
        settings = dict(weight=weight, pos_weight=pos_weight, reduction=reduction)
        check_agreement(binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, x, (t,), settings)


def test_binary_layouts_and_extremes():
    x = random(6, 4).T
    assert not x.is_contiguous()
    check_agreement(binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, x, ((x > 0).double(),))
    for dtype in FLOATS:
        far = torch.tensor([60., -60., 1e4, -1e4], dtype=dtype)
        for t in torch.zeros_like(far), torch.ones_like(far):
            check_agreement(binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits, far, (t,))
    sure, t = torch.tensor([INF, -INF]), torch.tensor([1., 0.])  # torch: nan; the limit is 0, and its gradient, too
    assert_close(value_and_grads(lambda x: binary_cross_entropy_with_logits(x, t), sure),
                 (torch.tensor(0.), (torch.zeros(2),)))


def test_binary_gradients():
    x, t, w, pos = random(5, 3), random(5, 3, seed=1).sigmoid(), random(5, 3, seed=2).exp(), random(3, seed=3).exp()
    inputs = [a.requires_grad_() for a in (x, t, w)]
    loss = lambda x, t, w: binary_cross_entropy_with_logits(x, t, w, pos_weight=pos)
    assert gradcheck(loss, inputs, check_forward_ad=True) and gradgradcheck(loss, inputs)


def test_binary_target_has_a_gradient_at_the_ends():
    x, t = random(7), torch.tensor([0., 1., 1., 0., .5, 0., 1.], dtype=torch.float64)
    for pos in None, torch.tensor(3., dtype=torch.float64):
        def graph(f):
            leaves = x.clone().requires_grad_(), t.clone().requires_grad_()
            first = torch.autograd.grad(f(*leaves, pos_weight=pos), leaves, create_graph=True)
            return first, torch.autograd.grad(first[1].sum(), leaves[0])
        assert_close(graph(binary_cross_entropy_with_logits), graph(F.binary_cross_entropy_with_logits))


# ---- focal loss: torchvision, kornia

@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize('gamma', [0., .5, 1., 2., 3.5])
def test_focal_of_two_classes(gamma, dtype):
    from torchvision.ops import sigmoid_focal_loss
    x, t = random(200, dtype=dtype), torch.arange(200) % 2
    for reduction in 'none', 'mean', 'sum':
        ours = lambda x: focal_loss(torch.stack([torch.zeros_like(x), x], 1), t, gamma=gamma, reduction=reduction)
        theirs = lambda x: sigmoid_focal_loss(x, t.to(x), alpha=-1, gamma=gamma, reduction=reduction)
        check_agreement(ours, theirs, x)


@pytest.mark.parametrize('case', RECORDED['focal'], ids=lambda c: f"{c['gamma']}-{c['weight']}-{c['ignore_index']}")
def test_focal(case):
    x = torch.tensor(RECORDED['logits'], dtype=torch.float64)
    t, weight = torch.tensor(RECORDED['target']), case['weight'] and torch.tensor(case['weight'], dtype=torch.float64)
    settings = dict(weight=weight, gamma=case['gamma'], ignore_index=case['ignore_index'])
    losses, (gradient,) = value_and_grads(lambda x: focal_loss(x, t, **settings, reduction='none'), x)
    assert_close(losses, torch.tensor(case['losses'], dtype=torch.float64))
    assert_close(gradient, torch.tensor(case['gradient'], dtype=torch.float64))
    kept = (t != case['ignore_index']).sum()
    assert_close(focal_loss(x, t, **settings), losses.sum() / kept)  # what is ignored isn't counted


@pytest.mark.parametrize('dtype', FLOATS, ids=str)
@pytest.mark.parametrize('gamma', [0., .25, .5, 1., 2.])
def test_focal_has_a_gradient_everywhere(gamma, dtype):
    lead = torch.tensor([0., 5., 10., 17., 30., 100., 1e4], dtype=dtype)
    x = torch.stack([lead, torch.zeros_like(lead)], 1)
    for t in torch.zeros(7).long(), torch.ones(7).long(), torch.tensor([-100, 0, 1, 0, 1, 0, -100]):
        loss, (gradient,) = value_and_grads(lambda x: focal_loss(x, t, gamma=gamma), x)
        assert loss.isfinite() and gradient.isfinite().all() and loss.dtype == dtype


@pytest.mark.parametrize('gamma', [.5, 1., 2.])
def test_focal_of_an_impossible_target(gamma):
    "A target's logit of -inf: the factor is 1, and value and gradient are those of cross-entropy."
    x, t = torch.tensor([[-INF, 0.], [1., -INF], [2., 0.]]), torch.tensor([0, 1, 0])
    each = lambda f, **kw: value_and_grads(lambda x: f(x, t, reduction='none', **kw), x)
    (value, (gradient,)), (plain, (slope,)) = each(focal_loss, gamma=gamma), each(F.cross_entropy)
    assert_close((value[:2], gradient[:2]), (plain[:2], slope[:2]))
    assert gradient.isfinite().all() and slope[0].tolist() == [-1, 1]


# ---- entropy, log loss: SciPy, scikit-learn

@pytest.mark.parametrize('dtype', FLOATS, ids=str)
def test_information(dtype):
    from scipy import stats
    q, p = random(6, 5).softmax(1).to(dtype), random(6, 5, seed=1).softmax(1).to(dtype)
    q[0], p[1, 2] = torch.tensor([1., 0., 0., 0., 0.]), 0.
    p = (p.double() / p.double().sum(1, keepdim=True)).to(dtype)
    tolerance = {} if dtype.itemsize > 2 else dict(rtol=2 * torch.finfo(dtype).eps, atol=2e-3)
    as_numpy = lambda x: x.double().numpy()
    assert_close(entropy(q), torch.tensor(stats.entropy(as_numpy(q), axis=1)).to(dtype), **tolerance)
    assert_close(entropy(q.T, 0), entropy(q))
    divergence = kl_divergence(q, p)
    assert divergence[1].isinf() and divergence.dtype == dtype
    expected = stats.entropy(as_numpy(q), as_numpy(p), axis=1)
    assert_close(divergence, torch.tensor(expected).to(dtype), **tolerance)
    assert entropy(torch.ones(3, 1, dtype=dtype)).tolist() == [0, 0, 0] and entropy(q[:0]).shape == (0,)


def test_divergence_has_a_gradient_where_the_target_has_nothing():
    q = torch.tensor([[.5, .5, 0.], [1., 0., 0.]])
    p = torch.tensor([[.25, .75, 0.], [.5, .25, .25]])
    _, (gradient,) = value_and_grads(partial(kl_divergence, q), p)
    assert_close(gradient, torch.tensor([[-2., -2 / 3, 0.], [-2., 0., 0.]]))


@pytest.mark.parametrize('far', [110., 200., INF])
def test_information_has_a_gradient_where_a_probability_rounds_to_0(far):
    "At the logits it is 0 there, as in the limit, and elsewhere as if that class weren't there."
    x = torch.tensor([[1., 0., -far], [0., 0., far], [.5, 1., -far]])
    for loss in lambda x: entropy(x.softmax(1)), lambda x: kl_divergence(x.softmax(1), torch.full_like(x, 1 / 3)):
        value, (gradient,) = value_and_grads(loss, x[::2])
        assert value.isfinite().all()
        without = value_and_grads(lambda x: loss(torch.cat([x, torch.full((2, 1), -80.)], 1)), x[::2, :2])
        assert_close((value, gradient), (without[0], F.pad(without[1][0], (0, 1))))
        if far < INF: assert_close(value_and_grads(loss, x[1:2])[1][0], torch.zeros(1, 3))
    q = torch.tensor([0., .25, .75])
    _, (gradient,) = value_and_grads(lambda q: kl_divergence(q, torch.full_like(q, 1 / 3)), q)
    assert_close(gradient, torch.where(q > 0, (3 * q).log() + 1, 0))


def test_no_divergence_is_below_0():
    for dtype in FLOATS: assert (kl_divergence(*[random(2000, 5, dtype=dtype, scale=1.).softmax(1)] * 2) >= 0).all()
    q, p = random(4000, 6, scale=.01).softmax(1).float(), random(4000, 6, seed=1, scale=1e-4).softmax(1).float()
    assert (kl_divergence(q, q * (p / p)) >= 0).all() and (kl_divergence(p, p.roll(1, 1)) >= 0).all()
    _, (gradient,) = value_and_grads(lambda p: kl_divergence(q, p), q)
    assert_close(gradient, -torch.ones_like(q))


def test_the_last_axis_may_be_left_out():
    q, p = random(4, 3).softmax(1), random(4, 3, seed=1).softmax(1)
    assert_close((entropy(q, None), kl_divergence(q, p, None)), (entropy(q), kl_divergence(q, p)))


def test_log_loss():
    from sklearn.metrics import log_loss
    x, t = random(50, 4), torch.arange(50) % 4
    each = torch.linspace(.5, 2, 50, dtype=torch.float64)
    p = x.softmax(1).numpy()
    assert abs(cross_entropy(x, t) - log_loss(t.numpy(), p)) < 1e-12
    weighted = (cross_entropy(x, t, reduction='none') * each).sum() / each.sum()
    assert abs(weighted - log_loss(t.numpy(), p, sample_weight=each.numpy())) < 1e-12
    yes = (t > 1).double()
    binary = binary_cross_entropy_with_logits(x[:, 0], yes)
    assert abs(binary - log_loss(yes.numpy(), x[:, 0].sigmoid().numpy())) < 1e-12


# ---- calibration, perplexity: torchmetrics; McNemar: statsmodels

@pytest.mark.slow
@pytest.mark.parametrize('dtype', FLOATS, ids=str)
@pytest.mark.parametrize('c', [2, 5])
def test_calibration(c, dtype):
    from torchmetrics.functional.classification import multiclass_calibration_error
    x, t = random(400, c, dtype=dtype, scale=1.5), torch.randint(c, (400,), generator=torch.Generator().manual_seed(1))
    for bins in 2, 7, 15:
        table = reliability(x, t, tuple(np.linspace(0, 1, bins + 1)[1:-1].tolist())).double()
        gaps, shares = (table[:, 0] - table[:, 1]).abs(), table[:, 2] / len(t)
        wide = x.float() if dtype.itemsize == 2 else x
        for norm, ours in ('l1', (gaps * shares).sum()), ('max', gaps.max()), ('l2', (gaps**2 * shares).sum().sqrt()):
            theirs = multiclass_calibration_error(wide.softmax(1), t, c, n_bins=bins, norm=norm)
            assert_close(ours, theirs.double(), rtol=1e-5, atol=1e-6)


def test_counts_survive_half_precision():
    x = torch.zeros(70_001, 2, dtype=torch.float16)
    x[:, 0] = 1.
    table = reliability(x, torch.zeros(70_001).long())
    assert table.dtype == torch.float32 and table[0, 2] == 70_001 and table[0, 1] == 1
    assert_close(table[0, 0], torch.tensor(1.).sigmoid())
    assert_close(reliability(x[:1], torch.ones(1).long()), torch.tensor([[torch.tensor(1.).sigmoid(), 0., 1.]]))


@pytest.mark.slow
@pytest.mark.parametrize('dtype', FLOATS, ids=str)
def test_perplexity(dtype):
    from torchmetrics.text import Perplexity
    x, t = random(6, 20, 9, dtype=dtype, scale=1.), torch.arange(120).view(6, 20) % 9
    t[2, 5:] = t[3] = -100
    theirs = Perplexity(ignore_index=-100)
    for batch in range(0, 6, 2): theirs.update(x[batch:batch + 2].float(), t[batch:batch + 2])
    totals = (total_loss(x[batch:batch + 2], t[batch:batch + 2]) for batch in range(0, 6, 2))
    assert abs(perplexity(totals) / theirs.compute().item() - 1) < 1e-5


def test_best_temperature():
    "Of logits that are three times too large, by another way: the minimum that SciPy finds."
    from scipy.optimize import minimize_scalar
    x = random(2000, 5, scale=1.)
    t = torch.distributions.Categorical(logits=x).sample()
    found = minimize_scalar(lambda T: F.cross_entropy(3 * x / T, t).item(), bounds=(.1, 10), method='bounded').x
    for dtype in torch.float16, torch.float64: assert abs(best_temperature((3 * x).to(dtype), t) / found - 1) < .02


@pytest.mark.parametrize('only_a,only_b,p', RECORDED['mcnemar'])
def test_mcnemar(only_a, only_b, p):
    both, items = 7, torch.arange(only_a + only_b + 107)
    a = (items < only_a) | (items >= len(items) - both)
    b = (items >= only_a) & (items < only_a + only_b) | (items >= len(items) - both)
    assert abs(mcnemar(a, b) - p) < 1e-12 and abs(mcnemar(b.flip(0), a.flip(0)) - p) < 1e-12
    assert mcnemar(a[:0], b[:0]) == 1


def test_mcnemar_of_many():
    "Whole numbers to the end, thousands of images that only one of both reads."
    from scipy.stats import binomtest
    for only_a, only_b in (5_900, 6_100), (6_000, 6_000), (5_000, 7_000):
        image = torch.arange(only_a + only_b)
        assert abs(mcnemar(image < only_a, image >= only_a) - binomtest(only_a, only_a + only_b).pvalue) < 1e-9


def test_hessian():
    "torch's own, to float64's last digits; and where a class is nearly certain, its row still adds up to 0."
    x = random(3, 5, scale=2.)
    for row, ours in zip(x, cross_entropy_hessian(x)):
        theirs = torch.autograd.functional.hessian(lambda row: F.cross_entropy(row, torch.tensor(2)), row)
        assert_close(ours, theirs, rtol=1e-9, atol=1e-13)
    sure = torch.tensor([[17., 0.], [30., 0.], [0., 0.]])
    assert_close(cross_entropy_hessian(sure), cross_entropy_hessian(sure.double()).float(), rtol=1e-5, atol=0)


# ---- sums of half precision

@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_sums_of_half_precision(dtype):
    "Each is what float64 gives for the same numbers, rounded once; in half precision the sums would overflow or stall."
    x, t = random(100, 1000, dtype=dtype, scale=1.), torch.arange(100) * 7
    yes = (random(100, 1000, seed=1) > 0).to(dtype)
    teacher = random(100, 1000, dtype=dtype, seed=2, scale=1.)
    eps = torch.finfo(dtype).eps
    losses = {'binary': lambda x, yes, teacher: binary_cross_entropy_with_logits(x, yes),
              'focal': lambda x, yes, teacher: focal_loss(x, t),
              'z': lambda x, yes, teacher: z_loss(x, 1.), 'z of many': lambda x, yes, teacher: z_loss(x + 300, 1e-4),
              'distillation': lambda x, yes, teacher: distillation_loss(x, teacher),
              'pairs': lambda x, yes, teacher: info_nce(x, teacher)}
    for name, loss in losses.items():
        if name == 'z of many' and dtype == torch.bfloat16: continue  # x + 300 is rounded before the loss sees it
        got, exact = loss(x, yes, teacher), loss(x.double(), yes.double(), teacher.double())
        assert got.dtype == dtype and got.isfinite(), name
        assert abs(got.double() / exact - 1) < (4e-3 if name == 'z of many' else 2 * eps), (name, got, exact)
    total, count = total_loss(x[None], t[None])
    assert total.dtype == torch.float32 and count == 100
    assert_close(total.double(), F.cross_entropy(x.double(), t, reduction='sum'), rtol=1e-6, atol=0)


def test_log_prior():
    counts = torch.tensor([60_000, 60_000, 3])
    for dtype in torch.int64, torch.float16, torch.float32, torch.float64:
        got = log_prior(counts.to(dtype))
        exact = (counts.to(dtype).double() / counts.to(dtype).double().sum()).log()
        assert_close(got, exact.float())
    assert_close(class_weights(counts).mean(), torch.tensor(1.))


def test_what_a_teacher_excludes_costs_nothing():
    teacher, student = torch.tensor([[0., 1., -INF]]), torch.tensor([[1., 0., -INF]])
    loss, (gradient,) = value_and_grads(lambda x: distillation_loss(x, teacher, 1.), student)
    two = F.kl_div(F.log_softmax(student[:, :2], 1), F.softmax(teacher[:, :2], 1), reduction='batchmean')
    assert_close(loss, two)
    assert gradient.isfinite().all()


@pytest.mark.parametrize('broken', [float('nan'), INF, 'all -inf'])
def test_a_broken_teacher_is_seen(broken):
    "One row of nan, inf, or nothing but -inf makes the loss nan, as in torch: it doesn't cost 0."
    student, teacher = random(3, 4), random(3, 4, seed=1)
    if broken == 'all -inf': teacher[1] = -INF
    else: teacher[1, 2] = broken
    theirs = F.kl_div(F.log_softmax(student, 1), F.softmax(teacher, 1), reduction='batchmean')
    assert distillation_loss(student, teacher, 1.).isnan() and theirs.isnan()
    assert distillation_loss(student, teacher * float('nan')).isnan()


def test_pairs_of_any_length():
    "A cosine knows no length: squares of such numbers are infinite, or 0."
    a, b = random(5, 8, dtype=torch.float32), random(5, 8, dtype=torch.float32, seed=1)
    loss, (gradient, _) = value_and_grads(info_nce, a, b)
    for scale in 1e30, 1e-30:
        far, (slope, _) = value_and_grads(info_nce, a * scale, b * scale)
        assert_close((far, slope * scale), (loss, gradient))
    a[0] = 0.
    assert value_and_grads(info_nce, a, b)[0].isfinite()


# ---- the loss without the logits: torch

@pytest.mark.skipif(not hasattr(F, 'linear_cross_entropy'), reason='it came with torch 2.13')
@pytest.mark.parametrize('dtype', FLOATS, ids=str)
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_linear(reduction, dtype):
    x, layer = random(37, 8, dtype=dtype, scale=1.), random(11, 8, dtype=dtype, seed=1, scale=.3)
    bias = random(11, seed=2).to(dtype)
    t, weight = torch.arange(37) % 11, random(11, seed=3).exp().to(dtype)
    some = t.masked_fill(t == 4, -100)
    q = random(37, 11, seed=4).softmax(1).to(dtype)
    for target, b, w, e in product((t, some, q), (None, bias), (None, weight), (0., .1)):
        settings = dict(weight=w, reduction=reduction, label_smoothing=e)
        inputs = [x, layer] if b is None else [x, layer, b]
        def loss(f, x, layer, b=None, **kw): return f(x, layer, target, linear_bias=b, **settings, **kw)
        ours = value_and_grads(partial(loss, linear_cross_entropy, chunk_size=10), *inputs)
        theirs = value_and_grads(partial(loss, F.linear_cross_entropy), *inputs)
        if dtype.itemsize > 2: assert_close(ours, theirs)
        else: assert_as_near(ours, theirs, exact_linear(inputs, target, settings))
    one = partial(linear_cross_entropy, x[0], layer), partial(F.linear_cross_entropy, x[0], layer)
    assert_close(*(f(t[0], linear_bias=bias, reduction=reduction) for f in one))
    assert_close(*(f(q[0], reduction=reduction, ignore_index=None) for f in one))


def exact_linear(inputs, target, settings):
    "The same in float64."
    def double(x): return x.double() if torch.is_tensor(x) and x.is_floating_point() else x
    def loss(x, layer, b=None): return F.cross_entropy(F.linear(x, layer, b), double(target), **exact)
    exact = {k: double(v) for k, v in settings.items()}
    return value_and_grads(loss, *map(double, inputs))


def assert_as_near(ours, theirs, exact):
    "Values and gradients as near to float64 as theirs, but for a rounding unit, and of their dtypes."
    for got, plain, true in zip([ours[0], *ours[1]], [theirs[0], *theirs[1]], [exact[0], *exact[1]]):
        assert got.dtype == plain.dtype and got.shape == plain.shape
        error, allowed = ((x.double() - true).norm() / true.norm() for x in (got, plain))
        assert error <= 1.1 * allowed + torch.finfo(got.dtype).eps


@pytest.mark.parametrize('extreme', [INF, -INF, 1e30])
def test_linear_extremes(extreme):
    x, layer = random(5, 3), random(4, 3, seed=1)
    bias, t = torch.tensor([0., extreme, 0., 0.], dtype=torch.float64), torch.tensor([0, 1, 2, 3, -100])
    for reduction in 'mean', 'none':
        assert_close(linear_cross_entropy(x, layer, t, linear_bias=bias, reduction=reduction),
                     F.cross_entropy(F.linear(x, layer, bias), t, reduction=reduction), equal_nan=True)
    empty = linear_cross_entropy(x[:0], layer, t[:0])
    assert empty.isnan() and linear_cross_entropy(x[:0], layer, t[:0], reduction='none').shape == (0,)
    one_class = value_and_grads(lambda x, w: linear_cross_entropy(x, w, t[:1]), x[:1], layer[:1])
    assert_close(one_class, (torch.zeros((), dtype=torch.float64), (torch.zeros(1, 3).double(),) * 2))


def test_linear_ignores_what_no_item_weighs():
    "A class without items may weigh anything."
    x, layer, t = random(4, 5), random(3, 5, seed=1), torch.tensor([1, 1, 2, -100])
    for odd in INF, float('nan'):
        w = torch.tensor([odd, 1., 1.], dtype=torch.float64)
        ours = value_and_grads(lambda x, layer: linear_cross_entropy(x, layer, t, weight=w), x, layer)
        assert_close(ours, value_and_grads(lambda x, layer: F.cross_entropy(x @ layer.T, t, w), x, layer))


@pytest.mark.parametrize('reduction', ['mean', 'sum'])
def test_linear_gradient_with_and_without_a_graph(reduction):
    "create_graph=True takes another way to the same gradient; so do many at once."
    t, (x, layer) = torch.tensor([0, 1, 2, 1, -100, 0]), (random(n, 5, seed=n).requires_grad_() for n in (6, 3))
    def loss(x, layer): return linear_cross_entropy(x, layer, t, reduction=reduction)
    theirs = torch.autograd.grad(F.cross_entropy(x @ layer.T, t, reduction=reduction), (x, layer))
    for graph in False, True:
        assert_close(torch.autograd.grad(loss(x, layer), (x, layer), create_graph=graph), theirs)
    many = torch.autograd.grad(loss(x, layer), (x, layer), torch.tensor([1., 2.]).double(), is_grads_batched=True)
    assert_close(many, tuple(torch.stack([g, 2 * g]) for g in theirs))
    jacobian = torch.autograd.functional.jacobian(loss, (x.detach(), layer.detach()), vectorize=True)
    assert_close(jacobian, theirs)


@pytest.mark.parametrize('case', ['heavy weights', 'heavy weights, large layer', 'long vectors', 'smoothed'])
def test_linear_in_float16_overflows_no_earlier(case):
    "Sums that are divided only afterwards: gradients are as near to float64 as those of all logits."
    n, c, d = (64, 2000, 32) if case != 'long vectors' else (512, 7, 8)
    x, layer = random(n, d, scale=1.).half(), random(c, d, seed=1, scale=3.).half()
    t, settings = torch.arange(n) * 31 % c, dict(weight=torch.full((c,), 2e4).half())
    if case == 'smoothed': settings['label_smoothing'] = .1
    if case.endswith('large layer'):
        x, layer, settings = x / 100, layer.sign() * 100, dict(weight=torch.full((c,), 1e3).half())
    if case == 'long vectors': x, layer, t, settings = x * 0 + 200, layer / 1000, t * 0, {}
    inputs = x, layer
    ours = value_and_grads(lambda x, w: linear_cross_entropy(x, w, t, **settings), *inputs)
    theirs = value_and_grads(lambda x, w: cross_entropy(F.linear(x, w), t, **settings), *inputs)
    assert all(g.isfinite().all() for g in ours[1])
    assert_as_near(ours, theirs, exact_linear(inputs, t, settings))


def test_streaming_gradient():
    rows = random(5, 30).requires_grad_()
    assert gradcheck(lambda x: streaming_logsumexp(x.split(7, dim=1)), rows)
    assert_close(torch.autograd.grad(streaming_logsumexp(rows.split(7, dim=1)).sum(), rows)[0], rows.softmax(1))


# ---- transforms

N, C = 6, 4
LABELS, TEACHER, LAYER = torch.arange(N) % C, random(N, C, seed=5), random(C, C, seed=6)
TWICE = torch.full((C,), 2., dtype=torch.float64)
LOSSES = {'binary': lambda x: binary_cross_entropy_with_logits(x, TEACHER.sigmoid(), pos_weight=TWICE),
          'focal': lambda x: focal_loss(x, LABELS, gamma=1.5),
          'z': lambda x: z_loss(x, .1),
          'entropy': lambda x: entropy(x.softmax(1)).sum(),
          'divergence': lambda x: kl_divergence(TEACHER.softmax(1), x.softmax(1)).sum(),
          'distillation': lambda x: distillation_loss(x, TEACHER),
          'pairs': lambda x: info_nce(x, TEACHER),
          'linear': lambda x: linear_cross_entropy(x, LAYER, LABELS),
          'stream': lambda x: streaming_logsumexp(x.split(3, dim=1)).sum(),
          'hessian': lambda x: cross_entropy_hessian(x).square().sum()}


@pytest.mark.parametrize('name', LOSSES)
def test_transforms(name):
    "Forward mode, vmap over a stack of batches, and both ways to a Hessian agree with plain autograd."
    loss, x, v = LOSSES[name], random(N, C), random(N, C, seed=9)
    leaf = x.clone().requires_grad_()
    gradient, = torch.autograd.grad(loss(leaf), leaf)
    assert_close(torch.func.grad(loss)(x), gradient)
    assert_close(torch.func.jvp(loss, (x,), (v,)), (loss(x), (gradient * v).sum()))
    stack = torch.stack([x, v])
    assert_close(torch.func.vmap(loss)(stack), torch.stack([loss(x), loss(v)]))
    hessian = torch.func.hessian(loss)(x)
    assert_close(torch.func.jacrev(torch.func.grad(loss))(x), hessian)
    assert gradgradcheck(loss, leaf)
    assert_close(torch.func.functional_call(Loss(loss), {}, (x,)), loss(x))


class Loss(torch.nn.Module):
    "A loss as a module, for those who compile, export or call modules."
    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, x): return self.loss(x)


@pytest.mark.parametrize('name', LOSSES)
def test_compile_and_export(name):
    loss, x = LOSSES[name], random(N, C)
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend='aot_eager')
    for f in compiled, loss:
        leaf = x.clone().requires_grad_()
        value = f(leaf)
        assert_close((value, torch.autograd.grad(value, leaf)), value_and_grads(loss, x))
    assert_close(torch.export.export(Loss(loss), (x,)).module()(x), loss(x))


def test_counts_and_tokens():
    tokens = torch.arange(12).view(3, 4)
    inputs, targets = next_tokens(tokens)
    assert_close(inputs + 1, targets)
    t, w = torch.tensor([0, 2, -100, 1]), torch.tensor([.5, 1., 2.])
    assert_close(denominator(t), torch.tensor(3))
    assert_close(denominator(t, w), torch.tensor(3.5))
    assert_close(denominator(t.masked_fill(t < 0, 1), w, ignore_index=1), torch.tensor(2.5))
    assert abs(perplexity([(1., .5), (1., 2.2)]) - math.exp(2 / 2.7)) < 1e-12
    weighted = cross_entropy(random(4, 3), t, .3 * w.double(), reduction='sum'), denominator(t, .3 * w.double())
    assert abs(perplexity([weighted]) - cross_entropy(random(4, 3), t, w.double()).exp()) < 1e-12
    assert perplexity([(800. * 5, 5)]) == INF and math.isnan(perplexity([(float('nan'), 5)]))
