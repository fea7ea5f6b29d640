"""What the new set-ups are made of: data, networks, and a fault with its cause in words.

A set-up is what people hand in. Besides tensors and their target, a batch is here also a dict that the model takes as
it stands (with a target beside it), a dict of the model's keywords (with the target under 'labels'), a tuple of
targets, or a DataLoader. A model gives logits, an object or dict with logits, a tuple of heads, or, where the loss
function is None, an object with its own loss.
"""
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

KINDS = (
    'scores and targets paired wrongly',
    'items that mix',
    'the future is seen',
    'weights and smoothing',
    'sign, mean or sum of the loss',
    'targets that cannot be right',
    'ignored by mistake, or counted by mistake',
    'parameters left out',
    'an input that does nothing',
    'activations, logs and temperatures',
    'a network that cannot learn',
    'half precision',
)


class Fault(NamedTuple):
    "A broken set-up, the healthy one that it differs from in one thing, and what a right finding says."
    kind: str
    make: Callable
    twin: Callable
    cause: str
    words: tuple  # a right finding has at least one of them, or a word that begins so

    def named(self, text):
        "Does the text of a finding (its rule, its message) name this cause?"
        plain = lambda s: re.sub(r'[\s_-]+', ' ', s.lower())
        return any(re.search(r'(?<!\w)' + re.escape(plain(word)), plain(text)) for word in self.words)


def new_faults():
    "Two lists, of faults and of healthy functions, and the decorators that fill them."
    BROKEN, HEALTHY = [], []
    def broken(kind, twin, cause, *words):
        return lambda f: BROKEN.append(Fault(kind, f, twin, cause, words)) or f
    def healthy(f): HEALTHY.append(f); return f
    return BROKEN, HEALTHY, broken, healthy


# --- data
def counting(n=24, length=11, words=12):
    "Sentences of words that count upwards, but for some that are any."
    x = (torch.randint(words, (n, 1)) + torch.arange(length)) % words
    return torch.where(torch.rand(n, length) < .15, torch.randint(words, (n, length)), x)


def padded(n=24, length=12, words=15):
    "Words from 2 that count upwards, then the end 1, then padding 0."
    x = torch.zeros(n, length).long()
    for i in range(n):
        k = int(torch.randint(3, length - 2, (1,)))
        x[i, :k] = 2 + (torch.randint(words - 2, (1,)) + torch.arange(k)) % (words - 2)
        x[i, k] = 1
    return x


def masked_words(n=32, length=10, words=20, c=3):
    "Words, a mask of those that are not padding, and the class of the first word."
    lengths = torch.randint(3, length, (n,))
    mask = (torch.arange(length) < lengths[:, None]).long()
    x = torch.randint(1, words, (n, length)) * mask
    return x, mask, x[:, 0] % c


def squares(n=8, size=10, c=3):
    "Squares whose brightness tells their class, and the class of every pixel."
    y = torch.zeros(n, size, size).long()
    for i in range(n):
        for k in range(1, c):
            a, b = torch.randint(size - 4, (2,)).tolist()
            y[i, a:a + 4, b:b + 3] = k
    return y[:, None] / c + .05 * torch.randn(n, 1, size, size), y


def communities(n=36, c=3, d=6):
    "Nodes, edges mostly inside a class, and the classes."
    y = torch.arange(n) % c
    near = torch.rand(n, n) < torch.where(y[:, None] == y, .3, .03)
    return 1.5 * torch.randn(c, d)[y] + torch.randn(n, d), near.nonzero().t(), y


def several(y, c): return (F.one_hot(y, c) + F.one_hot((y + 2) % c, c)).clamp(max=1).float()


# --- networks
class Decoder(nn.Module):
    "A small transformer over words, with logits for each place."
    def __init__(self, words=12, c=None, d=32, causal=True, batch_first=True):
        super().__init__()
        self.embed, self.place = nn.Embedding(words, d), nn.Parameter(.1 * torch.randn(16, d))
        self.block = nn.TransformerEncoderLayer(d, 4, 2 * d, 0., batch_first=batch_first)
        self.head, self.causal = nn.Linear(d, c or words), causal
    def hidden(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if self.causal else None
        return self.block(self.embed(x) + self.place[:x.shape[1]], mask)
    def forward(self, x): return self.head(self.hidden(x))


class Recurrent(nn.Module):
    "A recurrent network over words, with logits for each place."
    def __init__(self, words=15, c=None, d=32, rnn=nn.GRU):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(words, d), rnn(d, d, batch_first=True)
        self.head = nn.Linear(d, c or words)
    def forward(self, x): return self.head(self.rnn(self.embed(x))[0])


class GraphNet(nn.Module):
    "Two rounds of means over a node and its neighbours, given a list of edges."
    def __init__(self, d=6, c=3): super().__init__(); self.first, self.last = nn.Linear(d, 16), nn.Linear(16, c)
    def around(self, x, edges):
        total = x.index_add(0, edges[1], x[edges[0]])
        return total / (1 + edges[1].bincount(minlength=len(x)))[:, None]
    def forward(self, x, edges):
        return self.last(self.around(self.first(self.around(x, edges)).relu(), edges))


class LowRank(nn.Module):
    "A frozen layer, and beside it an adapter of low rank that starts at zero."
    def __init__(self, base, rank=4, first=nn.init.kaiming_uniform_):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a, self.b = (nn.Parameter(torch.empty(rank, base.in_features)),
                          nn.Parameter(torch.zeros(base.out_features, rank)))
        first(self.a)
    def forward(self, x): return self.base(x) + x @ self.a.t() @ self.b.t()


class Masked(nn.Module):
    "The mean over the words that are no padding, and the classes from it."
    def __init__(self, pool):
        super().__init__()
        self.embed, self.head, self.pool = nn.Embedding(20, 16), nn.Linear(16, 3), pool
    def forward(self, x, mask): return self.head(self.pool(self.embed(x), mask[..., None].float()))


class WithLoss(nn.Module):
    "A language model that shifts its labels and gives its loss beside the logits."
    def __init__(self, net, shift=1): super().__init__(); self.net, self.shift = net, shift
    def forward(self, input_ids, labels=None):
        logits, loss = self.net(input_ids), None
        if labels is not None: loss = shifted(logits, labels, self.shift)
        return SimpleNamespace(loss=loss, logits=logits)


# --- losses
def shifted(x, t, by=1, **kw):
    "The loss of causal language models: the label of a place is the next word."
    return F.cross_entropy(x[:, :x.shape[1] - by].flatten(0, 1), t[:, by:].flatten(), **kw)


class Margin(nn.Module):
    "Cosines to the classes' own directions, which are parameters, less a margin for the right one."
    def __init__(self, d, c, scale=16., margin=.1):
        super().__init__()
        self.weight, self.scale, self.margin = nn.Parameter(torch.randn(c, d)), scale, margin
    def forward(self, x, t):
        cosines = F.normalize(x) @ F.normalize(self.weight).t()
        return F.cross_entropy(self.scale * (cosines - self.margin * F.one_hot(t, len(self.weight))), t)


def parameters(*modules): return [w for m in modules for w in m.parameters() if w.requires_grad]
