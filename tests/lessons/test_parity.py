"The package's functions against torch's: on torch's own sample inputs, under its transforms, and in precision."
import copy, pickle
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db
from torch.utils._python_dispatch import TorchDispatchMode

from xent_course.lessons.by_hand import train_linear, weight_grad
from xent_course.lessons.cross_entropy import CrossEntropyLoss, cross_entropy
from xent_course.lessons.log import log_softmax, logsumexp
from xent_course.lessons.nll import mnist_loss, nll_loss
from xent_course.lessons.softmax import softmax

OURS = {'softmax': softmax, 'log_softmax': log_softmax, 'logsumexp': logsumexp,
        'nn.functional.nll_loss': nll_loss, 'nn.functional.cross_entropy': cross_entropy}
OPS = [op for op in op_db if op.name in OURS]
FLOATS = torch.float16, torch.bfloat16, torch.float32, torch.float64


def as_double(x):
    "The same argument in float64, wherever it holds floats."
    if isinstance(x, dict): return {k: as_double(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)): return type(x)(as_double(v) for v in x)
    return x.detach().double() if isinstance(x, torch.Tensor) and x.is_floating_point() else x


def value_and_grad(f, x, args, kwargs):
    "What `f` gives, and the gradient of a fixed mixture of its numbers."
    x = x.detach().requires_grad_()
    y = f(x, *args, **kwargs)
    mix = (torch.arange(y.numel(), device=y.device).view(y.shape) % 7 - 3).to(y.dtype) / 4  # exact in every dtype
    return y.detach(), torch.autograd.grad((y * mix).sum(), x)[0]


def check_agreement(ours, theirs, x, args=(), kwargs={}):
    """Each number of ours, and of its gradient, is within torch's tolerances of torch's, or nearer to float64's.

    In half precision, where the float64 result must be rounded too, by no more than two rounding units further away."""
    mine, yours = (value_and_grad(f, x, args, kwargs) for f in (ours, theirs))
    try: return assert_close(mine, yours, equal_nan=True)
    except AssertionError as different: problem = different
    wide = {'dtype': torch.float64} if 'dtype' in kwargs else {}
    exact = value_and_grad(theirs, as_double(x), as_double(args), as_double(kwargs | wide))
    for m, y, e in zip(mine, yours, exact):
        if (m.shape, m.dtype) != (y.shape, y.dtype): raise problem
        eps, half = torch.finfo(y.dtype).eps, y.dtype.itemsize == 2
        close = torch.isclose(m, y, rtol=eps if half else 1.3e-6, atol=1e-5, equal_nan=True)
        nearer = (m - e).abs() <= (y - e).abs().nan_to_num(float('inf')) + half * 2 * eps * e.abs().clamp(min=1e-2)
        too_big = e.isfinite() & (e.abs() > torch.finfo(y.dtype).max)
        if not (close | nearer | too_big).all(): raise problem


@pytest.mark.parametrize('dtype', FLOATS, ids=str)
@pytest.mark.parametrize('op', OPS, ids=lambda op: f'{op.name}-{op.variant_test_name}')
def test_sample_inputs(device, op, dtype):
    samples = list(op.sample_inputs(device, dtype, requires_grad=True))
    assert samples
    for s in samples: check_agreement(OURS[op.name], op.op, s.input, s.args, s.kwargs)


def module_samples(name, dtype):
    "The (settings, arguments) that torch tests its module `name` with."
    info, = [m for m in module_db if m.module_cls.__name__ == name]
    for s in info.module_inputs_func(info, torch.device('cpu'), dtype, True, training=True):
        yield s.constructor_input, s.forward_input


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
def test_module_sample_inputs(dtype):
    count = 0
    for made, given in module_samples('CrossEntropyLoss', dtype):
        ours, theirs = (loss(*made.args, **made.kwargs) for loss in (CrossEntropyLoss, torch.nn.CrossEntropyLoss))
        check_agreement(ours, theirs, *given.args[:1], given.args[1:])
        count += 1
    for made, given in module_samples('NLLLoss', dtype):
        ours, theirs = (partial(loss, **made.kwargs) for loss in (nll_loss, F.nll_loss))
        check_agreement(ours, theirs, *given.args[:1], given.args[1:])
        count += 1
    assert count > 100


X, T = torch.randn(5, 3, dtype=torch.float64), torch.tensor([0, 2, 1, -100, 0])
SOFT, W = torch.randn(5, 3, dtype=torch.float64).softmax(1), torch.tensor([.5, 2., 1.], dtype=torch.float64)
SETTINGS = [(T, {}), (T, dict(weight=W)), (T, dict(weight=W, label_smoothing=.2)), (T, dict(reduction='none')),
            (T, dict(ignore_index=0, reduction='sum')), (SOFT, {}), (SOFT, dict(weight=W, label_smoothing=.2))]


def ignored_as(settings, t): return t.where(t >= 0, settings.get('ignore_index', -100)) if t is T else t


@pytest.mark.parametrize('target,settings', [(ignored_as(settings, t), settings) for t, settings in SETTINGS])
def test_gradients(target, settings):
    x, ours = X.clone().requires_grad_(), partial(cross_entropy, target=target, **settings)
    assert gradcheck(ours, (x,), check_forward_ad=True, check_batched_grad=True) and gradgradcheck(ours, (x,))
    theirs = partial(F.cross_entropy, target=target, **settings)
    if settings.get('reduction') == 'none': return
    assert_close(torch.func.grad(ours)(X), torch.func.grad(theirs)(X))
    hessian = torch.func.hessian(theirs)(X)
    for outer, inner in product((torch.func.jacfwd, torch.func.jacrev), repeat=2):
        assert_close(outer(inner(ours))(X), hessian)


def test_other_gradients():
    x = X.clone().requires_grad_()
    for f in softmax, log_softmax, logsumexp, partial(nll_loss, target=T.clamp(min=0), weight=W):
        assert gradcheck(f, (x,), check_forward_ad=True) and gradgradcheck(f, (x,))


def test_vmap():
    t, vmap, grad = T.clamp(min=0), torch.func.vmap, torch.func.grad
    for f, g in (cross_entropy, F.cross_entropy), (nll_loss, F.nll_loss):
        assert_close(vmap(f)(X, t), vmap(g)(X, t))
        assert_close(vmap(grad(f))(X, t), vmap(grad(g))(X, t))
        assert_close(vmap(f, (None, 0))(X[0], t), vmap(g, (None, 0))(X[0], t))
        assert_close(vmap(grad(f), (None, 0))(X[0], t), vmap(grad(g), (None, 0))(X[0], t))
        stack = torch.randn(4, 5, 3, dtype=torch.float64)
        assert_close(vmap(f, (0, None))(stack, t), vmap(g, (0, None))(stack, t))
    for f, g in (softmax, F.softmax), (log_softmax, F.log_softmax):
        assert_close(vmap(partial(f, dim=0))(X), vmap(partial(g, dim=0))(X))


@pytest.mark.parametrize('target,settings', SETTINGS)
def test_compile(target, settings):
    "The whole graph is traced, with no break; `aot_eager` needs no C++ compiler."
    target = ignored_as(settings, target)
    ours, theirs = (partial(f, target=target, **settings) for f in (cross_entropy, F.cross_entropy))
    torch._dynamo.reset()
    compiled = torch.compile(ours, fullgraph=True, backend='aot_eager')
    for f in compiled, ours:
        x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
        assert_close(f(x), theirs(y))
        assert_close(torch.autograd.grad(f(x).sum(), x), torch.autograd.grad(theirs(y).sum(), y))


def test_autocast():
    x, t = X.bfloat16(), T
    with torch.autocast('cpu', dtype=torch.bfloat16):
        for w in None, W.float(): assert_close(cross_entropy(x, t, w), F.cross_entropy(x, t, w))
        assert_close(cross_entropy(X, t), F.cross_entropy(X, t))  # float64 stays float64
        assert_close(nll_loss(X, t), F.nll_loss(X, t))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_mnist_loss_in_half_precision(dtype):
    "What float64 gives for the same logits, rounded once; under autocast, float32."
    for lead in 3., 6., 8.:
        x, t = torch.tensor([lead, lead, -lead], dtype=dtype), torch.tensor([1, 1, 0])
        exact = (-x.double() * torch.tensor([1, 1, -1])).sigmoid().mean()
        assert_close(mnist_loss(x, t).double(), exact, rtol=torch.finfo(dtype).eps, atol=1e-6)
        assert mnist_loss(x, t).dtype == dtype
        with torch.autocast('cpu', dtype=torch.bfloat16): assert_close(mnist_loss(x, t), exact.float())
    many = torch.full((100_000,), 2., dtype=dtype)  # a mean of many
    assert_close(mnist_loss(many, torch.ones(100_000)), torch.tensor(-2.).sigmoid().to(dtype))


def test_weights_by_hand():
    "Lesson 08's gradient is autograd's of torch's loss, to float64's last digits; training records no graph."
    x, w = torch.randn(7, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    t = torch.arange(7) % 3
    theirs, = torch.autograd.grad(F.cross_entropy(x @ w.T, t), w)
    assert_close(weight_grad(x, w.detach(), t), theirs, rtol=1e-10, atol=1e-12)
    plain, recorded = train_linear(x, t, 3), train_linear(x.clone().requires_grad_(), t, 3)
    assert_close(recorded, plain)
    assert not recorded.requires_grad


def test_several_axes():
    x = torch.randn(2, 3, 4)
    for dim in (1, 2), [1, 2], [-1], (0, -1): assert_close(logsumexp(x, dim), torch.logsumexp(x, dim))


class Ops(TorchDispatchMode):
    "Notes every operator that torch runs."
    def __init__(self): super().__init__(); self.names = set()
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func._schema.name)
        return func(*args, **(kwargs or {}))


def test_built_from_the_ground():
    "None of torch's own softmax, log_softmax, nll_loss or cross_entropy runs underneath, forwards or backwards."
    def forbidden(f, arg):
        x = X.clone().requires_grad_()
        with Ops() as ops: f(x, arg).sum().backward()
        return {n for n in ops.names for word in ('softmax', 'nll_loss', 'cross_entropy', 'logsumexp') if word in n}

    assert forbidden(F.cross_entropy, T) and forbidden(torch.logsumexp, 1)
    for f in softmax, log_softmax, logsumexp: assert not forbidden(f, 1)
    assert not forbidden(nll_loss, T) and not forbidden(cross_entropy, SOFT)
    for target, settings in SETTINGS[:4]: assert not forbidden(partial(cross_entropy, **settings), target)


PAIRS = {'softmax': (softmax, F.softmax), 'log_softmax': (log_softmax, F.log_softmax),
         'logsumexp': (logsumexp, torch.logsumexp), 'cross_entropy': (cross_entropy, F.cross_entropy),
         'each loss': (partial(cross_entropy, reduction='none'), partial(F.cross_entropy, reduction='none'))}


@pytest.mark.parametrize('name', PAIRS)
@pytest.mark.parametrize('scale', [.01, 1., 10., 100., 1e4])
@pytest.mark.parametrize('c', [2, 10, 1000])
def test_float32_error(c, scale, name):
    "Against float64, no error is larger than torch's largest by more than a rounding unit, in value and in gradient."
    ours, theirs = PAIRS[name]
    worst = torch.zeros(2, 2, dtype=torch.float64)  # (ours or torch's, value or gradient), in rounding units
    for seed in range(20):
        torch.manual_seed(seed)
        x = torch.randn(64, c) * scale
        args = (torch.randint(c, (64,)),) if ours not in (softmax, log_softmax, logsumexp) else (1,)
        exact = value_and_grad(theirs, x.double(), args, {})
        for row, f in enumerate((ours, theirs)):
            for col, (got, e) in enumerate(zip(value_and_grad(f, x, args, {}), exact)):
                units = (got - e).abs() / (torch.finfo(torch.float32).eps * e.abs().clamp(min=1))
                worst[row, col] = max(worst[row, col], units.max())
    assert (worst[0] <= worst[1] + 1).all(), worst


def test_numpy_settings():
    "Settings are often read with NumPy."
    x, t = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    settings = dict(ignore_index=np.int64(1), label_smoothing=np.float32(.1))
    assert_close(cross_entropy(x, t, **settings), F.cross_entropy(x, t, **settings))
    assert_close(softmax(x, np.int64(0)), torch.softmax(x, 0))


def test_state():
    "The class weights are saved and moved with the loss, as torch's are."
    w = torch.tensor([1., 2., 3.])
    ours, theirs = CrossEntropyLoss(w), torch.nn.CrossEntropyLoss(w)
    assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    assert ours.double().weight.dtype == torch.float64
    assert CrossEntropyLoss().state_dict() == torch.nn.CrossEntropyLoss().state_dict()
    again = pickle.loads(pickle.dumps(copy.deepcopy(CrossEntropyLoss(w, label_smoothing=.1))))
    x, t = torch.randn(4, 3), torch.tensor([0, 1, 2, 2])
    assert_close(again(x, t), F.cross_entropy(x, t, w, label_smoothing=.1))
