"The loss without the logits, on every device there is: value and gradients against PyTorch's own of all logits."
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

from xent_course.further.linear_cross_entropy import linear_cross_entropy, streaming_logsumexp
from xent_course.support.measure import peak_bytes

SETTINGS = dict(plain={}, smoothed=dict(label_smoothing=.1), weighted=dict(weight=True),
                both=dict(label_smoothing=.3, weight=True), ignoring=dict(ignore_index=7))


def case(device, dtype, n=300, d=24, c=1000):
    "Vectors and weights that want gradients, targets (every fifth -100), class weights."
    torch.manual_seed(0)
    x, w = torch.randn(n, d, device=device).to(dtype), (torch.randn(c, d, device=device) / d**.5).to(dtype)
    target = torch.randint(c, (n,), device=device)
    target[::5] = -100
    return x.requires_grad_(), w.requires_grad_(), target, torch.rand(c, device=device).to(dtype) + .1


def gradients(loss, *inputs): return torch.autograd.grad(loss.sum() * 1.7, inputs)


def bfloat16_products(device):
    "How near two losses of such products are: on a GPU a product of other size may be rounded otherwise."
    return dict(rtol=.005, atol=.05) if device == 'cuda' else {}


def error(got, true): return ((got.double() - true.double()).norm() / true.double().norm()).item()


def test_there_is_a_gpu():
    if not torch.cuda.is_available(): pytest.skip('no CUDA device: what should run on one, too, ran on the CPU only')


@pytest.mark.parametrize('reduction', ['mean', 'sum', 'none'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize('name', SETTINGS)
def test_linear_is_the_loss_of_all_logits(device, dtype, name, reduction):
    x, w, target, weight = case(device, dtype)
    settings = SETTINGS[name] | dict(reduction=reduction)
    if 'weight' in settings: settings['weight'] = weight
    if 'ignore_index' in settings: target = target.where(target != -100, 7)
    ours = linear_cross_entropy(x, w, target, **settings, chunk_size=64)
    theirs = F.cross_entropy(x @ w.T, target, **settings)
    rtol = 1e-4 if dtype == torch.float32 else 1e-9
    assert_close(ours, theirs)
    assert_close(gradients(ours, x, w), gradients(theirs, x, w), rtol=rtol, atol=1e-6)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
def test_half_precision(device, dtype):
    "As near to float64 as all logits in PyTorch's own loss, and of the same dtypes."
    x, w, target, _ = case(device, dtype)
    ours, theirs = linear_cross_entropy(x, w, target, chunk_size=64), F.cross_entropy(x @ w.T, target)
    true = F.cross_entropy(x.double() @ w.double().T, target)
    assert ours.dtype == theirs.dtype == dtype and error(ours, true) < torch.finfo(dtype).eps
    for got, plain, exact in zip(*(torch.autograd.grad(loss, (x, w)) for loss in (ours, theirs, true))):
        assert got.dtype == dtype and error(got, exact) <= 1.1 * error(plain, exact)


@pytest.mark.parametrize('reduction', ['mean', 'none'])
def test_autocast(device, reduction):
    "The product is taken in half precision, the loss in float32; so are the gradients of float32 weights."
    x, w, target, _ = case(device, torch.float32)
    with torch.autocast(device, dtype=torch.bfloat16):
        ours = linear_cross_entropy(x, w, target, reduction=reduction, chunk_size=64)
        theirs = F.cross_entropy(F.linear(x, w), target, reduction=reduction)
    assert ours.dtype == theirs.dtype == torch.float32
    assert_close(ours, theirs, **bfloat16_products(device))
    for got, plain in zip(gradients(ours, x, w), gradients(theirs, x, w)):
        assert got.dtype == torch.float32 and error(got, plain) < .005


@pytest.mark.parametrize('reduction', ['mean', 'none'])
def test_autocast_mixes_dtypes(device, reduction):
    "Vectors that an earlier layer left in half precision, and float32 weights."
    x, w, target, _ = case(device, torch.float32)
    with torch.autocast(device, dtype=torch.bfloat16):
        ours = linear_cross_entropy(x.bfloat16(), w, target, reduction=reduction)
        theirs = F.cross_entropy(F.linear(x.bfloat16(), w), target, reduction=reduction)
        assert_close(ours, theirs, **bfloat16_products(device))
    with pytest.raises(TypeError, match='the same dtype'): linear_cross_entropy(x.bfloat16(), w, target)


def test_all_ignored(device):
    """As in PyTorch: the loss is nan. Where nothing counts, the gradients are 0, so as not to spoil those of other
    batches; where all has a weight of 0, they are nan."""
    x, w, target, weight = case(device, torch.float32)
    all_but_3 = torch.ones_like(weight).index_fill(0, torch.tensor([3], device=device), 0.)
    for t, kw in (torch.full_like(target, -100), {}), (torch.full_like(target, 3), dict(weight=all_but_3)):
        pair = linear_cross_entropy(x, w, t, **kw), F.cross_entropy(x @ w.T, t, **kw)
        assert pair[0].isnan() and pair[1].isnan()
        assert_close(*(torch.autograd.grad(loss, (x, w)) for loss in pair), equal_nan=True)


def test_only_what_is_wanted(device):
    "Frozen weights, and no gradient at all: less memory, and the same loss."
    x, w, target, _ = case(device, torch.float32)
    loss = linear_cross_entropy(x, w, target)
    frozen = linear_cross_entropy(x, w.detach(), target)
    assert_close(frozen, loss)
    assert_close(gradients(frozen, x)[0], gradients(loss, x)[0])
    with torch.no_grad(): assert_close(linear_cross_entropy(x, w, target), loss.detach())
    if device == 'cpu':
        def peak(x, w): return peak_bytes(lambda: linear_cross_entropy(x, w, target, chunk_size=64))
        grown = w.numel() * w.itemsize
        assert peak(x, w) - peak(x, w.detach()) >= grown and peak(x, w.detach()) > peak(x.detach(), w.detach())


def test_gradcheck(device):
    x, w, target, weight = case(device, torch.float64, n=13, d=4, c=11)
    bias = torch.randn(11, dtype=torch.float64, device=device, requires_grad=True)
    for reduction in 'mean', 'none':
        def smoothed(x, w, b):
            return linear_cross_entropy(x, w, target, linear_bias=b, weight=weight, label_smoothing=.2, chunk_size=4,
                                        reduction=reduction)
        assert torch.autograd.gradcheck(smoothed, (x, w, bias), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(smoothed, (x, w, bias))


def test_streaming(device):
    rows = 50 * torch.randn(5, 999, device=device)
    rows[0, :100] = rows[1, 900:] = rows[2] = -torch.inf
    for size in 1, 7, 999: assert_close(streaming_logsumexp(rows.split(size, dim=1)), rows.logsumexp(1))
    rows[3, 500] = torch.inf
    for size in 1, 7, 999: assert_close(streaming_logsumexp(rows.split(size, dim=1)), rows.logsumexp(1))
    for half in torch.bfloat16, torch.float16:
        many = torch.randn(3, 50_000, device=device).to(half)
        assert_close(streaming_logsumexp(many.split(64, dim=1)), many.logsumexp(1))


def test_memory_does_not_grow_with_words_times_classes():
    "Two and four times the words only add the gradient of their vectors; no more than PyTorch's own for that chunk."
    def peak(loss, n, d=16, c=3000):
        x, w = torch.randn(n, d, requires_grad=True), (torch.randn(c, d) / d**.5).requires_grad_()
        target = torch.zeros(n).long()
        return peak_bytes(lambda: torch.autograd.grad(loss(x, w, target), (x, w)))
    few = lambda *args: linear_cross_entropy(*args, chunk_size=128)
    need = [peak(few, n) for n in (512, 1024, 2048)]
    assert need[1] - need[0] < 2 * 512 * (16 * 4 + 8) and need[2] - need[1] < 2 * 1024 * (16 * 4 + 8), need
    half = peak(lambda x, w, t: linear_cross_entropy(x.bfloat16(), w.bfloat16(), t, chunk_size=128), 2048)
    assert half < 2.6 * need[2]  # a second buffer, in float32, beside one of half its size, and the gradients in both
    if not hasattr(torch.nn, 'LinearCrossEntropyOptions'): return
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=128)
    theirs = lambda *args: F.linear_cross_entropy(*args, options=options)
    for d in 16, 600: assert peak(few, 1024, d) <= 1.1 * peak(theirs, 1024, d)
