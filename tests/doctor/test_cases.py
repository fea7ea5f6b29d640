"What check_training finds in set-ups made for each of its rules, what it takes, and what it leaves alone."
import copy, json, warnings
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.setups import Apply, adam, blobs, cnn, mlp, small_digits, texts
from xent_course import check_training, diagnose
from xent_course.doctor.findings import OF_A_TRAINING, RULES, Problems, explain

CASES = {}


def case(rule):
    "Adds a function of `bad` that makes model, batch, loss and optimizer."
    def add(make): CASES.setdefault(rule, []).append(make); return make
    return add


def fn(f): return Apply(nn.Identity(), f)


@case('model raises')
def wrong_size(bad): return mlp(5 if bad else 4, 16, 3), blobs()


@case('model raises')
def negative_index(bad):
    x, y = texts()
    if bad: x[0, 0] = -1
    return nn.Sequential(nn.EmbeddingBag(20, 16), nn.Linear(16, 4)), (x, y[:, 0])


@case('repeated items')
def two_items(bad):
    x, y = blobs()
    return mlp(4, 16, 3), ((x[:3].repeat(20, 1), y[:3].repeat(20)) if bad else (x, y))


@case('misspelt requires_grad')
def no_s(bad):
    m = mlp(4, 16, 16, 3)
    for w in m[0].parameters(): setattr(w, 'require_grad' if bad else 'requires_grad', False)
    return m, blobs()


@case('misspelt requires_grad')
def of_a_module(bad):
    m = mlp(4, 16, 16, 3)
    if bad: m[0].requires_grad = False
    else: m[0].requires_grad_(False)
    return m, blobs()


@case('shared weights')
def tied(bad):
    m = mlp(4, 16, 16, 16, 3)
    if bad: m[4].weight = m[2].weight
    return m, blobs()


class Lora(nn.Module):
    def __init__(self, i, o, r=4):
        super().__init__()
        self.base = nn.Linear(i, o)
        self.lora_A, self.lora_B = nn.Parameter(torch.randn(r, i) / i**.5), nn.Parameter(torch.zeros(o, r))
    def forward(self, x): return self.base(x) + x @ self.lora_A.T @ self.lora_B.T


def adapted(frozen=True):
    m = nn.Sequential(Lora(4, 16), nn.ReLU(), Lora(16, 3))
    for layer in m[::2]: layer.base.requires_grad_(not frozen)
    return m


@case('base not frozen')
def trained_base(bad):
    m = adapted(not bad)
    return m, blobs(), None, adam(m, 1e-2, weight_decay=0)


@case('channels last')
def photos(bad):
    x, y = torch.rand(16, 3, 16, 16), torch.arange(16) % 4
    x += y[:, None, None, None]
    conv = nn.Sequential(nn.Conv2d(16 if bad else 3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         nn.Linear(32, 4))
    return conv, (x.movedim(1, -1) if bad else x, y)


class OneNorm(nn.Module):
    def __init__(self, shared):
        super().__init__()
        self.a, self.b, self.last, self.n = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 3), nn.BatchNorm1d(16)
        self.m = self.n if shared else nn.BatchNorm1d(16)
    def forward(self, x): return self.last(self.m(self.b(self.n(self.a(x)).relu())).relu())


@case('stateful layer reused')
def one_norm(bad): return OneNorm(bad), blobs()


@case('input ignored')
def mask_ignored(bad):
    class Text(nn.Module):
        def __init__(self): super().__init__(); self.embed, self.last = nn.Embedding(50, 16), nn.Linear(16, 3)
        def forward(self, ids, mask):
            h = self.embed(ids)
            return self.last(h.mean(1) if bad else (h * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
    ids, mask = torch.randint(1, 50, (24, 10)), torch.ones(24, 10)
    mask[::2, 5:] = 0
    return Text(), (ids * mask.long(), mask, (ids * mask.long()).sum(1) % 3)


class Words(nn.Module):
    "A small language model; logits have the words last."
    def __init__(self, causal=True, words=12):
        super().__init__()
        self.embed, self.last, self.causal = nn.Embedding(words, 32), nn.Linear(32, words), causal
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, 0., batch_first=True)
    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if self.causal else None
        return self.last(self.layer(self.embed(x), mask))


def counting(n=32, length=11): return (torch.randint(12, (n, 1)) + torch.arange(length)) % 12
def flat(x, t, **kw): return F.cross_entropy(x.flatten(0, 1), t.flatten(), **kw)
def shifting(x, t): return flat(x[:, :-1], t[:, 1:])


@case('sees later inputs')
def no_mask(bad): s = counting(); return Words(not bad), (s[:, :-1], s[:, 1:]), flat


@case('sees later inputs')
def no_mask_shifted_inside(bad): s = counting(); return Words(not bad), (s, s), shifting


@case('target is the input')
def not_shifted(bad): s = counting(); return Words(), (s, s), flat if bad else shifting


@case('target is an earlier input')
def swapped(bad): s = counting(); return Words(), (s[:, 1:], s[:, :-1]) if bad else (s[:, :-1], s[:, 1:]), flat


@case('floor under the loss')
def two_logsigmoids(bad):
    x, y = blobs(80, c=2)
    f = F.logsigmoid if bad else lambda x: x
    return mlp(4, 20, 1), (x, y.float()[:, None]), lambda x, t: F.binary_cross_entropy_with_logits(f(x), t)


@case('shifted twice')
def two_shifts(bad): s = counting(); return Words(), (s[:, :-1], s[:, 1:]), shifting if bad else flat


class Towers(nn.Module):
    def __init__(self, tau): super().__init__(); self.a, self.b, self.tau = nn.Linear(8, 16), nn.Linear(8, 16), tau
    def forward(self, x, y): return F.normalize(self.a(x)) @ F.normalize(self.b(y)).T / self.tau


@case('bounded logits')
def no_temperature(bad):
    x = torch.randn(32, 8)
    return Towers(1. if bad else .07), (x, x + .1 * torch.randn(32, 8), torch.arange(32))


@case('wrong backward')
def half_a_gradient(bad):
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x): ctx.save_for_backward(x); return x**2
        @staticmethod
        def backward(ctx, g): return ctx.saved_tensors[0] * g * (1 if bad else 2)
    return nn.Sequential(nn.Linear(4, 16), fn(Square.apply), nn.Linear(16, 3)), blobs()


class Margin(nn.Module):
    def __init__(self): super().__init__(); self.weight = nn.Parameter(torch.randn(3, 8))
    def forward(self, x, t): return F.cross_entropy(16 * F.normalize(x) @ F.normalize(self.weight).T, t)


@case('not in the optimizer')
def weights_of_the_loss(bad):
    m, loss = mlp(4, 16, 8), Margin()
    return m, blobs(), loss, torch.optim.Adam([*m.parameters(), *(() if bad else loss.parameters())], 1e-2)


@case('not in the optimizer')
def only_the_frozen(bad):
    m = adapted()
    return m, blobs(), None, torch.optim.AdamW([w for w in m.parameters() if w.requires_grad != bad], 1e-2)


@case('eps too small')
def half(bad):
    x, y = blobs()
    m = mlp(4, 32, 3).half()
    return m, (x.half(), y), lambda x, t: F.cross_entropy(x.float(), t), adam(m, eps=1e-8 if bad else 1e-4)


@case('decay with adam')
def l2(bad):
    m = mlp(4, 16, 3)
    return m, blobs(), None, (torch.optim.Adam if bad else torch.optim.AdamW)(m.parameters(), 1e-2, weight_decay=1e-2)


@case('steps too small')
def rate_0(bad): m = mlp(4, 16, 3); return m, blobs(), None, torch.optim.SGD(m.parameters(), 0. if bad else .1)


@case('items mix')
def attention_over_four_items(bad):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.last = nn.Linear(8, 16), nn.Linear(16, 4)
            self.attention = nn.MultiheadAttention(16, 4, batch_first=not bad)
        def forward(self, x): h = self.embed(x); return self.last((h + self.attention(h, h, h)[0]).mean(1))
    x = torch.randn(4, 6, 8)
    return Net(), (x, x.mean(1)[:, :4].argmax(1))


@case('gradient not finite')
def root_of_0(bad):
    x, y = blobs()
    x[0] = 0
    root = fn(lambda h: (h.square() + (0. if bad else 1e-6)).sqrt())
    return nn.Sequential(nn.Linear(4, 16, bias=False), root, nn.Linear(16, 3)), (x, y)


def look(made, **kw): return check_training(*made, verbose=False, **kw)


# --- what people hand in

class Output:
    def __init__(self, logits, loss=None): self.logits, self.loss = logits, loss


class OwnLoss(nn.Module):
    "As the models of transformers: keywords in, an object out; with labels it has a loss."
    def __init__(self, loss=shifting, last=nn.Identity()):
        super().__init__()
        self.inner, self.loss, self.last = Words(), loss, last
    def forward(self, input_ids, attention_mask=None, labels=None):
        x = self.last(self.inner(input_ids))
        return Output(x, None if labels is None else self.loss(x, labels))


@case('double softmax')
def its_own_loss_of_probabilities(bad):
    s = counting()
    return OwnLoss(last=nn.Softmax(-1) if bad else nn.Identity()), dict(input_ids=s, labels=s), None


@case('shifted twice')
def labels_shifted_for_a_loss_that_shifts(bad):
    s = counting()
    return OwnLoss(), dict(input_ids=s[:, :-1], labels=(s[:, 1:] if bad else s[:, :-1])), None


@case('wrong pairing')
def its_own_shift_by_two(bad):
    s = counting()
    two = lambda x, t: flat(x[:, :-2], t[:, 2:])
    return OwnLoss(two if bad else shifting), dict(input_ids=s, labels=s), None


@case('input ignored')
def one_entry_of_a_dict(bad):
    x, y = blobs()
    model = nn.Sequential(fn(lambda d: d['x'] * (not bad) + d['more']), mlp(4, 16, 3))
    return model, ({'x': x, 'more': .1 * torch.randn(60, 4)}, y)


@case('layer made in forward')
def last_layer_made_anew(bad):
    class Net(nn.Module):
        def __init__(self): super().__init__(); self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 3)
        def forward(self, x): return (nn.Linear(16, 3) if bad else self.last)(self.first(x).relu())
    return Net(), blobs()


@case('units alike')
def constant_weights(bad):
    m = mlp(4, 16, 16, 3)
    for layer in m[::2]: nn.init.zeros_(layer.bias)
    if bad: nn.init.constant_(m[0].weight, .1), nn.init.constant_(m[2].weight, .1)
    else: nn.init.zeros_(m[4].weight)  # its rows are alike, too, and their gradients are not
    return m, blobs()


@case('dropout of the logits')
def dropped_last(bad):
    dropout = nn.Dropout(.3)
    return nn.Sequential(mlp(4, 32), *([nn.Linear(32, 3), dropout] if bad else [dropout, nn.Linear(32, 3)])), blobs()


@case('dropout of the logits')
def dropped_by_a_function(bad):
    model = mlp(4, 32, 3)
    return Apply(model, lambda x: F.dropout(x, .3 if bad else 0., model.training)), blobs()


class Attending(nn.Module):
    "The mean of what attention gives, and classes from it."
    def __init__(self, hidden, pooled):
        super().__init__()
        self.embed, self.attend = nn.Embedding(50, 16), nn.MultiheadAttention(16, 2, batch_first=True)
        self.place, self.head = nn.Parameter(torch.randn(10, 16)), mlp(16, 16, 3)
        self.hidden, self.pooled = hidden, pooled
    def forward(self, input_ids, attention_mask):
        x, shown = self.embed(input_ids), self.pooled(attention_mask)[..., None].float()
        x = x + self.place[:x.shape[1]]
        h = self.attend(x, x, x, self.hidden(attention_mask), need_weights=False)[0]
        return self.head((h * shown).sum(1) / shown.sum(1))


def half_padded():
    ids, mask = torch.randint(1, 50, (24, 10)), torch.ones(24, 10).long()
    mask[::2, 5:] = mask[:, 8:] = 0
    return {'input_ids': ids * mask, 'attention_mask': mask}, ids[:, 0] % 3


@case('padding is read')
def mean_over_padding(bad):
    return Attending(lambda mask: mask == 0, lambda mask: mask + bad), half_padded()


@case('padding is read')
def mask_upside_down(bad):
    return Attending(lambda mask: mask == bad, lambda mask: mask), half_padded()


@case('padding is read')
def mask_upside_down_of_fixed_length(bad):
    class First(Attending):
        def forward(self, input_ids, attention_mask):
            x = self.embed(input_ids) + self.place
            query = self.place[:1].expand(len(x), 1, -1)
            return self.head(self.attend(query, x, x, self.hidden(attention_mask), need_weights=False)[0][:, 0])
    return First(lambda mask: mask == bad, None), half_padded()


@case('decay too strong')
def decay_of_twenty(bad):
    m = mlp(4, 16, 3)
    return m, blobs(), None, torch.optim.AdamW(m.parameters(), 1e-2, weight_decay=20. if bad else .1)


@case('optimizer maximizes')
def uphill(bad): m = mlp(4, 16, 3); return m, blobs(), None, torch.optim.SGD(m.parameters(), .1, maximize=bad)


@case('cannot overfit one batch')
def in_tenths_of_millivolts(bad):
    x, y = blobs()
    return nn.Sequential(fn(torch.tanh), mlp(4, 16, 3)), (1e-4 * x if bad else x, y)


@case('steps too small')
def steps_rounded_away(bad):
    m = mlp(4, 32, 3).bfloat16()
    return m, (lambda x, y: (x.bfloat16(), y))(*blobs()), None, adam(m, 1e-6 if bad else 1e-2)


PAIRS = [(rule, make) for rule, makes in CASES.items() for make in makes]


@pytest.mark.parametrize('rule,make', PAIRS, ids=lambda v: getattr(v, '__name__', ''))
def test_found_and_fixed(rule, make):
    reports = []
    for bad in True, False:
        torch.manual_seed(0)
        reports.append(look(make(bad)))
    found, fixed = reports
    assert rule in found.rules and rule in found.to_dict()['findings'][found.rules.index(rule)]['rule']
    assert fixed == [] and not found.not_looked and not fixed.not_looked


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(4, 16), nn.Linear(16, 3), nn.Linear(16, 2)
    def forward(self, x): h = self.body(x).relu(); return self.a(h), self.b(h)


class Graph(nn.Module):
    def __init__(self): super().__init__(); self.a, self.b = nn.Linear(4, 16), nn.Linear(16, 3)
    def forward(self, x, edges):
        A = torch.eye(len(x)).index_put(tuple(edges), torch.ones(()))
        A = A / A.sum(1, keepdim=True)
        return A @ self.b((A @ self.a(x)).relu())


class ByName(nn.Module):
    def __init__(self): super().__init__(); self.inner = mlp(4, 16, 3)
    def forward(self, batch): return {'logits': self.inner(batch['x'])}


class Dice(nn.Module):
    def forward(self, x, t): p = x.sigmoid(); return 1 - 2 * (p * t).sum() / (p.sum() + t.sum())


def loader():
    x, y = blobs()
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 32, shuffle=True)


def pictures():
    y = torch.zeros(8, 8, 8).long()
    y[:, 2:5, 2:6], y[4:, 5:7, 1:3] = 1, 2
    return (y[:, None] / 3 + .05 * torch.randn(8, 1, 8, 8)), y


def padded():
    s = counting()
    return s.masked_fill(torch.arange(11) >= torch.randint(4, 11, (32, 1)), 0)


def labelled(): s = padded(); return s[:, :-1], s[:, 1:]
def convs(c): return nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, c, 1))
def edges(): return torch.randint(60, (2, 100))


def zero_head():
    m = mlp(4, 16, 3)
    nn.init.zeros_(m[-1].weight); nn.init.zeros_(m[-1].bias)
    return m


def lazy():
    m = nn.Sequential(nn.LazyLinear(16), nn.ReLU(), nn.LazyLinear(3))
    return m, blobs(), None, torch.optim.AdamW(m.parameters(), 1e-2)


def warm_up():
    m = mlp(4, 16, 3)
    opt = adam(m, 1e-2)
    torch.optim.lr_scheduler.LambdaLR(opt, lambda step: step / 10)
    return m, blobs(), None, opt


def heads_loss(out, t): return F.cross_entropy(out[0], t[0]) + F.cross_entropy(out[1], t[1])
def several(): x, y = blobs(); return F.one_hot(y, 3) + F.one_hot((y * y) % 3, 3) > 0
def labelled_words(): s = counting(); return s[:, :-1], s[:, 1:]


class Tied(nn.Module):
    "At first it tells the word that it reads."
    def __init__(self):
        super().__init__()
        self.embed, self.layer = nn.Embedding(12, 16), nn.GRU(16, 16, batch_first=True)
    def forward(self, x):
        h = self.embed(x)
        return ((h + self.layer(h)[0]) @ self.embed.weight.T / 4).movedim(-1, 1)


def views(z, t):
    "The partner of each, among all others."
    z = F.normalize(z, dim=1)
    return F.cross_entropy(z @ z.T / .1 - 1e4 * torch.eye(len(z)), t)


class Spread(nn.Module):
    def __init__(self): super().__init__(); self.mean, self.log = mlp(4, 32, 1), mlp(4, 32, 1)
    def forward(self, x): return self.mean(x), F.softplus(self.log(x)) + 1e-4


class Rebuilds(nn.Module):
    def __init__(self, own=False): super().__init__(); self.inner, self.own = mlp(4, 32, 4), own
    def forward(self, x):
        y = self.inner(x)
        return {'loss': F.mse_loss(y, x)} if self.own else (y, x.new_zeros(()))


class Siamese(nn.Module):
    def __init__(self, joined=False):
        super().__init__()
        self.inner, self.last, self.joined = mlp(8, 32, 16), nn.Linear(32, 3) if joined else None, joined
    def forward(self, a, b):
        found = F.normalize(self.inner(a)), F.normalize(self.inner(b))
        return self.last(torch.cat(found, 1)) if self.joined else found


class Compared(nn.Module):
    def __init__(self): super().__init__(); self.inner, self.last = mlp(8, 32, 16), nn.Linear(16, 1)
    def forward(self, a, b): return (self.last(self.inner(a).relu()) - self.last(self.inner(b).relu()))[:, 0]


class ArcFace(nn.Module):
    def __init__(self): super().__init__(); self.w = nn.Parameter(torch.randn(10, 16))
    def forward(self, z, t):
        cosines = F.normalize(z) @ F.normalize(self.w).T
        return F.cross_entropy(16 * (cosines - .2 * F.one_hot(t, 10)), t)


class Noisy(nn.Module):
    def __init__(self): super().__init__(); self.a, self.b = mlp(4, 32, 8), mlp(8, 32, 4)
    def forward(self, x): h = self.a(x); return self.b(h + .1 * torch.randn_like(h))


class HeldGraph(nn.Module):
    "Who is whose neighbour is the model's own knowledge."
    def __init__(self, n):
        super().__init__()
        self.register_buffer('A', (torch.eye(n) + (torch.rand(n, n) < .02)).softmax(1))
        self.a, self.b = nn.Linear(4, 32), nn.Linear(32, 3)
    def forward(self, x): return self.b(self.A @ self.a(x).relu())


def levels(o, t): return F.binary_cross_entropy_with_logits(o, (t[:, None] > torch.arange(4)).float())
def begun(): return torch.cat([torch.full((32, 1), 11), counting() % 10], 1)
def frozen_norm(): m = cnn(10).train(); [n.eval() for n in m.modules() if 'BatchNorm' in type(n).__name__]; return m


class SparseNet(nn.Module):
    "Of a sparse input, or of an input whose rows a sparse matrix mixes."
    def __init__(self): super().__init__(); self.first, self.last = nn.Linear(4, 16), nn.Linear(16, 3)
    def forward(self, sparse, x=None):
        h = torch.sparse.mm(sparse, self.first(torch.eye(4) if x is None else x))
        return self.last(h.relu())


class Legal(nn.Module):
    def __init__(self, illegal): super().__init__(); self.net, self.illegal = mlp(4, 16, 3), illegal
    def forward(self, x, legal): return self.net(x).masked_fill(~legal, self.illegal)


def legal(): x, y = blobs(); return x, (torch.rand(60, 3) < .6) | F.one_hot(y, 3).bool(), y


HANDED_IN = {
    'dict for keywords': lambda: (OwnLoss(), dict(input_ids=counting(), labels=counting()), shifting),
    'own loss': lambda: (OwnLoss(), (lambda s: dict(
        input_ids=s, attention_mask=torch.ones_like(s), labels=s))(counting())),
    'dict for the model': lambda: (ByName(), (lambda x, y: {'x': x, 'y': y})(*blobs())),
    'dict and target': lambda: (ByName(), (lambda x, y: ({'x': x}, y))(*blobs())),
    'loader': lambda: (mlp(4, 16, 3), loader()),
    'two heads': lambda: (TwoHeads(), (lambda x, y: (x, (y, y % 2)))(*blobs()), heads_loss),
    'graph': lambda: (Graph(), (lambda x, y: (x, edges(), y))(*blobs())),
    'sparse': lambda: (SparseNet(), (lambda x, y: (x.relu().to_sparse(), y))(*blobs())),
    'sparse graph': lambda: (SparseNet(), (lambda x, y: (torch.eye(60).to_sparse(), x, y))(*blobs())),
    'a mask of -1e9': lambda: (Legal(-1e9), legal()), 'a mask of -inf': lambda: (Legal(-torch.inf), legal()),
    'lazy': lazy,
    'warm-up': warm_up,
    'half': lambda: (mlp(4, 32, 3).half(), (lambda x, y: (x.half(), y))(*blobs()),
                     lambda x, t: F.cross_entropy(x.float(), t)),
    'bfloat16': lambda: (mlp(4, 32, 3).bfloat16(), (lambda x, y: (x.bfloat16(), y))(*blobs())),
    'padding ignored by a lambda': lambda: (Words(), labelled(), lambda x, t: flat(x, t, ignore_index=0)),
    'padding ignored by partial': lambda: (Words(), labelled(), partial(flat, ignore_index=0)),
    'shift inside': lambda: (Words(), (lambda s: (s, s))(counting()), shifting),
    '5000 classes': lambda: (nn.Sequential(nn.Embedding(5000, 16), nn.Linear(16, 5000)),
                             (lambda x: (x, (x + 1) % 5000))(torch.randint(5000, (32,)))),
    'LoRA': lambda: (lambda m: (m, blobs(), None, adam(m, 1e-2, weight_decay=0)))(adapted()),
    'zero head': lambda: (lambda m: (m, blobs(), None, adam(m, 1e-2)))(zero_head()),
    'margin loss': lambda: (mlp(4, 16, 8), blobs(), Margin()),
    'squared error': lambda: (mlp(4, 16, 1), (lambda x, y: (x, x.sum(1, keepdim=True)))(*blobs()), nn.MSELoss()),
    'focal': lambda: (mlp(4, 16, 3), blobs(), lambda x, t: (lambda ce: ((1 - (-ce).exp())**2 * ce).mean())(
        F.cross_entropy(x, t, reduction='none'))),
    'dice': lambda: (convs(1), (lambda x, y: (x, (y[:, None] > 0).float()))(*pictures()), Dice()),
    'segmentation': lambda: (convs(3), pictures()),
    'void pixels': lambda: (convs(3), (lambda x, y: (x, y.where(y != 2, 255)))(*pictures()),
                            nn.CrossEntropyLoss(ignore_index=255)),
    'multi-label': lambda: (mlp(4, 16, 3), (blobs()[0], several().float()), nn.BCEWithLogitsLoss()),
    'contrastive': lambda: (Towers(.07), (lambda x: (
        x, x + .1 * torch.randn(32, 8), torch.arange(32)))(torch.randn(32, 8))),
    'own views': lambda: (mlp(8, 32, 16), (torch.randn(24, 8).repeat(2, 1) + .2 * torch.randn(48, 8),
                                          torch.arange(48).roll(24)), views),
    'lazy batch norm': lambda: (nn.Sequential(nn.LazyLinear(16), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(3)),
                                blobs()),
    'two heads, one target': lambda: (TwoHeads(), (lambda x, y: (x, y % 2))(*blobs()), lambda out, t:
                                      F.cross_entropy(out[0], t) + .3 * F.cross_entropy(out[1], t)),
    'float64 weights in a lambda': lambda: (mlp(64, 30, 10).double(), (lambda x, y: (x.double(), y))(*small_digits()),
                                            partial(F.cross_entropy, weight=torch.linspace(1, 2, 10).double())),
    'tied embeddings': lambda: (Tied(), labelled_words(), None),
    'temperature in the loss': lambda: (mlp(64, 30, 10), small_digits(), lambda x, t: F.cross_entropy(x / .1, t)),
    'gaussian with two heads': lambda: (Spread(), (lambda x: (x, x[:, :1].sin()))(torch.randn(64, 4)),
                                        lambda o, t: F.gaussian_nll_loss(o[0], t, o[1])),
    'reconstruction and a number': lambda: (Rebuilds(), (lambda x: (x, x))(torch.randn(64, 4)),
                                            lambda o, t: F.mse_loss(o[0], t) + o[1]),
    'two embeddings': lambda: (Siamese(), (lambda x: (x, x + .1 * torch.randn(32, 8), torch.arange(32)))(
        torch.randn(32, 8)), lambda o, t: F.cross_entropy(o[0] @ o[1].T / .1, t)),
    'cosines in the loss': lambda: (mlp(64, 30, 16), small_digits(), ArcFace()),
    'levels in order': lambda: (mlp(4, 16, 4), (lambda x: (x, torch.bucketize(
        x[:, 0].contiguous(), torch.tensor([-1., -.3, .3, 1.]))))(torch.randn(64, 4)), levels),
    'labels missing': lambda: (mlp(8, 30, 8), (lambda x: (x, (x > 0).float().where(torch.rand(64, 8) > .3, -1.)))(
        torch.randn(64, 8)), lambda o, t: F.binary_cross_entropy_with_logits(o[t >= 0], t[t >= 0])),
    'pairs compared': lambda: (Compared(), (torch.randn(64, 8) + .5, torch.randn(64, 8) - .5, torch.ones(64)),
                               lambda d, t: -F.logsigmoid(d).mean()),
    'a first word that is never asked for': lambda: (OwnLoss(), (lambda s: dict(input_ids=s, labels=s))(begun())),
    'inputs in a tuple': lambda: (Siamese(joined=True), (lambda x, y: ((x, x.flip(1)), y))(
        torch.randn(40, 8), torch.arange(40) % 3)),
    'sparse embeddings': lambda: (nn.Sequential(nn.EmbeddingBag(20, 16, sparse=True), nn.Linear(16, 4)),
                                  (lambda x, y: (x, y[:, 0]))(*texts())),
    'sampling': lambda: (Noisy(), (lambda x: (x, x))(torch.randn(64, 4)), nn.MSELoss()),
    'neighbours held': lambda: (HeldGraph(60), blobs()),
    'loss of its own, no target': lambda: (Rebuilds(own=True), dict(x=torch.randn(64, 4)), None),
    'frozen batch norm': lambda: (frozen_norm(), small_digits(flat=False)),
    'weights': lambda: (mlp(64, 30, 10), small_digits(), nn.CrossEntropyLoss(weight=torch.rand(10) + .5)),
    'distillation': lambda: (mlp(4, 16, 3), (blobs()[0], 3 * torch.randn(60, 3)), lambda x, t: F.kl_div(
        x.log_softmax(1), t.softmax(1), reduction='batchmean')),
}


@pytest.mark.parametrize('name', HANDED_IN)
def test_takes_what_people_hand_in(name):
    torch.manual_seed(0)
    made = HANDED_IN[name]()
    if name == 'dict for keywords': made[1]['labels'] = made[1]['input_ids']
    before = copy.deepcopy([made[0].state_dict() if 'lazy' not in name else {}, torch.get_rng_state()])
    report = look(made)
    assert report == [] and not report.not_looked
    after = [made[0].state_dict() if 'lazy' not in name else {}, torch.get_rng_state()]
    assert torch.equal(before[1], after[1]) and all(torch.equal(before[0][k], after[0][k]) for k in before[0])


def test_a_batch_stays_as_it_is():
    x, y = blobs()
    was = x.clone()
    look((nn.Sequential(nn.ReLU(inplace=True), mlp(4, 16, 3)), (x, y)))
    assert torch.equal(x, was)


def test_many_classes():
    "A softmax too many is seen with any number of them."
    for c in 1000, 30_000, 128_000:
        x, t = torch.randn(4, c), torch.arange(4)
        assert diagnose(x, t, verbose=False) == []
        twice = diagnose(x, t, lambda x, t: F.cross_entropy(x.softmax(1), t), verbose=False)
        assert twice.rules == ['activation inside the loss']


def test_report():
    report = look((nn.Sequential(mlp(64, 30, 10), nn.Softmax(1)), small_digits()))
    assert not report.ok and report.of('double softmax').seen['floor'] > 1.46
    with pytest.raises(Problems, match='double softmax'): report.raise_if_errors()
    assert json.loads(json.dumps(report.to_dict()))['ok'] is False and 'double softmax' in report._repr_html_()
    assert any(row.seen == 'skipped: no optimizer' for row in report.rows)
    for rule in RULES: assert rule in explain(rule)


def test_own_faults_are_not_swallowed(monkeypatch):
    from xent_course.doctor import check_training as module
    def stumble(case): raise ZeroDivisionError('mine')
    made = mlp(64, 30, 10), small_digits()
    monkeypatch.setattr(module, 'QUESTIONS', [module.question([], 'x')(stumble) and module.QUESTIONS[0],
                                              type(module.QUESTIONS[0])('stumbles', (), stumble)])
    with pytest.raises(ZeroDivisionError): look(made)
    monkeypatch.delenv('XENT_DOCTOR_STRICT')
    assert 'Could not look: ZeroDivisionError: mine (stumbles)' in str(look(made))


def test_every_rule_is_tried():
    from tests.doctor import test_doctor
    warnings.simplefilter('ignore')
    tried = set(CASES) | test_doctor.found_in_dev()
    assert set(OF_A_TRAINING) <= tried, set(OF_A_TRAINING) - tried


class Counting(nn.Module):
    "Adds up how many items pass through; those with a gradient count three times, for the way back."
    passes = 0
    def __init__(self, inner): super().__init__(); self.inner = inner
    def forward(self, x):
        Counting.passes += len(x) * (3 if torch.is_grad_enabled() else 1)
        return self.inner(x)


@pytest.mark.parametrize('model,batch,loss', [
    (lambda: cnn(10), lambda: small_digits(64, flat=False), None),
    (lambda: Words(), lambda: labelled_words(), flat),
    (lambda: nn.Sequential(mlp(64, 30, 30, 10), nn.Dropout(.1)), lambda: small_digits(128), None)])
def test_costs_fifteen_steps_at_most(model, batch, loss):
    "Of passes through the model; what is asked of the loss comes on top, and matters where a step takes no time."
    torch.manual_seed(0)
    m, (x, y), Counting.passes = Counting(model()), batch(), 0
    check_training(m, (x, y), loss, adam(m, 1e-3), verbose=False)
    assert Counting.passes / (3 * len(x)) <= 15, Counting.passes / (3 * len(x))
