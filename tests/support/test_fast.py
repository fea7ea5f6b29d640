"The fast functions: in one block or many they agree with torch's, and a gradient that is wrong by a factor is seen."
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck
from torch.testing import assert_close

from tests.lessons.test_parity import FLOATS, Ops, check_agreement, value_and_grad
from xent_course import cross_entropy, log_softmax, nll_loss, softmax
from xent_course.further.imbalance import focal_loss
from xent_course.lessons.cross_entropy import any_loss
from xent_course.lessons.log import log_shares
from xent_course.lessons.nll import any_nll
from xent_course.lessons.softmax import shares
from xent_course.support import fast


@pytest.fixture(params=[2**18, 60], ids=['one block', 'many blocks'])
def block(request, monkeypatch): monkeypatch.setattr(fast, 'BLOCK', request.param)


def batch(dtype, *shape, seed=0):
    "Logits, some -inf and some far away; class indices, some ignored; probabilities; class weights."
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=g) * 5
    x[x < -12] = -float('inf')
    x[0, 0] = 80.
    items = shape[:1] + shape[2:]
    t = torch.randint(shape[1], items, generator=g).masked_fill(torch.rand(items, generator=g) < .2, -100)
    q, weight = torch.randn(shape, generator=g).softmax(1), torch.rand(shape[1], generator=g)
    return x.to(dtype), t, q.to(dtype), weight.to(dtype)


@pytest.mark.parametrize('dtype', FLOATS, ids=str)
@pytest.mark.parametrize('shape', [(40, 30), (3, 30, 5, 2), (1, 7), (200, 1)], ids=str)
def test_blocks(block, shape, dtype):
    x, t, q, w = batch(dtype, *shape)
    for dim in range(-1, x.ndim):
        for ours, theirs in (softmax, F.softmax), (log_softmax, F.log_softmax): check_agreement(ours, theirs, x, (dim,))
    for weight, reduction in product((None, w), ('none', 'mean', 'sum')):
        settings = dict(weight=weight, reduction=reduction)
        check_agreement(nll_loss, F.nll_loss, x, (t,), settings)
        for target, smoothing in product((t, q), (0., .1, 1.)):
            check_agreement(cross_entropy, F.cross_entropy, x, (target,), settings | dict(label_smoothing=smoothing))


def test_layouts(block):
    "Columns first, every second row, and one row for all."
    x, t, q, w = batch(torch.float64, 40, 30)
    for rows in x.T.contiguous().T, x.repeat(2, 1)[::2], x[:1].expand(40, -1):
        for target in t, q: check_agreement(cross_entropy, F.cross_entropy, rows, (target, w), dict(label_smoothing=.1))
        check_agreement(softmax, F.softmax, rows, (0,))
    check_agreement(cross_entropy, F.cross_entropy, x, (q.T.contiguous().T,))


def test_target_and_input_stay_as_they_are(block):
    for target in batch(torch.float32, 40, 30)[1:3]:
        x, *_ = batch(torch.float32, 40, 30)
        before, asked = (x.clone(), target.clone()), x.clone().requires_grad_()
        loss = cross_entropy(asked, target, label_smoothing=.1)
        first, second = (torch.autograd.grad(loss, asked, retain_graph=True)[0] for _ in range(2))
        assert torch.equal(first, second) and torch.equal(asked, before[0]) and torch.equal(target, before[1])


def test_a_changed_input_is_seen():
    x, t, q, w = batch(torch.float32, 40, 30)
    for target in t, q:
        leaf = x.clone().requires_grad_()
        logits = leaf * 1
        loss = cross_entropy(logits, target)
        logits += 1
        with pytest.raises(RuntimeError, match='modified by an inplace operation'): loss.backward()
    probabilities = q.clone()
    loss = cross_entropy(x.requires_grad_(), probabilities)
    probabilities *= 2
    with pytest.raises(RuntimeError, match='modified by an inplace operation'): loss.backward()


@pytest.mark.parametrize('odd', [float('inf'), float('nan')])
def test_an_ignored_item_has_no_weight(odd):
    "Whatever class 0 weighs: no item has that class, and what is ignored isn't looked up there."
    x, t, _, w = batch(torch.float64, 40, 30)
    w[0], t[t == 0] = odd, 1
    for ignored, reduction in product((-100, 0), ('none', 'mean', 'sum')):
        target, settings = t.where(t >= 0, ignored), dict(weight=w, ignore_index=ignored, reduction=reduction)
        for ours, theirs in (cross_entropy, F.cross_entropy), (nll_loss, F.nll_loss):
            mine, yours = (value_and_grad(f, x, (target,), settings) for f in (ours, theirs))
            assert_close(mine, yours)
            assert not mine[0].isnan().any()


@pytest.mark.parametrize('wrong', [5, -1, 3])
def test_out_of_range_with_weights(wrong):
    "Class weights are asked for no class that isn't there: the sentence is the one without them."
    x, t, learnable = torch.zeros(4, 3), torch.tensor([0, wrong, 2, 1]), torch.ones(3, requires_grad=True)
    weights, reductions = (torch.ones(3), learnable), ('none', 'mean')
    for loss, w, reduction in product((cross_entropy, nll_loss, focal_loss), weights, reductions):
        with pytest.raises(IndexError, match=f'target holds {wrong}, but input has 3 classes'):
            loss(x, t, w, reduction=reduction)
    with pytest.raises(IndexError, match=f'target holds {wrong}'): cross_entropy(x, t, learnable, label_smoothing=.1)


@pytest.mark.filterwarnings('ignore')  # torch.jit is deprecated, and traces of it are still loaded
def test_a_trace_knows_no_blocks(monkeypatch):
    "Traced with so many rows, and used with more: none is dropped."
    monkeypatch.setattr(fast, 'BLOCK', 60)
    x, t, q, w = batch(torch.float32, 40, 30)
    traced = torch.jit.trace(lambda x, t: cross_entropy(x, t, w), (x[:10], t[:10]), check_trace=False)
    assert_close(traced(x, t), F.cross_entropy(x, t, w))


def test_few_operations():
    "A gradient that is written down is what runs: none of autograd's own steps through the plain lines."
    x, t, q, w = batch(torch.float32, 40, 30)
    for loss in (lambda x: softmax(x), lambda x: log_softmax(x), lambda x: cross_entropy(x, t, w, label_smoothing=.1),
                 lambda x: cross_entropy(x, q, w), lambda x: nll_loss(x, t, w)):
        assert loss(x.requires_grad_()).grad_fn.name() == '_WrittenDownBackward'
        with Ops() as ops: loss(x).sum().backward()
        assert not {name for name in ops.names if 'backward' in name}


X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
T, W = torch.tensor([0, 1, 2, 3, -100, 1]), torch.tensor([1., .5, 2., 1.], dtype=torch.float64)
WRITTEN = {'softmax': (shares, 'softmax', (1,)), 'log_softmax': (log_shares, 'log_softmax', (1,)),
           'nll': (any_nll, 'nll', (T, W, -100, 'mean')),
           'index': (any_loss, 'loss', (T, None, -100, 'mean', 0.)),
           'index, smoothed': (any_loss, 'loss', (T, None, -100, 'none', .1)),
           'index, weighted': (any_loss, 'loss', (T, W, -100, 'sum', .1)),
           'probabilities': (any_loss, 'loss', (X.softmax(1), W, -100, 'mean', .1))}


@pytest.mark.parametrize('name', WRITTEN)
def test_a_wrong_factor_is_seen(name):
    "gradcheck finds each gradient right as it is, and wrong when it is one per mille larger, everywhere or in one row."
    decorated, rule, args = WRITTEN[name]
    value, gradient = (getattr(fast, f'{rule}_{what}') for what in ('value', 'gradient'))
    tensors = sum(torch.is_tensor(a) or a is None for a in args)
    x = X.clone().requires_grad_()
    def right(gradient):
        function = fast.written_down(value, gradient, tensors)(decorated.__wrapped__)
        return gradcheck(lambda x: function(x, *args), x, raise_exception=False, rtol=1e-5, atol=1e-8)
    def one_row(*args):
        found = gradient(*args)
        found[1] *= 1.001
        return found
    assert right(gradient) and not right(lambda *args: 1.001 * gradient(*args)) and not right(one_row)
