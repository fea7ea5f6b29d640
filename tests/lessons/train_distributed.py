"""Trains lesson 09's network in several processes with fastai's `distrib_ctx`:
`torchrun --nproc_per_node 2 tests/lessons/train_distributed.py SEED EPOCHS`.

With a GPU for each process, nothing but `distrib_ctx` is needed. On processors, fastai 2.8 wants two things more."""
import sys, warnings

warnings.filterwarnings('ignore', category=FutureWarning)
import torch
import torch.distributed as dist
from fastai.distributed import DistributedDL, rank_distrib
from fastai.vision.all import Learner, set_seed

from xent_course import CrossEntropyLoss
from xent_course.support.digits import hold_out, load_digits
from xent_course.support.loaders import digit_loaders
from xent_course.lessons.mnist_3_vs_7 import digit_cnn


def broadcast(self, order, rank):
    "The order of the images, from one process to all; fastai's own goes by way of a GPU."
    order = [order]
    dist.broadcast_object_list(order, rank)
    return order[0]


on_cpu = not torch.cuda.is_available()
if on_cpu: DistributedDL._broadcast = broadcast

set_seed(int(sys.argv[1]), reproducible=True)
train, valid = hold_out(load_digits()[0])
learn = Learner(digit_loaders(train, valid, bs=64), digit_cnn(), loss_func=CrossEntropyLoss())
with learn.distrib_ctx(sync_bn=False, cpu=on_cpu), learn.no_bar(), learn.no_logging():
    learn.fit_one_cycle(int(sys.argv[2]), 2e-2)
weights = [sum(weight.double().sum().item() for weight in learn.model.parameters())]
everyone = [None] * dist.get_world_size()
dist.all_gather_object(everyone, weights)
with torch.no_grad(): errors = (learn.model.eval()(valid.images[:, None] / 255).argmax(1) != valid.labels).sum()
same = all(w == weights for w in everyone)
if rank_distrib() == 0: print(f'{len(everyone)} processes, same weights: {same}, {errors} errors')
dist.destroy_process_group()
