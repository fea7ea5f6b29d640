"""Newer set-ups, written before the rules that look at them: the half to score the doctor on, once.

Each broken one has a healthy twin that differs from it in one thing. There is no list of findings that detect a kind,
as the findings had no names then: a fault tells its cause, and words of which a right finding has at least one.
"""
import copy, math
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import DataLoader

from benchmarks.setups import Apply, SetUp, adam, blobs, cnn, mlp, rare, sgd, small_digits, threes, trained
from benchmarks.setups.parts import (Decoder, GraphNet, LowRank, Recurrent, WithLoss, communities, counting,
                                     masked_words, new_faults, padded, parameters, several, shifted, squares)

BROKEN, HEALTHY, broken, healthy = new_faults()


# --- graphs
def semi_supervised(unknown):
    x, edges, y = communities(60)
    y[24:] = unknown
    model = GraphNet()
    return SetUp(model, (x, edges, y), opt=torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=5e-4))

@healthy
def few_labelled_nodes(): return semi_supervised(-100)

@broken('targets that cannot be right', few_labelled_nodes, 'nodes without a label have class 0: a constant tail',
        'constant tail', 'same label', 'padding', 'ends of the', 'last places')
def unlabelled_nodes_are_zero(): return semi_supervised(0)


# --- contrastive
def views(norm, itself):
    "Two views of each item, the partner's index as the target."
    x = torch.randn(24, 8)
    pairs = torch.cat([x, x]) + .2 * torch.randn(48, 8)
    def loss(z, t):
        z = norm(z)
        return F.cross_entropy(z @ z.t() / .1 + itself * torch.eye(len(z)), t)
    model = mlp(8, 32, 16)
    return SetUp(model, (pairs, torch.arange(48).roll(24)), loss, adam(model, 1e-2))

@healthy
def two_views(): return views(partial(F.normalize, dim=1), -1e4)

@broken('activations, logs and temperatures', two_views, 'every item is compared with itself, too', 'itself',
        'diagonal', 'cannot overfit', 'own column')
def compared_with_itself(): return views(partial(F.normalize, dim=1), 0)

class Clip(nn.Module):
    "Two towers and a scale that is learned as a log."
    def __init__(self, scale):
        super().__init__()
        self.a, self.b, self.scale = mlp(6, 24, 12), mlp(10, 24, 12), scale
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / .15)))
    def forward(self, a, b):
        return self.scale(self.log_scale) * F.normalize(self.a(a)) @ F.normalize(self.b(b)).t()

def paired(scale):
    a, model = torch.randn(40, 6), Clip(scale)
    both_ways = lambda x, t: (F.cross_entropy(x, t) + F.cross_entropy(x.t(), t)) / 2
    return SetUp(model, (a, a @ torch.randn(6, 10), torch.arange(40)), both_ways, adam(model, 1e-2))

@healthy
def scale_learned(): return paired(torch.exp)

@broken('activations, logs and temperatures', scale_learned, 'the log of the scale is taken for the scale', 'bounded',
        'temperature', 'cosine', 'floor', 'range of the logits')
def log_of_the_scale(): return paired(lambda s: s)

class Prototypes(nn.Module):
    "Similarities to the classes' own directions."
    def __init__(self, norm):
        super().__init__()
        self.body, self.own, self.norm = mlp(8, 32, 16), nn.Parameter(torch.randn(5, 16)), norm
    def forward(self, x): return 10 * self.norm(self.body(x)) @ F.normalize(self.own).t()

def prototypes(norm):
    x, y = blobs(c=5, d=8)
    model = Prototypes(norm)
    return SetUp(model, (4 * x, y), opt=adam(model, 1e-2))

@healthy
def cosines_of_prototypes(): return prototypes(F.normalize)

@broken('activations, logs and temperatures', cosines_of_prototypes, 'the features are not normalised, but scaled',
        'high loss', 'at the start', 'normalis', 'normaliz', 'scale of the logits', 'large logits')
def not_normalised(): return prototypes(lambda h: h)


# --- language models
def told(net, f, s, **kw):
    loss = lambda x, t: F.cross_entropy(f(x).reshape(-1, x.shape[-1]), t.reshape(-1), **kw)
    return SetUp(net, (s[:, :-1], s[:, 1:]), loss, adam(net, 3e-3))

@healthy
def lstm_words(): return told(Recurrent(12, rnn=nn.LSTM), lambda x: x, counting(16, 9))

@broken('scores and targets paired wrongly', lstm_words, 'the logits go by time first, the targets by items first',
        'pair', 'order of axes', 'another position', 'wrong position', 'transpose')
def time_first(): return told(Recurrent(12, rnn=nn.LSTM), lambda x: x.transpose(0, 1), counting(16, 9))

def finished(**kw):
    model = Apply(Decoder(15), lambda x: x.permute(0, 2, 1))
    s = padded(20, 11)
    return SetUp(model, (s[:, :-1], s[:, 1:]), partial(F.cross_entropy, **kw), adam(model, 2e-3))

@healthy
def padding_ignored_by_partial(): return finished(ignore_index=0)

@broken('ignored by mistake, or counted by mistake', padding_ignored_by_partial, 'the padding is told like words',
        'padding', 'ignore_index', 'constant tail')
def padding_told(): return finished()

def averaged(mean):
    def loss(x, t):
        ce, kept = F.cross_entropy(x.flatten(0, 1), t.flatten(), reduction='none'), (t != 0).flatten()
        return mean(ce * kept, kept)
    s, model = padded(24, 14), Recurrent()
    return SetUp(model, (s[:, :-1], s[:, 1:]), loss, adam(model, 3e-3))

@healthy
def mean_of_the_kept(): return averaged(lambda ce, kept: ce.sum() / kept.sum())

@broken('ignored by mistake, or counted by mistake', mean_of_the_kept, 'the padding, as zeros, is averaged in',
        'padding', 'averaged in', 'number of kept', 'ignored targets')
def zeros_averaged_in(): return averaged(lambda ce, kept: ce.mean())

@broken('sign, mean or sum of the loss', mean_of_the_kept, 'a mean is divided by the number of words once more',
        'twice', 'times too small', 'loss too small', 'scale of the loss')
def divided_again(): return averaged(lambda ce, kept: ce.sum() / kept.sum()**2)

def by_keywords(shift=1, **kw):
    s, model = padded(), WithLoss(Decoder(15, **kw), shift)
    return SetUp(model, dict(input_ids=s, labels=torch.where(s == 0, -100, s)), None, adam(model))

@healthy
def loss_of_the_model(): return by_keywords()

@broken('the future is seen', loss_of_the_model, 'no causal mask in a model that gives its own loss', 'future',
        'causal', 'later inputs', 'later words', 'later places', 'leak')
def sees_the_next_word(): return by_keywords(causal=False)

@broken('scores and targets paired wrongly', loss_of_the_model, 'the labels are shifted by two', 'shift', 'pair',
        'another position', 'wrong position')
def shifted_by_two(): return by_keywords(2)

@healthy
def shifted_and_padded():
    s, model = padded(16, 13), Recurrent()
    return SetUp(model, (s, s), partial(shifted, ignore_index=0), adam(model))

def resized(opt_first):
    model = Recurrent(12)
    if opt_first: opt = adam(model, 1e-2)
    model.embed, model.head = nn.Embedding(15, 32), nn.Linear(32, 15)
    s = counting(words=15)
    if not opt_first: opt = adam(model, 1e-2)
    return SetUp(model, (s[:, :-1], s[:, 1:]), lambda x, t: F.cross_entropy(x.mT, t), opt)

@healthy
def more_words(): return resized(False)

@broken('parameters left out', more_words, 'the optimizer was made before there were more words',
        'not in the optimizer', 'optimizer does not have', 'missing from the optimizer')
def more_words_than_optimized(): return resized(True)

@healthy
def zero_head():
    model = Decoder(c=4)
    nn.init.zeros_(model.head.weight); nn.init.zeros_(model.head.bias)
    x = torch.randint(12, (24, 10))
    return SetUp(Apply(model, lambda x: x.movedim(-1, 1)), (x, x % 4), opt=adam(model))


# --- half precision
def rounded(lr):
    x = torch.randint(20, (32, 6))
    model = Apply(Recurrent(20, 3), lambda x: x[:, -1]).bfloat16()
    return SetUp(model, (x, x[:, -1] % 3), lambda x, t: F.cross_entropy(x.float(), t), adam(model, lr))

@healthy
def bfloat_words(): return rounded(5e-3)

@broken('half precision', bfloat_words, 'steps so small that bfloat16 rounds them away', 'too small', 'bfloat16',
        'rounded', 'precision')
def steps_rounded_away(): return rounded(1e-5)

def bagged(**kw):
    x = torch.randint(10, (32, 12))
    model = nn.Sequential(nn.EmbeddingBag(20, 16), nn.Linear(16, 4)).half()
    return SetUp(model, (x, x[:, 0] % 4), lambda x, t: F.cross_entropy(x.float(), t), adam(model, 1e-2, **kw))

@healthy
def bag_in_half(): return bagged(eps=1e-4)

@broken('half precision', bag_in_half, "AdamW's eps is zero in float16, and some words have no gradient", 'eps',
        'underflow')
def bag_with_default_eps(): return bagged()


# --- adapters, frozen and new parts
def adapted(opt_first):
    before = torch.randint(20, (64, 6))
    model = trained(Apply(Recurrent(20, 4), lambda x: x[:, -1]), (before, before[:, -1] % 4), 10)
    if opt_first: opt = torch.optim.AdamW(model.parameters(), 1e-2)
    for w in model.parameters(): w.requires_grad_(False)
    model.model.head = LowRank(model.model.head)
    if not opt_first: opt = torch.optim.AdamW(parameters(model), 1e-2)
    x = torch.randint(20, (32, 6))
    return SetUp(model, (x, x[:, -1] % 4), opt=opt)

@healthy
def adapter_on_the_head(): return adapted(False)

@broken('parameters left out', adapter_on_the_head, 'the optimizer was made before the adapters',
        'not in the optimizer', 'optimizer does not have', 'missing from the optimizer', 'frozen')
def optimizer_before_adapters(): return adapted(True)

class Transfer(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = trained(cnn(10, norm=False), small_digits(200, False), 25)[:-1], nn.Linear(16, 10)
    def forward(self, x): return self.head(self.body(x))

def transferred(freeze):
    model = Transfer()
    freeze(model.body)
    return SetUp(model, small_digits(flat=False), opt=torch.optim.Adam(parameters(model), 1e-2))

@healthy
def frozen_convolutions(): return transferred(lambda body: body.requires_grad_(False))

@broken('parameters left out', frozen_convolutions, 'requires_grad is set on the module: nothing is frozen',
        'requires_grad', 'no attribute', 'not frozen')
def attribute_of_the_module(): return transferred(lambda body: setattr(body, 'requires_grad', False))

class FrozenNorm(nn.Module):
    "Batch norm of buffers only, as in detectors."
    def __init__(self, c):
        super().__init__()
        for name, x in dict(weight=torch.rand(c) + .5, bias=.1 * torch.randn(c), mean=.1 * torch.randn(c)).items():
            self.register_buffer(name, x)
    def forward(self, x): return (x - self.mean[:, None, None]) * self.weight[:, None, None] + self.bias[:, None, None]

@healthy
def norm_of_buffers():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), FrozenNorm(8), nn.ReLU(), nn.Conv2d(8, 10, 3), FrozenNorm(10), nn.ReLU(),
                          nn.Flatten(), nn.Linear(160, 10))
    return SetUp(model, small_digits(flat=False), opt=sgd(model, momentum=.9))

class Encoded(nn.Module):
    def __init__(self, grad):
        super().__init__()
        self.encoder, self.decoder, self.grad = mlp(64, 40, 20, end=[nn.Tanh()]), nn.Linear(20, 10), grad
    def forward(self, x):
        with torch.set_grad_enabled(self.grad and torch.is_grad_enabled()): h = self.encoder(x)
        return self.decoder(h)

def encoded(grad):
    model = Encoded(grad)
    return SetUp(model, small_digits(), opt=adam(model, 1e-2))

@healthy
def encoder_learns(): return encoded(True)

@broken('parameters left out', encoder_learns, 'the encoder runs under no_grad and is not frozen', 'never move',
        'no_grad', 'no gradient')
def encoder_without_grad(): return encoded(False)


# --- several labels, weights, smoothing
def maps(shape):
    x, y = squares(6, 8, c=8)
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 1))
    weighted = nn.BCEWithLogitsLoss(pos_weight=torch.linspace(1, 8, 8).view(shape))
    return SetUp(model, (x, F.one_hot(y, 8).movedim(-1, 1).float()), weighted, adam(model, 1e-2))

@healthy
def maps_weighted(): return maps((8, 1, 1))

@broken('weights and smoothing', maps_weighted, 'pos_weight lies along the width, not the classes', 'pos_weight',
        'treated differently', 'wrong axis', 'weights along', 'unequal')
def width_weighted(): return maps((8,))

def three_weighted(weights):
    x, y = blobs(200, c=3, spread=4.)
    kept = (y == 0) | (torch.rand(200) < torch.tensor([1., .2, .1])[y])
    x, y = x[kept], y[kept]
    model = mlp(4, 16, 3)
    return SetUp(model, (x, y), nn.CrossEntropyLoss(weight=weights(y.bincount().float())), adam(model, 1e-2))

@healthy
def weights_of_counts(): return three_weighted(lambda n: n.sum() / n / 3)

@broken('weights and smoothing', weights_of_counts, 'the counts are the weights: rare classes count even less',
        'inverted', 'frequen', 'rare class', 'common class')
def counts_as_weights(): return three_weighted(lambda n: 3 * n / n.sum())

class Smoothed(nn.Module):
    "Label smoothing with weights, as fastai has it."
    def __init__(self, weight=None, e=.1): super().__init__(); self.weight, self.e = weight, e
    def forward(self, x, t):
        logp = F.log_softmax(x, 1)
        return self.e * -logp.sum(1).mean() / x.shape[1] + (1 - self.e) * F.nll_loss(logp, t, weight=self.weight)

@healthy
def smoothed_as_fastai():
    x, y = rare(100, 20)
    model = mlp(4, 16, 2)
    return SetUp(model, (x, y), Smoothed(torch.tensor([.6, 2.5])), adam(model, 1e-2))

def mixed_in(loss):
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), loss, adam(model, 3e-3))

@healthy
def smoothed_targets():
    return mixed_in(lambda x, t: -((.9 * F.one_hot(t, 10) + .01) * x.log_softmax(1)).sum(1).mean())

@broken('weights and smoothing', smoothed_targets, 'the probabilities are smoothed, inside the log: a ceiling',
        'ceiling', 'smoothing', 'bounded')
def smoothed_probabilities():
    return mixed_in(lambda x, t: -(.9 * x.softmax(1).gather(1, t[:, None]) + .01).log().mean())

@broken('items that mix', smoothed_targets, 'one softmax over all classes of all items', 'over the batch',
        'other items', 'items share', 'coupled', 'items mix', 'wrong axis')
def softmax_over_everything():
    logp = lambda x: x.flatten().log_softmax(0).view_as(x)
    return mixed_in(lambda x, t: -((.9 * F.one_hot(t, 10) + .01) * logp(x)).sum(1).mean())

def log_of_the_right(x, t): return x.log_softmax(1).gather(1, t[:, None])

@healthy
def mean_of_logs(): return mixed_in(lambda x, t: -log_of_the_right(x, t).mean())

@broken('items that mix', mean_of_logs, 'the log of the mean, for the mean of the logs', 'other items', 'items share',
        'coupled', 'items mix', 'log of the mean')
def log_of_a_mean(): return mixed_in(lambda x, t: -log_of_the_right(x, t).exp().mean().log())

def sigmoid_focal(easy):
    def loss(x, t):
        ce = F.binary_cross_entropy_with_logits(x, t, reduction='none')
        right = (-ce).exp()
        return ((right if easy else 1 - right)**2 * ce).mean()
    x, y = small_digits()
    model = mlp(64, 30, 10)
    return SetUp(model, (x, several(y, 10)), loss, adam(model, 1e-2))

@healthy
def focal_by_label(): return sigmoid_focal(False)

@broken('sign, mean or sum of the loss', focal_by_label, 'the focal weight is p for 1 - p: hard items count nothing',
        'focal', 'hard items', 'easy', 'wrong direction', 'not fall', 'falls with')
def focal_on_the_easy(): return sigmoid_focal(True)


# --- pixels
def overlaid(rows, unknown=255):
    x, y = squares(6, 12, 4)
    y[:, :, 0] = unknown
    model = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU(), nn.Conv2d(12, 4, 1))
    def loss(x, t):
        x, t = rows(x), t.flatten(1)
        kept = (t != 255)[:, None]
        p, q = x.softmax(1) * kept, F.one_hot(t.where(kept[:, 0], 0), 4).mT * kept
        dice = 1 - (2 * (p * q).sum((0, 2)) + 1) / ((p + q).sum((0, 2)) + 1)
        return F.cross_entropy(x, t, ignore_index=255) + dice.mean()
    return SetUp(model, (x, y), loss, adam(model, 1e-2))

@healthy
def dice_and_cross_entropy(): return overlaid(lambda x: x.flatten(2))

@broken('scores and targets paired wrongly', dice_and_cross_entropy, 'height and width of the logits are swapped',
        'pair', 'order of axes', 'another position', 'wrong position', 'transpose')
def height_for_width(): return overlaid(lambda x: x.mT.flatten(2))

@broken('scores and targets paired wrongly', dice_and_cross_entropy, 'reshaped to classes last, then moved: mixed up',
        'pair', 'order of axes', 'view', 'reshape', 'another position', 'wrong position')
def reshaped_to_last(): return overlaid(lambda x: x.reshape(len(x), -1, 4).mT)


# --- what models take and give
@healthy
def keywords_and_a_dict():
    class Named(nn.Module):
        def __init__(self): super().__init__(); self.inner = mlp(64, 30, 10)
        def forward(self, pixels, brightness):
            return dict(logits=self.inner(pixels * brightness[:, None]), attention=None)
    x, y = small_digits()
    model = Named()
    return SetUp(model, dict(pixels=x, brightness=torch.rand(64) + .5, labels=y), F.cross_entropy, adam(model, 3e-3))

class Tabular(nn.Module):
    "Categories and numbers, given as a dict."
    def __init__(self, used):
        super().__init__()
        self.embed, self.used, self.last = nn.Embedding(6, 8), used, mlp(12, 24, 3)
    def forward(self, row): return self.last(torch.cat([self.embed(row['category']), self.used * row['numbers']], 1))

def tabular(used):
    x, y = blobs()
    model, category = Tabular(used), torch.randint(6, (60,))
    return SetUp(model, (dict(category=category, numbers=x), (y + category) % 3), opt=adam(model, 1e-2))

@healthy
def categories_and_numbers(): return tabular(1)

@broken('an input that does nothing', categories_and_numbers, 'the numbers are times 0', 'input ignored',
        'ignores an input', "'numbers'", 'inputs ignored')
def categories_alone(): return tabular(0)

class Auxiliary(nn.Module):
    "A second head halfway, whose loss counts less."
    def __init__(self):
        super().__init__()
        self.first, self.aux = nn.Sequential(nn.Linear(64, 30), nn.ReLU()), nn.Linear(30, 10)
        self.second, self.main = nn.Sequential(nn.Linear(30, 30), nn.ReLU()), nn.Linear(30, 10)
    def forward(self, x): h = self.first(x); return self.main(self.second(h)), self.aux(h)

def helped(second):
    model = Auxiliary()
    loss = lambda out, t: F.cross_entropy(out[0], t) + .3 * F.cross_entropy(out[second], t)
    return SetUp(model, small_digits(), loss, adam(model, 3e-3))

@healthy
def auxiliary_head(): return helped(1)

@broken('parameters left out', auxiliary_head, 'the auxiliary head is in no loss', 'never move', 'no gradient',
        'unused', 'aux')
def auxiliary_unused(): return helped(0)

class Reader(nn.Module):
    "Attention over the words that are no padding; the first place has the answer."
    def __init__(self, masked):
        super().__init__()
        self.embed, self.head, self.masked = nn.Embedding(20, 16), nn.Linear(16, 3), masked
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
    def forward(self, x, mask):
        h = self.embed(x)
        return self.head(self.attend(h.mean(1, keepdim=True), h, h, key_padding_mask=self.masked(mask))[0][:, 0])

def read(masked):
    x, mask, y = masked_words()
    model = Reader(masked)
    return SetUp(model, (x, mask.bool(), y), opt=adam(model, 1e-2))

@healthy
def padding_masked(): return read(lambda kept: ~kept)

@broken('an input that does nothing', padding_masked, 'the mask is inverted: only padding is seen', 'mask',
        'padding', 'rows alike', 'input ignored')
def words_masked(): return read(lambda kept: kept)

class Steps(nn.Module):
    "Attention over a series of measurements."
    def __init__(self, first):
        super().__init__()
        self.up, self.head = nn.Linear(4, 16), nn.Linear(16, 3)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=first)
    def forward(self, x): h = self.up(x); return self.head((h + self.attend(h, h, h)[0]).mean(1))

def series(first):
    x, y = blobs()
    model = Steps(first)
    return SetUp(model, (x[:, None] + torch.randn(60, 5, 4), y), opt=adam(model, 3e-3))

@healthy
def attention_over_steps(): return series(True)

@broken('items that mix', attention_over_steps, 'attention without batch_first goes over the items', 'items mix',
        'batch_first', 'over the batch', 'other items', 'coupled')
def attention_without_batch_first(): return series(False)

class Sorted(nn.Module):
    "Sorts the items by length for packing."
    def __init__(self, back):
        super().__init__()
        self.embed, self.rnn = nn.Embedding(20, 16), nn.GRU(16, 16, batch_first=True, bidirectional=True)
        self.head, self.back = nn.Linear(32, 3), back
    def forward(self, x, lengths):
        order = lengths.argsort(descending=True)
        h = self.rnn(pack_padded_sequence(self.embed(x[order]), lengths[order], batch_first=True))[1]
        out = self.head(torch.cat([h[0], h[1]], 1))
        return out[order.argsort()] if self.back else out

def by_length(back):
    x, mask, y = masked_words()
    model = Sorted(back)
    return SetUp(model, (x, mask.sum(1), y), opt=adam(model, 1e-2))

@healthy
def sorted_and_back(): return by_length(True)

@broken('scores and targets paired wrongly', sorted_and_back, 'items are sorted by length, and not put back',
        'items mix', 'pair', 'another item', 'order of', 'other items', 'wrong item')
def sorted_for_good(): return by_length(False)

@healthy
def lazy_batch_norm():
    model = nn.Sequential(nn.LazyLinear(40), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))
    return SetUp(model, threes())

@healthy
def loader_of_dicts():
    x, y = small_digits(96)
    class Named(nn.Module):
        def __init__(self): super().__init__(); self.inner = mlp(64, 30, 10)
        def forward(self, image): return self.inner(image)
    model = Named()
    rows = [dict(image=a, labels=b) for a, b in zip(x, y)]
    return SetUp(model, DataLoader(rows, 24, shuffle=True), nn.CrossEntropyLoss(), adam(model, 3e-3))

def fetched(index):
    x, y = small_digits(128, flat=False)
    data = [(x[index(i)], y[index(i)]) for i in range(128)]
    model = cnn(10, norm=False)
    return SetUp(model, next(iter(DataLoader(data, 64))), opt=adam(model, 1e-2))

@healthy
def fetched_in_order(): return fetched(lambda i: i)

@broken('targets that cannot be right', fetched_in_order, 'the index is divided by the batch size: one item, 64 times',
        'distinct', 'repeat', 'same item', 'duplicate', 'one class', 'copies of')
def one_item_fetched(): return fetched(lambda i: i // 64)

class Averaged(nn.Module):
    "A network, and beside it the mean of its past weights for later."
    def __init__(self, model):
        super().__init__()
        self.model, self.ema = model, copy.deepcopy(model).requires_grad_(False)
    def forward(self, x): return self.model(x)

@healthy
def beside_its_average():
    model = Averaged(mlp(64, 30, 10))
    return SetUp(model, small_digits(), opt=torch.optim.AdamW(parameters(model), 3e-3))


# --- other losses
class Tempered(nn.Module):
    "Cross-entropy with a temperature that is learned."
    def __init__(self): super().__init__(); self.log_t = nn.Parameter(torch.tensor(.5))
    def forward(self, x, t): return F.cross_entropy(x / self.log_t.exp(), t)

def tempered(with_loss):
    model, loss = mlp(8, 32, 5), Tempered()
    groups = [dict(params=model.parameters())] + [dict(params=loss.parameters(), lr=1e-2)] * with_loss
    return SetUp(model, blobs(c=5, d=8), loss, torch.optim.AdamW(groups, 3e-3))

@healthy
def temperature_learned(): return tempered(True)

@broken('parameters left out', temperature_learned, 'the temperature, a parameter of the loss, is in no optimizer',
        'not in the optimizer', 'parameters of the loss', "loss's parameters", 'missing from the optimizer', 'log_t')
def temperature_left_out(): return tempered(False)

def hinged(sign):
    def hinge(x, t):
        right = x.gather(1, t[:, None])
        return (1 + sign * (x - right)).relu().scatter(1, t[:, None], 0.).sum(1).mean()
    model = mlp(4, 16, 3)
    return SetUp(model, blobs(61), hinge, torch.optim.Adagrad(model.parameters(), .05))

@healthy
def hinge_by_hand(): return hinged(1)

@broken('sign, mean or sum of the loss', hinge_by_hand, 'the margin is asked for the wrong way round', 'wrong sign',
        'wrong direction', 'wrong way')
def hinge_reversed(): return hinged(-1)

@healthy
def cut_and_mixed():
    x, y = small_digits(flat=False)
    x = torch.cat([x[..., :5], x.flip(0)[..., 5:]], -1)
    loss = lambda out, t: t[2] * F.cross_entropy(out, t[0]) + (1 - t[2]) * F.cross_entropy(out, t[1])
    model = nn.Sequential(nn.Flatten(), mlp(64, 50, 10))
    return SetUp(model, (x, (y, y.flip(0), .625)), loss, adam(model, 1e-2))

def soft(kept):
    x, y = small_digits(50)
    model = mlp(64, 30, 10)
    targets = .6 * F.one_hot(y, 10) + .4 * F.one_hot((y + 1) % 10, 10)
    return SetUp(model, (x, kept(targets)), lambda x, t: -(t * F.log_softmax(x, 1)).sum(1).mean(), adam(model, 3e-3))

@healthy
def two_thirds(): return soft(lambda q: q)

@broken('targets that cannot be right', two_thirds, 'soft targets cut to whole numbers: all are 0', 'probabilities',
        'sum to', 'wrong dtype', 'all zero', 'no gradient')
def cut_to_zero(): return soft(lambda q: q.long())

def counted(columns):
    x, y = blobs(c=4, d=6)
    model = mlp(6, 20, 5)
    return SetUp(model, (x, y), lambda x, t: F.cross_entropy(columns(x), t), adam(model, 1e-2))

@healthy
def one_class_more(): return counted(lambda x: x)

@broken('scores and targets paired wrongly', one_class_more, 'the first column is cut off: class k is trained in k + 1',
        'wrong column', 'off by one', 'permuted', 'another column', 'another class')
def first_column_cut(): return counted(lambda x: x[:, 1:])

def clicked(target, f=lambda x: x):
    x, y = blobs(80, c=2, d=6)
    model = mlp(6, 20, 1)
    return SetUp(model, (x, target(y.float())[:, None]), lambda x, t: F.binary_cross_entropy_with_logits(f(x), t),
                 adam(model, 3e-3))

@healthy
def clicks(): return clicked(lambda y: y)

@broken('targets that cannot be right', clicks, 'targets -1 and 1 for a loss that wants 0 and 1', 'target', '0 and 1',
        '0 to 1')
def minus_one_and_one(): return clicked(lambda y: 2 * y - 1)

@broken('activations, logs and temperatures', clicks, 'logsigmoid before a loss that has one', 'activation',
        'double sigmoid', 'log twice', 'bounded', 'one side')
def two_logsigmoids(): return clicked(lambda y: y, F.logsigmoid)

@healthy
def expected_level():
    x, y = blobs(80, c=5, d=6)
    model = Apply(mlp(6, 20, 5), lambda x: (x.softmax(1) * torch.arange(5.)).sum(1))
    return SetUp(model, (x, y.float()), F.mse_loss, adam(model, 1e-2))

def added_up(reduce):
    x = torch.randint(20, (32, 16))
    model = Apply(Recurrent(20, 5), lambda x: x.mT)
    return SetUp(model, (x, x % 5), lambda x, t: reduce(F.cross_entropy(x, t, reduction='none')), sgd(model, .5))

@healthy
def mean_over_words(): return added_up(torch.mean)

@broken('sign, mean or sum of the loss', mean_over_words, 'the sum over all words, with the learning rate of the mean',
        'too large', 'reduction', 'sum over')
def sum_over_words(): return added_up(torch.sum)


# --- classes by the thousand, scales, steps
def vocabulary(f):
    x = torch.randint(500, (24, 5))
    net = nn.Sequential(nn.Embedding(500, 16), nn.Flatten(), nn.Linear(80, 16), nn.GELU(), nn.Linear(16, 32_000))
    return SetUp(net, (x, x[:, 0] * 61), lambda x, t: F.cross_entropy(f(x), t), adam(net, 3e-3))

@healthy
def many_words(): return vocabulary(lambda x: x)

@broken('activations, logs and temperatures', many_words, 'a softmax inside the loss, at 32,000 classes',
        'double softmax', 'softmax twice', 'activation inside', 'softmax inside')
def many_softmaxes(): return vocabulary(lambda x: x.softmax(-1))

def initialised(std, bias=0., act=nn.Tanh):
    model = mlp(64, 40, 40, 10, act=act)
    for layer in model[:4:2]:
        nn.init.normal_(layer.weight, std=std)
        nn.init.constant_(layer.bias, bias)
    return SetUp(model, small_digits(), opt=adam(model, 3e-3))

@healthy
def small_tanhs(): return initialised(.15)

@broken('a network that cannot learn', small_tanhs, 'weights of 10: all tanhs are saturated', 'saturated', 'vanishing',
        'large weights', 'cannot overfit')
def saturated_tanhs(): return initialised(10.)

@healthy
def living_relus(): return initialised(.2, act=nn.ReLU)

@broken('a network that cannot learn', living_relus, 'biases of -20: no relu lets anything through', 'dead',
        'never move', 'input ignored', 'rows alike', 'only zeros', 'cannot overfit')
def dead_relus(): return initialised(.2, -20., nn.ReLU)

@healthy
def heavy_dropout():
    model = nn.Sequential(nn.Dropout(.2), nn.Linear(784, 200), nn.ReLU(), nn.Dropout(.7), nn.Linear(200, 100),
                          nn.ReLU(), nn.Dropout(.5), nn.Linear(100, 2))
    return SetUp(model, threes(), opt=adam(model))

@healthy
def start_of_one_cycle():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), nn.Flatten(),
                          nn.Linear(288, 10))
    opt = sgd(model, momentum=.9)
    torch.optim.lr_scheduler.OneCycleLR(opt, .1, total_steps=10_000, div_factor=1e5)
    return SetUp(model, small_digits(flat=False), opt=opt)
