"Random shapes, dtypes, arguments and extremes: our functions and torch's agree, or ours is nearer to float64."
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from torch.testing import assert_close

from tests.lessons.test_parity import check_agreement
from xent_course.lessons.cross_entropy import CrossEntropyLoss, cross_entropy
from xent_course.lessons.gradient import cross_entropy_grad
from xent_course.support.checks import class_axis
from xent_course.lessons.log import log_softmax, logsumexp
from xent_course.lessons.nll import nll_loss
from xent_course.lessons.softmax import softmax

FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64
INF = float('inf')
CALM = dict(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def holds(n, *cases):
    "Makes a test of a property: on a tenth of `n` cases, and with the studies on all."
    def make_test(check):
        @pytest.mark.parametrize('count', [n // 10, pytest.param(n, marks=[pytest.mark.slow, pytest.mark.study])])
        def test(count): settings(max_examples=count, **CALM)(given(*cases)(check))()
        return test
    return make_test


@st.composite
def scores(draw, dtypes=FLOATS, extremes=True, min_axes=1, max_axes=4):
    "Logits of any shape up to four axes, from tiny to ±1e4, some with entries of -inf."
    shape = draw(st.lists(st.integers(1, 5), min_size=min_axes, max_size=max_axes))
    if len(shape) > 1 and draw(st.integers(0, 9)) == 0: shape[0] = 0
    dtype, scale = draw(st.sampled_from(dtypes)), draw(st.sampled_from([0., .01, 1., 30.] + [1e4] * extremes))
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = (torch.randn(shape, generator=g) * scale).to(dtype)
    if extremes and draw(st.integers(0, 4)) == 0: x = x.masked_fill(torch.rand(shape, generator=g) < .3, -INF)
    if extremes and draw(st.integers(0, 9)) == 0: x = x.clamp(-1, 1).sign() * 1e4
    return x.to(dtype), g


@st.composite
def losses(draw, dtypes=FLOATS, soft=None):
    "Everything that `cross_entropy` can be given."
    x, g = draw(scores(dtypes))
    axis = class_axis(x)
    c, items = x.shape[axis], x.shape[:axis] + x.shape[axis + 1:]
    one_of = lambda *options: draw(st.sampled_from(options))
    kwargs = dict(reduction=one_of('none', 'mean', 'sum'), label_smoothing=one_of(0., 0., .1, .5, 1.))
    if draw(st.booleans()): kwargs['weight'] = (torch.rand(c, generator=g) * one_of(1., 10.)).to(x.dtype)
    if draw(st.booleans()) if soft is None else soft:
        return x, torch.rand(x.shape, generator=g).softmax(axis).to(one_of(*FLOATS)), kwargs
    target = torch.randint(c, items, generator=g)
    ignored = kwargs['ignore_index'] = one_of(-100, 0, 255)
    if ignored != 0: target = target.masked_fill(torch.rand(items, generator=g) < one_of(0., .3, 1.), ignored)
    return x, target, kwargs


@holds(3000, losses())
def test_cross_entropy(case):
    x, target, kwargs = case
    check_agreement(cross_entropy, F.cross_entropy, x, (target,), kwargs)


@holds(300, losses())
def test_loss_object(case):
    x, target, kwargs = case
    assert_close(CrossEntropyLoss(**kwargs)(x, target), cross_entropy(x, target, **kwargs), equal_nan=True)


@holds(1500, losses(soft=False))
def test_nll_loss(case):
    x, target, kwargs = case
    kwargs.pop('label_smoothing')
    check_agreement(nll_loss, F.nll_loss, x, (target,), kwargs)


@holds(1500, scores(), st.data())
def test_softmaxes(case, data):
    x, _ = case
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    for ours, theirs in (softmax, F.softmax), (log_softmax, F.log_softmax), (logsumexp, torch.logsumexp):
        check_agreement(ours, theirs, x, (dim,))


@holds(300, scores(), st.floats(-100, 100), st.data())
def test_promises(case, shift, data):
    "Probabilities lie between 0 and 1 and add up to 1; a shift of float64 scores changes nothing but logsumexp."
    x, _ = case
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    x = x.clamp(min=-1e4).double()
    assume(x.numel())
    p = softmax(x, dim)
    assert (p >= 0).all() and (p <= 1).all() and (log_softmax(x, dim) <= 0).all()
    assert_close(p.sum(dim), torch.ones_like(p.sum(dim)))
    assert_close(softmax(x + shift, dim), p, rtol=1e-7, atol=1e-9)
    assert_close(logsumexp(x + shift, dim), logsumexp(x, dim) + shift, rtol=1e-7, atol=1e-7)


@holds(300, losses(dtypes=(torch.float64,), soft=False))
def test_gradient_formula(case):
    "The gradient of each loss is softmax minus one-hot; its rows add up to 0, and the loss is at least 0."
    x, target, _ = case
    x, target = x.clamp(min=-1e4).requires_grad_(), target.clamp(0, x.shape[class_axis(x)] - 1)
    loss = cross_entropy(x, target, reduction='none')
    slope, = torch.autograd.grad(loss.sum(), x)
    assert_close(slope, cross_entropy_grad(x.detach(), target, 'none'))
    assert_close(slope.sum(class_axis(x)), torch.zeros_like(loss.detach()), rtol=0, atol=1e-12)
    assert (loss >= 0).all()
