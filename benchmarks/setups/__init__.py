"""Small training set-ups, broken and healthy, with known answers: what the doctor is measured on.

`dev` is the set that it was made with, `held_out` the set that it was scored on. The kinds of fault are those of
studies of real ones: N. Humbatova et al., "Taxonomy of real faults in deep learning systems", ICSE 2020; M. J. Islam
et al., "A comprehensive study on deep learning bug characteristics", ESEC/FSE 2019; Y. Zhang et al., "An empirical
study on TensorFlow program bugs", ISSTA 2018; J. Cao et al., "Understanding performance problems in deep learning
systems", ESEC/FSE 2022; and PyTorch's own issues about this loss.
"""
from dataclasses import dataclass, field
from typing import Callable

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits as load_small_digits
from torch import nn

from xent_course.support.digits import load_digits


@dataclass
class SetUp:
    "What a training starts from."
    model: nn.Module
    batch: tuple  # inputs and target, or a list of such micro-batches
    loss_func: Callable = field(default_factory=nn.CrossEntropyLoss)
    opt: object = None


KINDS = { # of fault -> the findings that detect it
    'one softmax too many': ('double softmax', 'activation inside the loss'),
    'another activation before the loss': ('activation at the end', 'activation inside the loss', 'double sigmoid'),
    'softmax over the wrong axis': ('softmax over the wrong axis', 'softmax inside over the batch'),
    'a log missing, or two losses mixed up': ('log missing', 'logits for log-probabilities', 'logits for probabilities',
                                              'no log inside the loss'),
    'a log that is not safe': ('softmax, then log', 'ceiling on the loss'),
    'shapes that do not belong together': ('one output column', 'broadcast', 'wrong shape', 'class axis'),
    'labels that cannot be right': ('label out of range', 'wrong dtype', 'target not probabilities'),
    'nan or inf': ('all ignored', '-inf among the logits', 'nan in the input', 'nan or inf', 'loss not finite',
                   'gradient not finite'),
    'classes in another order': ('classes permuted', 'wrong column'),
    'sign, graph or mean of the loss': ('wrong sign', 'no gradient', 'mean over classes', 'loss not a number',
                                        'weights with probabilities'),
    'a start far off': ('high loss at the start', 'loss far above ln c', 'last bias against the classes'),
    'a network that cannot learn': ('cannot overfit one batch', 'input ignored', 'rows alike', 'vanishing gradient'),
    'parameters left out': ('parameters never move', 'layers in a list', 'not in the optimizer',
                            'optimizer of another model', 'nothing to train'),
    'steps of the wrong size': ('steps too large', 'steps too small'),
    'training and evaluation differ': ('evaluation mode', 'train and eval differ', 'dropout too high'),
    'items that mix': ('items mix',),
    'unequal micro-batches': ('unequal micro-batches',),
}


def new_set():
    "Two lists, of (kind, function) and of functions, and the decorators that fill them."
    BROKEN, HEALTHY = [], []
    def broken(kind): return lambda f: BROKEN.append((kind, f)) or f
    def healthy(f): HEALTHY.append(f); return f
    return BROKEN, HEALTHY, broken, healthy


def small_digits(n=64, flat=True):
    "8 × 8 digits of ten classes, between 0 and 1."
    x, y = load_small_digits(return_X_y=True)
    pick = torch.randperm(len(x))[:n]
    x = torch.tensor(x).float()[pick] / 16
    return x if flat else x.view(-1, 1, 8, 8), torch.tensor(y)[pick]


def threes(n=64, flat=True):
    "MNIST's 3s and 7s, between 0 and 1."
    data = load_digits()[0]
    pick = torch.randperm(len(data.labels))[:n]
    x = data.images[pick].float() / 255
    return x.flatten(1) if flat else x[:, None], data.labels[pick]


def blobs(n=60, c=3, d=4, spread=1.):
    "Clouds of points, one for each class."
    y = torch.arange(n) % c
    return 3 * torch.randn(c, d)[y] + spread * torch.randn(n, d), y


def rare(n=100, few=5):
    "Two clouds, one of which has few points."
    y = (torch.arange(n) < few).long()[torch.randperm(n)]
    return 3 * torch.randn(2, 4)[y] + torch.randn(n, 4), y


def texts(n=32, length=12, words=20, c=4):
    "Sequences of words, each with a class for every word."
    x = torch.randint(words, (n, length))
    return x, x % c


def mlp(*sizes, act=nn.ReLU, end=()):
    layers = []
    for a, b in zip(sizes, sizes[1:]): layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1], *end)


def cnn(c=10, norm=True, drop=0., momentum=.1):
    "For one-channel images of any size."
    def block(i, o):
        normed = [nn.BatchNorm2d(o, momentum=momentum)] if norm else []
        return [nn.Conv2d(i, o, 3, padding=1), *normed, nn.ReLU(), nn.MaxPool2d(2)]
    dropped = [nn.Dropout(drop)] if drop else []
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*block(1, 8), *block(8, 16), *pooled, *dropped, nn.Linear(16, c))


class Apply(nn.Module):
    "A model, and what is done to what it gives."
    def __init__(self, model, after): super().__init__(); self.model, self.after = model, after
    def forward(self, *x): return self.after(self.model(*x))


def trained(model, batch, steps=60, lr=1e-2):
    "The model after some steps on the batch."
    opt = torch.optim.Adam(model.parameters(), lr)
    for _ in range(steps):
        opt.zero_grad(); F.cross_entropy(model(batch[0]), batch[1]).backward(); opt.step()
    opt.zero_grad()
    return model


def sgd(model, lr=.1, **kw): return torch.optim.SGD(model.parameters(), lr, **kw)
def adam(model, lr=1e-3, **kw): return torch.optim.AdamW(model.parameters(), lr, **kw)
