"A thousand random healthy batches, none of which may raise an error."
import math, random
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from xent_course import CrossEntropyLoss, cross_entropy, diagnose

DTYPES = torch.float32, torch.float64, torch.bfloat16
AXES = 'rows', 'sequence', 'classes last', 'pixels'
TARGETS = 'index', 'index', 'soft', 'multi-label'
MOST = 30_000  # numbers in a batch


class Draw:
    "A random batch, its loss, and how it was made."
    def __init__(self, seed):
        self.random, self.g = random.Random(seed), torch.Generator().manual_seed(seed)
        pick, between = self.random.choice, self.random.uniform
        self.c = round(2 * 1000**self.random.random())                 # from 2 to 2,000, small ones as often
        self.axes, self.kind, self.dtype = pick(AXES), pick(TARGETS), pick(DTYPES)
        most = max(2, MOST // self.c)
        self.n = self.random.randint(2, min(64, most))
        each = max(1, most // self.n)
        length, side = self.random.randint(1, min(30, each)), self.random.randint(1, min(8, math.isqrt(each)))
        self.more = {'rows': (), 'pixels': (side, pick((side, 1)))}.get(self.axes, (length,))
        self.lead, self.spread, self.skew = pick((0, between(0, 12))), between(.1, 2.5), pick((0, between(0, 2)))
        self.ignore = pick((None, -100, 255, self.c, 0)) if self.kind == 'index' else None
        if self.ignore == 255 < self.c or self.ignore == 0 and self.c < 3: self.ignore = -100
        self.weighted, self.smoothing = pick((False, True)), pick((0., between(.01, .3)))
        target = self.target()
        self.loss = self.multi_label() if self.kind == 'multi-label' else self.cross_entropy()
        self.batch = self.logits(target).to(self.dtype), target, self.loss

    def __repr__(self): return ', '.join(f'{k}={v}' for k, v in vars(self).items() if k not in ('g', 'random', 'batch'))

    def rand(self, *shape): return torch.rand(shape, generator=self.g)
    def randn(self, *shape): return torch.randn(shape, generator=self.g)

    def hard(self):
        "Class indices, with shares that may be as skewed as Zipf's; never all of the same class."
        shares = torch.arange(1., self.c + 1)**-self.skew
        shares = shares[torch.randperm(self.c, generator=self.g)]
        t = shares.multinomial(self.n * math.prod(self.more), True, generator=self.g)
        return t.view(self.n, *self.more)

    def target(self):
        hard, axis = self.hard(), 1
        if self.kind == 'index':
            if self.ignore is None: return hard
            if self.ignore == 0: hard = hard.clamp(min=1)  # a class of its own for padding
            gone = self.rand(*hard.shape) < self.random.uniform(0, .9)
            gone.view(-1)[0] = False
            return hard.masked_fill(gone, self.ignore)
        if self.kind == 'soft':
            one_hot = F.one_hot(hard, self.c).movedim(-1, axis).float()
            mix = self.random.choice((0., self.random.random()))  # one-hot, or smeared
            soft = (1 - mix) * one_hot + mix * (3 * self.randn(*one_hot.shape)).softmax(axis)
            return soft.to(self.dtype)
        return (self.rand(self.n, self.c, *self.more) < self.random.uniform(.05, .6)).to(self.dtype)

    def logits(self, target):
        "Random numbers that lean towards their targets by anything from nothing to a lot."
        noise = self.spread * self.randn(self.n, self.c, *self.more)
        if self.kind == 'index':
            kept = target.where((target >= 0) & (target < self.c), 0)
            towards = F.one_hot(kept, self.c).movedim(-1, 1).float()
        else: towards = target.float()
        if self.kind == 'multi-label': towards = 2 * towards - 1
        x = noise + self.lead * towards
        return x.movedim(1, -1).contiguous() if self.classes_last else x

    @property
    def classes_last(self): return self.axes == 'classes last' and self.kind == 'index'

    def weight(self): return (.1 + 3 * self.rand(self.c)).to(self.dtype)

    def cross_entropy(self):
        "A loss in one of the ways in which people write it."
        kw = dict(label_smoothing=self.smoothing)
        if self.weighted: kw['weight'] = self.weight()
        if self.ignore is not None: kw['ignore_index'] = self.ignore
        if self.classes_last: return lambda x, t: F.cross_entropy(x.flatten(0, -2), t.flatten(), **kw)
        made = [partial(F.cross_entropy, **kw), nn.CrossEntropyLoss(**kw), CrossEntropyLoss(**kw),
                partial(cross_entropy, **kw),
                lambda x, t: F.cross_entropy(x, t, **kw)]
        if not self.weighted and not self.smoothing and self.ignore in (None, -100): made += [None, F.cross_entropy]
        if self.kind == 'index' and not self.smoothing:
            of_nll = {k: v for k, v in kw.items() if k != 'label_smoothing'}
            made.append(lambda x, t: F.nll_loss(x.log_softmax(1), t, **of_nll))
        return self.random.choice(made)

    def multi_label(self):
        shape = self.c, *[1] * len(self.more)
        if not self.weighted: return self.random.choice([nn.BCEWithLogitsLoss(), F.binary_cross_entropy_with_logits])
        return nn.BCEWithLogitsLoss(pos_weight=self.weight().view(shape))


@pytest.mark.parametrize('first', range(0, 1000, 250))
def test_no_error(first):
    bad = {}
    for seed in range(first, first + 250):
        draw = Draw(seed)
        report = diagnose(*draw.batch, verbose=False)
        if report.errors: bad[seed] = report.errors, draw
    said = (f'{seed}: {made} -> {", ".join(map(str, errors))}' for seed, (errors, made) in bad.items())
    assert not bad, '\n'.join(said)
