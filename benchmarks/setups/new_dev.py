"""Newer set-ups, written before the rules that look at them: the half to make the rules with.

Each broken one has a healthy twin that differs from it in one thing. There is no list of findings that detect a kind,
as the findings had no names then: a fault tells its cause, and words of which a right finding has at least one.
"""
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from benchmarks.setups import Apply, SetUp, adam, blobs, cnn, mlp, rare, sgd, small_digits, threes, trained
from benchmarks.setups.parts import (Decoder, GraphNet, LowRank, Margin, Masked, Recurrent, WithLoss, communities,
                                     counting, masked_words, new_faults, padded, parameters, several, shifted, squares)

BROKEN, HEALTHY, broken, healthy = new_faults()


# --- graphs
@healthy
def neighbours():
    model = GraphNet()
    return SetUp(model, communities(), opt=adam(model, 1e-2))


# --- contrastive
class Towers(nn.Module):
    "Cosines of all first with all second things."
    def __init__(self, scale):
        super().__init__()
        self.a, self.b, self.scale = nn.Linear(8, 16), nn.Linear(8, 16), scale
    def forward(self, x, y): return F.normalize(self.a(x)) @ F.normalize(self.b(y)).t() * self.scale

def contrasted(scale):
    x = torch.randn(32, 8)
    model = Towers(scale)
    return SetUp(model, (x, x + .1 * torch.randn(32, 8), torch.arange(32)), opt=adam(model, 1e-2))

@healthy
def two_towers(): return contrasted(1 / .07)

@broken('activations, logs and temperatures', two_towers, 'cosines without a temperature: the loss cannot fall far',
        'bounded', 'temperature', 'cosine', 'floor', 'range of the logits')
def cosines_alone(): return contrasted(1)

@broken('activations, logs and temperatures', two_towers, 'multiplied by the temperature instead of divided by it',
        'bounded', 'temperature', 'cosine', 'floor', 'range of the logits', 'rows alike')
def times_temperature(): return contrasted(.07)


# --- language models
def words_of(inputs_targets, loss, **kw):
    model = Decoder(**kw)
    return SetUp(model, inputs_targets(counting()), loss, adam(model))

def next_word(s): return s[:, :-1], s[:, 1:]
def by_place(x, t): return F.cross_entropy(x.transpose(1, 2), t)

@healthy
def decoder(): return words_of(next_word, by_place)

@broken('the future is seen', decoder, 'no causal mask: a word sees the word that is to be told', 'future', 'causal',
        'later inputs', 'later words', 'later places', 'leak')
def no_causal_mask(): return words_of(next_word, by_place, causal=False)

@broken('scores and targets paired wrongly', decoder, 'view where transpose is meant: logits of other places',
        'pair', 'order of axes', 'view', 'another position', 'wrong position')
def viewed_to_classes(): return words_of(next_word, lambda x, t: F.cross_entropy(x.view(len(x), 12, -1), t))

@broken('scores and targets paired wrongly', decoder, 'inputs and targets swapped: the word before is asked for',
        'shift', 'previous', 'in the input', 'copies of the input')
def last_word(): return words_of(lambda s: (s[:, 1:], s[:, :-1]), by_place)

@healthy
def shifted_inside(): return words_of(lambda s: (s, s), shifted)

@broken('scores and targets paired wrongly', shifted_inside, 'the labels are shifted in the data and in the loss',
        'shift', 'pair', 'another position', 'wrong position')
def shifted_twice(): return words_of(next_word, shifted)

@broken('scores and targets paired wrongly', shifted_inside, 'the labels are not shifted: each word is to tell itself',
        'shift', 'copies of the input', 'equals the input', 'in the input', 'same as the input')
def shifted_never(): return words_of(lambda s: (s, s), by_place)

@healthy
def labels_beside():
    s = counting()
    model = WithLoss(Recurrent(12))
    return SetUp(model, dict(input_ids=s, labels=s), None, adam(model))

def padded_words(**kw):
    model = Apply(Recurrent(), lambda x: x.movedim(-1, 1))
    return SetUp(model, next_word(padded()), nn.CrossEntropyLoss(**kw), adam(model))

@healthy
def padding_ignored(): return padded_words(ignore_index=0)

@broken('ignored by mistake, or counted by mistake', padding_ignored, 'the padding counts as targets', 'padding',
        'ignore_index', 'constant tail')
def padding_counted(): return padded_words()

@broken('sign, mean or sum of the loss', padding_ignored, 'a sum over all words with the learning rate of a mean',
        'too large', 'reduction', 'sum over')
def summed_words():
    model = Apply(Recurrent(), lambda x: x.movedim(-1, 1))
    return SetUp(model, next_word(padded()), nn.CrossEntropyLoss(ignore_index=0, reduction='sum'), sgd(model, 1.))

@healthy
def ignored_by_lambda():
    model = Recurrent()
    return SetUp(model, next_word(padded()),
                 lambda x, t: F.cross_entropy(x.flatten(0, 1), t.flatten(), ignore_index=0), adam(model))

@healthy
def tied_words():
    model = Decoder(20)
    model.head.weight = model.embed.weight
    nn.init.normal_(model.embed.weight, std=.1)
    return SetUp(model, next_word(counting(words=20)), by_place, adam(model))


# --- classes of words
class Inner(nn.Module):
    "A loss that holds a loss."
    def __init__(self, **kw): super().__init__(); self.inner = nn.CrossEntropyLoss(**kw)
    def forward(self, x, t): return self.inner(x.flatten(0, 1), t.flatten())

def tagged(unknown, **kw):
    x = torch.randint(1, 20, (24, 10))
    model = Recurrent(20, 4)
    y = x % 4
    y[:, 8:] = unknown
    return SetUp(model, (x, y), Inner(**kw), adam(model))

@healthy
def ignored_in_a_module(): return tagged(-1, ignore_index=-1)

@broken('ignored by mistake, or counted by mistake', ignored_in_a_module, 'class 0, which is real, is ignored',
        'ignore_index', 'ignored by', 'is ignored', 'without gradient', 'never learned')
def real_class_ignored(): return tagged(0, ignore_index=0)

@broken('targets that cannot be right', ignored_in_a_module, 'labels of places without a label are 1: a constant tail',
        'constant tail', 'padding', 'ends of the', 'last places')
def tail_of_ones(): return tagged(1)


# --- half precision
@healthy
def bfloat_convolutions():
    x, y = small_digits(flat=False)
    model = cnn(10, norm=False).bfloat16()
    return SetUp(model, (x.bfloat16(), y), opt=adam(model))

def halved(eps):
    x, y = blobs()
    x[:, 3] = 0
    model = mlp(4, 32, 3).half()
    return SetUp(model, (x.half(), y), lambda x, t: F.cross_entropy(x.float(), t), adam(model, eps=eps))

@healthy
def half_with_large_eps(): return halved(1e-4)

@broken('half precision', half_with_large_eps, 'the eps of Adam is zero in float16: 0 / 0 is nan', 'eps',
        'underflow')
def half_with_small_eps(): return halved(1e-8)


# --- adapters, frozen and new parts
def adapters(**kw):
    model = trained(mlp(64, 50, 10), small_digits(200), steps=8)
    model[0], model[2] = LowRank(model[0], **kw), LowRank(model[2], **kw)
    return SetUp(model, small_digits(), opt=torch.optim.AdamW(parameters(model), 1e-3))

@healthy
def low_rank(): return adapters()

@broken('a network that cannot learn', low_rank, 'both factors of the adapters are zero: neither gets a gradient',
        'never move', 'no gradient', 'zero gradient', 'all zero', 'both zero', 'only zeros')
def low_rank_all_zero(): return adapters(first=nn.init.zeros_)

@healthy
def zero_classifier():
    model = cnn(10)
    nn.init.zeros_(model[-1].weight); nn.init.zeros_(model[-1].bias)
    return SetUp(model, small_digits(flat=False), opt=adam(model, 1e-2))

def transferred(attribute):
    body = trained(mlp(64, 50, 10), small_digits(200))[:2]
    for w in body.parameters(): setattr(w, attribute, False)
    model = nn.Sequential(body, nn.Linear(50, 10))
    return SetUp(model, small_digits(), opt=torch.optim.Adam(parameters(model), 1e-2))

@healthy
def frozen_features(): return transferred('requires_grad')

@broken('parameters left out', frozen_features, 'require_grad without the s: nothing is frozen', 'require_grad',
        'no attribute', 'not frozen', 'misspelled')
def require_grad(): return transferred('require_grad')

class FixedNorm(nn.BatchNorm2d):
    "Batch norm that keeps its statistics."
    def train(self, mode=True): return super().train(False)

@healthy
def frozen_batch_norm():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), FixedNorm(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)).train()
    model[1].requires_grad_(False)
    return SetUp(model, small_digits(flat=False), opt=torch.optim.Adam(parameters(model)))

def detailed(cut):
    model = nn.Sequential(mlp(64, 40, 20), Apply(nn.Identity(), cut), nn.Linear(20, 10))
    return SetUp(model, small_digits(), opt=adam(model))

@healthy
def squashed(): return detailed(torch.tanh)

@broken('parameters left out', squashed, 'detached halfway: the first layers get no gradient', 'never move', 'detach',
        'no gradient')
def squashed_data(): return detailed(lambda h: torch.tensor(h.tanh().tolist()))

def new_head(made_first):
    model = mlp(64, 40, 20)
    if made_first: opt = adam(model, 1e-2)
    model[-1] = nn.Linear(40, 10)
    return SetUp(model, small_digits(), opt=opt if made_first else adam(model, 1e-2))

@healthy
def head_then_optimizer(): return new_head(False)

@broken('parameters left out', head_then_optimizer, 'the optimizer was made before the head', 'not in the optimizer',
        'optimizer does not have', 'missing from the optimizer')
def optimizer_then_head(): return new_head(True)


# --- several labels, weights, smoothing
def labelled(**kw):
    x, y = small_digits(10)
    model = mlp(64, 30, 10)
    return SetUp(model, (x, several(y, 10)), nn.BCEWithLogitsLoss(**kw), adam(model))

@healthy
def several_labels(): return labelled()

@healthy
def labels_weighted(): return labelled(weight=torch.linspace(.2, 4, 10))

@broken('weights and smoothing', labels_weighted, 'weights of the labels lie along the items', 'treated differently',
        'wrong axis', 'weights along', 'each item', 'unequal')
def items_weighted(): return labelled(weight=torch.linspace(.2, 4, 10)[:, None])

@broken('sign, mean or sum of the loss', several_labels, 'logits and target swapped: linear in the logits', 'swapped',
        'linear in', 'unbounded', 'no lower bound')
def arguments_swapped():
    s = labelled()
    return SetUp(s.model, s.batch, lambda x, t: F.binary_cross_entropy_with_logits(t, x), s.opt)

def balanced(weights, **kw):
    x, y = rare(200, 6)
    model, w = mlp(4, 16, 2), weights(y.bincount() / len(y))
    loss = nn.CrossEntropyLoss(weight=w, **kw)
    return SetUp(model, (x + 2 * torch.randn(200, 4), y), loss, adam(model, 1e-2))

@healthy
def rare_weighted(): return balanced(lambda share: 1 / (2 * share))

@broken('weights and smoothing', rare_weighted, 'the weights are the frequencies: the rare class counts even less',
        'inverted', 'frequen', 'rare class', 'common class')
def weights_inverted(): return balanced(lambda share: 2 * share)

@broken('weights and smoothing', rare_weighted, 'label smoothing with strong weights: the rare class is told always',
        'smoothing')
def smoothed_with_weights(): return balanced(lambda share: 1 / (2 * share), label_smoothing=.1)

def smoothed(sign, e=.1):
    def loss(x, t):
        logp = F.log_softmax(x, 1)
        return (1 - e) * F.nll_loss(logp, t) + sign * e * logp.mean()
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), loss, sgd(model))

@healthy
def smoothed_by_hand(): return smoothed(-1)

@broken('weights and smoothing', smoothed_by_hand, 'the sign of the smoothed part: other logits fall without end',
        'wrong sign', 'smoothing', 'unbounded', 'no lower bound')
def smoothed_away(): return smoothed(1)

def focused(reduction):
    def focal(x, t):
        ce = F.cross_entropy(x, t, reduction=reduction)
        return ((1 - (-ce).exp())**2 * ce).mean()
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), focal, adam(model))

@healthy
def focal_by_item(): return focused('none')

@broken('items that mix', focal_by_item, 'the focal weight is of the mean: one for all items', 'items share', 'focal',
        'coupled', 'other items', 'items mix')
def focal_of_the_mean(): return focused('mean')


# --- pixels
def segmented(rows):
    model = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, 1))
    return SetUp(model, squares(), lambda x, t: F.cross_entropy(rows(x), t.flatten()), adam(model, 1e-2))

@healthy
def pixels_as_rows(): return segmented(lambda x: x.permute(0, 2, 3, 1).reshape(-1, 3))

@broken('scores and targets paired wrongly', pixels_as_rows, 'view without permute: classes and pixels are mixed',
        'pair', 'order of axes', 'view', 'another position', 'wrong position')
def pixels_viewed(): return segmented(lambda x: x.reshape(-1, 3))

@broken('scores and targets paired wrongly', pixels_as_rows, 'rows and columns of the logits are swapped', 'pair',
        'order of axes', 'another position', 'wrong position', 'transpose')
def columns_for_rows(): return segmented(lambda x: x.transpose(1, 3).reshape(-1, 3))


# --- what models take and give
@healthy
def batch_of_names():
    x, y = blobs(48)
    class Named(nn.Module):
        def __init__(self): super().__init__(); self.inner = mlp(4, 16, 3)
        def forward(self, batch): return self.inner(batch['scale'][:, None] * batch['x'])
    model = Named()
    return SetUp(model, (dict(x=x, scale=torch.rand(48) + .5), y), opt=adam(model, 1e-2))

def answering(f):
    model = Apply(mlp(64, 30, 10), lambda x: SimpleNamespace(logits=f(x), hidden=None))
    return SetUp(model, small_digits(), opt=adam(model))

@healthy
def answers_object(): return answering(lambda x: x)

@broken('activations, logs and temperatures', answers_object, "what is called logits is a softmax's probabilities",
        'double softmax', 'softmax twice', 'probabilities', 'activation at the end')
def object_of_probabilities(): return answering(lambda x: x.softmax(1))

class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.digit, self.odd = mlp(64, 30, end=[nn.ReLU()]), nn.Linear(30, 10), nn.Linear(30, 2)
    def forward(self, x): h = self.body(x); return self.digit(h), self.odd(h)

def two_headed(second):
    x, y = small_digits()
    model = TwoHeads()
    loss = lambda out, t: F.cross_entropy(out[0], t[0]) + .5 * second(out, t)
    return SetUp(model, (x, (y, y % 2)), loss, adam(model))

@healthy
def two_heads(): return two_headed(lambda out, t: F.cross_entropy(out[1], t[1]))

@broken('parameters left out', two_heads, 'the loss takes the first head twice: the second never learns', 'never move',
        'no gradient', 'unused', 'odd.weight')
def one_head_twice(): return two_headed(lambda out, t: F.cross_entropy(out[0], t[0]))

def pooled(pool):
    model = Masked(pool)
    return SetUp(model, masked_words(), opt=adam(model, 1e-2))

@healthy
def mean_of_words(): return pooled(lambda h, mask: (h * mask).sum(1) / mask.sum(1))

@broken('an input that does nothing', mean_of_words, 'the mask is not used: padding goes into the mean', 'mask',
        'input ignored', 'ignores an input', 'padding')
def mean_of_padding(): return pooled(lambda h, mask: h.mean(1))

@broken('items that mix', mean_of_words, 'attention goes over the items of the batch', 'items mix', 'over the batch',
        'other items', 'coupled')
def attention_over_items():
    return pooled(lambda h, mask: ((h.sum(-1, keepdim=True).masked_fill(mask == 0, -9.)).softmax(0) * h).sum(1))

class Both(nn.Module):
    "Takes two inputs."
    def __init__(self, join): super().__init__(); self.last, self.join = mlp(8, 20, 3), join
    def forward(self, a, b): return self.last(self.join(a, b))

def joined(join):
    (a, y), (b, z), turned = blobs(), blobs(), torch.randperm(60)
    model = Both(join)
    return SetUp(model, (a, b[turned], (y + z[turned]) % 3), opt=adam(model, 1e-2))

@healthy
def both_inputs(): return joined(lambda a, b: torch.cat([a, b], 1))

@broken('an input that does nothing', both_inputs, 'the first input twice, the second never', 'input ignored',
        'ignores an input', 'second input', 'input 1', 'input 2', 'inputs[1]')
def first_input_twice(): return joined(lambda a, b: torch.cat([a, a], 1))

class Packed(nn.Module):
    def __init__(self, last): super().__init__(); self.inner, self.last = Recurrent(20, 3, rnn=nn.LSTM), last
    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.inner.embed(x), lengths, batch_first=True, enforce_sorted=False)
        out, (h, _) = self.inner.rnn(packed)
        return self.inner.head(self.last(pad_packed_sequence(out, batch_first=True)[0], h))

def of_lengths(last):
    x, mask, y = masked_words()
    model = Packed(last)
    return SetUp(model, (x, mask.sum(1), y), opt=adam(model, 1e-2))

@healthy
def packed(): return of_lengths(lambda out, h: h[-1])

@broken('an input that does nothing', packed, 'the last place is padding, 0 in all but the longest', 'rows alike',
        'padding', 'items ignored', 'input ignored', 'same logits', 'lengths')
def last_place(): return of_lengths(lambda out, h: out[:, -1])

@healthy
def lazy():
    model = nn.Sequential(nn.LazyConv2d(8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))
    return SetUp(model, small_digits(flat=False))

@healthy
def from_a_loader():
    model = mlp(64, 30, 10)
    return SetUp(model, DataLoader(TensorDataset(*small_digits(128)), 32), opt=adam(model))

def drawn(weights):
    x, y = blobs(200, c=2)
    i = list(WeightedRandomSampler(weights(y), 64))
    model = mlp(4, 16, 2)
    return SetUp(model, (x[i], y[i]), opt=adam(model, 1e-2))

@healthy
def sampled(): return drawn(lambda y: (1 / y.bincount())[y])

@broken('targets that cannot be right', sampled, 'the sampler got weights of classes: it draws items 0 and 1',
        'distinct', 'repeat', 'same item', 'duplicate', 'copies of')
def two_items_drawn(): return drawn(lambda y: 1 / y.bincount())


# --- other losses
def margins(both):
    model, loss = mlp(8, 32, 16), Margin(16, 5)
    return SetUp(model, blobs(c=5, d=8), loss, torch.optim.Adam(parameters(model, *[loss] * both), 1e-2))

@healthy
def margin_learned(): return margins(True)

@broken('parameters left out', margin_learned, 'the parameters of the loss are not in the optimizer',
        'not in the optimizer', 'parameters of the loss', "loss's parameters", 'missing from the optimizer')
def margin_not_learned(): return margins(False)

@healthy
def regression():
    x, _ = small_digits()
    model = mlp(64, 30, 1)
    return SetUp(model, (x, x.mean(1, keepdim=True) * 3), nn.MSELoss(), adam(model))

def mixed(q):
    x, y = small_digits(40)
    model = mlp(64, 30, 10)
    soft = .7 * F.one_hot(y, 10) + .3 * F.one_hot(y.flip(0), 10)
    return SetUp(model, (.7 * x + .3 * x.flip(0), q(soft)), opt=adam(model))

@healthy
def mixed_soft(): return mixed(lambda q: q)

@broken('targets that cannot be right', mixed_soft, 'the targets sum to 1 over the batch, not over the classes',
        'probabilities', 'sum to', 'wrong axis')
def mixed_over_items(): return mixed(lambda q: q / q.sum(0))

@broken('targets that cannot be right', mixed_soft, 'one-hot targets as whole numbers', 'wrong dtype', 'one-hot',
        'class indices', 'wrong shape')
def mixed_whole(): return mixed(lambda q: q.round().long())

def teacher(target):
    x, y = small_digits()
    soft = (4. * F.one_hot(y, 10) + torch.randn(64, 10)).log_softmax(1)
    model = mlp(64, 30, 10, end=[nn.LogSoftmax(1)])
    return SetUp(model, (x, target(soft)), nn.KLDivLoss(reduction='batchmean'), adam(model))

@healthy
def taught(): return teacher(torch.exp)

@broken('activations, logs and temperatures', taught, 'a log too many: kl_div takes probabilities as its target',
        'log_target', 'probabilities', 'log twice', 'negative')
def taught_logs(): return teacher(lambda q: q)

def binary(target, loss=F.binary_cross_entropy_with_logits):
    x, y = threes()
    model = mlp(784, 20, 1, end=[nn.Flatten(0)])
    return SetUp(model, (x, target(y).float()), loss, adam(model))

@healthy
def zeros_and_ones(): return binary(lambda y: y)

@broken('targets that cannot be right', zeros_and_ones, 'one logit, and targets 1 and 2', 'target', '0 and 1', '0 to 1')
def ones_and_twos(): return binary(lambda y: y + 1)

@broken('sign, mean or sum of the loss', zeros_and_ones, 'no minus before the written out loss', 'wrong sign',
        'minus')
def binary_without_minus():
    return binary(lambda y: y, lambda x, t: (t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x)).mean())

@healthy
def levels():
    x, y = blobs(80, c=4)
    model = mlp(4, 16, 3)
    return SetUp(model, (x, (y[:, None] > torch.arange(3)).float()), nn.BCEWithLogitsLoss(), adam(model, 1e-2))

def reduced(loss):
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), loss, torch.optim.SGD(model.parameters(), .5))

@healthy
def mean_with_sgd(): return reduced(F.cross_entropy)

@broken('sign, mean or sum of the loss', mean_with_sgd, "reduction='sum' with the learning rate of a mean",
        'too large', 'reduction', 'sum over')
def sum_with_sgd(): return reduced(nn.CrossEntropyLoss(reduction='sum'))

@broken('sign, mean or sum of the loss', mean_with_sgd, 'the mean is divided by the number of items once more',
        'twice', 'times too small', 'loss too small', 'scale of the loss')
def mean_of_means(): return reduced(lambda x, t: F.cross_entropy(x, t) / len(t))


# --- classes by the thousand, scales, steps
def thousand(f):
    x, y = blobs(64, c=1000, d=16)
    model = mlp(16, 32, 1000)
    return SetUp(model, (x, y * 15), lambda x, t: F.cross_entropy(f(x), t), adam(model))

@healthy
def thousand_classes(): return thousand(lambda x: x)

@broken('activations, logs and temperatures', thousand_classes, 'a softmax before the loss, at 1,000 classes',
        'double softmax', 'softmax twice', 'activation inside', 'softmax inside')
def thousand_softmaxes(): return thousand(lambda x: x.softmax(1))

def scaled(by):
    x, y = small_digits()
    model = mlp(64, 40, 10, act=nn.Sigmoid)
    return SetUp(model, (x * by - by / 2, y), opt=adam(model, 1e-2))

@healthy
def centred(): return scaled(2)

@broken('a network that cannot learn', centred, 'inputs of thousands: the sigmoids are saturated', 'saturated',
        'vanishing', 'scale of the input', 'cannot overfit', 'large input')
def saturated(): return scaled(20_000)

@healthy
def first_steps_of_a_warm_up():
    model = Decoder(c=4)
    opt = torch.optim.AdamW(model.parameters(), 1e-6)
    torch.optim.lr_scheduler.LambdaLR(opt, lambda step: 1 + step)
    x = torch.randint(12, (24, 10))
    return SetUp(model, (x, x % 4), by_place, opt)

@healthy
def groups():
    model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.GroupNorm(4, 16), nn.SiLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
                          nn.Linear(144, 2))
    return SetUp(model, threes(32, flat=False), opt=torch.optim.Adagrad(model.parameters()))
