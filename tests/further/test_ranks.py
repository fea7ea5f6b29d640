"Losses over several processes, on CPUs and on GPUs: value and gradients are those of one; a lost one ends the others."
import subprocess, sys

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.distributed.tensor.parallel import loss_parallel
from torch.nn.parallel import DistributedDataParallel
from torch.testing import assert_close

from xent_course import cross_entropy
from xent_course.further.denominator import denominator
from xent_course.support.ranks import on_ranks
from xent_course.further.vocab_parallel import vocabulary_loss

pytestmark = [pytest.mark.slow, pytest.mark.posix]
on_some_ranks = pytest.mark.parametrize('ranks', [2, 4])


def logits_and_targets(n=12, c=10):
    "Large logits, some of them -inf, though never a target's; c that no number of ranks here divides but 2."
    torch.manual_seed(0)
    logits, target = 30 * torch.randn(n, c, dtype=torch.float64), torch.randint(c, (n,))
    holes = torch.rand(n, c) < .3
    holes[0] = True  # all but the target's
    return logits.masked_fill(holes.scatter(1, target[:, None], False), -torch.inf), target


def one_process(logits, target):
    x = logits.clone().requires_grad_()
    losses = F.cross_entropy(x, target, reduction='none')
    return losses.detach(), torch.autograd.grad(losses.sum(), x)[0]


def place(device):
    if device == 'cuda': return torch.device(device, dist.get_rank() % torch.cuda.device_count())
    return torch.device(device)


def shard_loss(device):
    logits, target = (x.to(place(device)) for x in logits_and_targets())
    pieces = logits.chunk(dist.get_world_size(), dim=1)
    first = sum(piece.shape[1] for piece in pieces[:dist.get_rank()])
    return [x.cpu() for x in vocabulary_loss(pieces[dist.get_rank()], target, first)]


@on_some_ranks
def test_written_out(ranks, device):
    losses, gradient = one_process(*logits_and_targets())
    results = on_ranks(ranks, shard_loss, device)
    for got, _ in results: assert_close(got, losses)
    assert_close(torch.cat([piece for _, piece in results], 1), gradient)


def pytorch_loss():
    logits, target = logits_and_targets()
    mesh = init_device_mesh('cpu', (dist.get_world_size(),))
    spread = distribute_tensor(logits, mesh, [Shard(1)]).requires_grad_()
    with loss_parallel():
        losses = F.cross_entropy(spread, target, reduction='none')
        losses.sum().backward()
    return losses.full_tensor().detach(), spread.grad.full_tensor()


def half_precision():
    logits, target = logits_and_targets()
    logits = logits.bfloat16().requires_grad_()
    return vocabulary_loss(logits.chunk(2, dim=1)[dist.get_rank()], target, 5 * dist.get_rank())


def test_half_precision_is_computed_in_float32():
    "And nothing leads autograd astray, which can't follow an exchange."
    logits, target = logits_and_targets()
    losses, gradient = on_ranks(2, half_precision)[0]
    assert losses.dtype == gradient.dtype == torch.float32 and not losses.requires_grad
    assert_close(losses, F.cross_entropy(logits.bfloat16().float(), target, reduction='none'))


@on_some_ranks
def test_loss_parallel_is_the_same(ranks):
    wanted = one_process(*logits_and_targets())
    for got in on_ranks(ranks, pytorch_loss): assert_close(got, wanted)


def unknown_target(target):
    try: vocabulary_loss(torch.zeros(2, 3), torch.tensor([0, target]), 3 * dist.get_rank())
    except ValueError as error: return str(error)


@pytest.mark.parametrize('target', [-100, 6])
def test_a_target_that_nobody_has(target):
    "All ranks say so, and none waits for the others."
    assert all('on no rank' in message for message in on_ranks(2, unknown_target, target))
    with pytest.raises(TypeError, match='int64'): vocabulary_loss(torch.zeros(2, 3), torch.zeros(2), 0)
    with pytest.raises(ValueError, match='at least one class'):
        vocabulary_loss(torch.zeros(2, 0), torch.zeros(2).long(), 0)


def batch():
    "Targets that count differently on each rank: ignored ones first, rare classes last; and class weights."
    torch.manual_seed(0)
    x, target = torch.randn(40, 5, dtype=torch.float64), torch.arange(40) // 10
    target[:13] = -100
    return x, target, torch.tensor([1., 2, 5, .5], dtype=torch.float64)


def new_layer():
    torch.manual_seed(1)
    return nn.Linear(5, 4, dtype=torch.float64)


def data_parallel_gradients(mended, device):
    x, target, weight = (v.to(place(device)) for v in batch())
    model = DistributedDataParallel(new_layer().to(place(device)))
    x, target = (v.chunk(dist.get_world_size())[dist.get_rank()] for v in (x, target))
    if mended:
        count = denominator(target, weight)
        dist.all_reduce(count)
        loss = cross_entropy(model(x), target, weight, reduction='sum') / count * dist.get_world_size()
    else: loss = cross_entropy(model(x), target, weight)
    loss.backward()
    return [p.grad.cpu() for p in model.parameters()]


@on_some_ranks
def test_one_denominator(ranks, device):
    layer, (x, target, weight) = new_layer(), batch()
    wanted = torch.autograd.grad(F.cross_entropy(layer(x), target, weight), layer.parameters())
    for got in on_ranks(ranks, data_parallel_gradients, True, device): assert_close(got, list(wanted))
    got = on_ranks(ranks, data_parallel_gradients, False, device)[0]
    assert not torch.allclose(got[0], wanted[0], rtol=.05)  # the fault is one


KILLED = '''
import os, signal
import torch, torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from xent_course import cross_entropy
from xent_course.support.ranks import on_ranks

def train(rank_to_kill, step_to_kill):
    model = DistributedDataParallel(nn.Linear(5, 4))
    for step in range(100_000):
        if (dist.get_rank(), step) == (rank_to_kill, step_to_kill): os.kill(os.getpid(), signal.SIGKILL)
        cross_entropy(model(torch.randn(8, 5)), torch.randint(4, (8,))).backward()

if __name__ == '__main__': on_ranks(RANKS, train, RANKS - 1, 50)
'''


@on_some_ranks
def test_a_killed_rank_ends_the_training(ranks, tmp_path):
    "All of it is over before the five minutes that ranks wait for each other. Nothing of it goes on."
    script = tmp_path/'killed.py'
    script.write_text(KILLED.replace('RANKS', str(ranks)))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and f'of {ranks} failed, and the others were stopped' in done.stderr
    assert 'Timed out' not in done.stderr
