"""Set-ups written in version 0.14.0 by somebody who read no rule, after the rules of 0.12.0: scored once.

Their faults are those that people ask about on forums, on Stack Overflow and in the issues of PyTorch, transformers
and fastai. As in `new_held_out`, each has a healthy twin that differs from it in one thing, and tells its cause and
the words of which a right finding has at least one.
"""
import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.setups import Apply, SetUp, adam, blobs, cnn, mlp, rare, sgd, small_digits, threes, trained
from benchmarks.setups.parts import (Decoder, GraphNet, LowRank, Margin, Recurrent, WithLoss, communities, counting,
                                     masked_words, new_faults, padded, parameters, several, shifted, squares)

BROKEN, HEALTHY, broken, healthy = new_faults()


# --- words with a class each
def by_word(x, t): return F.cross_entropy(x.transpose(1, 2), t)

def both_ways(i, o, **kw): return nn.GRU(i, o // 2, bidirectional=True, **kw)

class PackedTags(nn.Module):
    "Scores of the words alone, without padding, in the order of a packed sequence."
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.head = nn.Embedding(20, 24), nn.GRU(24, 24, batch_first=True), nn.Linear(24, 4)
    def forward(self, x, lengths):
        words = pack_padded_sequence(self.embed(x), lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.rnn(words)[0].data)

def packed_tags(target):
    x, mask, _ = masked_words(96)
    model = PackedTags()
    return SetUp(model, (x, mask.sum(1), target(x % 4, mask)), opt=adam(model, 1e-2))

@healthy
def labels_packed_too():
    return packed_tags(lambda t, m: pack_padded_sequence(t, m.sum(1), batch_first=True, enforce_sorted=False).data)

@broken('scores and targets paired wrongly', labels_packed_too, 'scores go by time, as packed, labels by sentence',
        'packed', 'aligned', 'paired', 'do not belong', 'another order', 'other order', 'permuted', 'cannot overfit')
def labels_not_packed(): return packed_tags(lambda t, m: t[m.bool()])

@healthy
def tagged_both_ways():
    x = torch.randint(20, (24, 8))
    model = Recurrent(20, c=4, rnn=both_ways)
    return SetUp(model, (x, (x + x.roll(-1, 1)) % 4), by_word, adam(model, 1e-2))


# --- pictures with a class for every pixel
def coloured(augment=lambda x, y: (x, y), after=nn.Identity(), loss=F.cross_entropy, opt=partial(adam, lr=1e-2)):
    x, y = augment(*squares(12))
    net = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 3, 3, padding=1), after)
    return SetUp(net, (x, y), loss, opt(net))

@healthy
def flipped_with_its_mask(): return coloured(lambda x, y: (x.flip(-1), y.flip(-1)))

@broken('scores and targets paired wrongly', flipped_with_its_mask, 'the pictures are flipped, their masks are not',
        'flip', 'mirror', 'aligned', 'augment', 'paired', 'wrong place', 'other pixel')
def flipped_without_its_mask(): return coloured(lambda x, y: (x.flip(-1), y))

@healthy
def mask_as_it_is(): return coloured()

@broken('targets that cannot be right', mask_as_it_is, 'ToTensor divides the mask by 255: all labels are 0',
        'one class', 'single class', 'same label', 'same class', 'only one', 'all labels', 'constant')
def mask_read_as_a_picture(): return coloured(lambda x, y: (x, (y.float() / 255).long()))

@broken('activations, logs and temperatures', mask_as_it_is, 'a ReLU at the end', 'relu', 'no negative',
        'never negative', 'negative scores', 'below zero', 'activation at the end')
def pixels_through_relu(): return coloured(after=nn.ReLU())

@healthy
def mean_over_pixels(): return coloured(opt=partial(sgd, lr=.5, momentum=.9))

@broken('sign, mean or sum of the loss', mean_over_pixels, 'the mean is divided by the number of pixels again',
        'divided', 'divides', 'mean of a mean', 'mean twice', 'too small', 'small gradient', 'small step')
def mean_over_pixels_again():
    return coloured(loss=lambda x, t: F.cross_entropy(x, t) / t.numel(), opt=partial(sgd, lr=.5, momentum=.9))

@healthy
def border_left_out():
    def border(x, y): y[:, 0] = y[:, -1] = y[:, :, 0] = y[:, :, -1] = 255; return x, y
    return coloured(border, loss=partial(F.cross_entropy, ignore_index=255))


# --- plain items
def shuffled(batches):
    x, y = blobs(96, c=4, d=4)
    model = mlp(4, 8, 4)
    return SetUp(model, batches(x, y), opt=adam(model, 1e-2))

def loaded(*parts): return DataLoader(TensorDataset(*parts), 32, shuffle=True)

@healthy
def shuffled_together(): return shuffled(loaded)

@broken('scores and targets paired wrongly', shuffled_together, 'inputs and labels are shuffled apart', 'shuffle',
        'unrelated', 'random label', 'labels at random', 'do not belong', 'no relation', 'paired', 'cannot overfit')
def shuffled_apart(): return shuffled(lambda x, y: loaded(x, y[torch.randperm(len(y))]))

def skewed(loss, counts=(48, 24, 16, 8), opt=partial(sgd, lr=.2)):
    counts = torch.tensor(counts)
    y = torch.arange(len(counts)).repeat_interleave(counts)
    model = mlp(6, 24, len(counts))
    return SetUp(model, (2 * torch.randn(4, 6)[y] + torch.randn(len(y), 6), y), loss(counts), opt(model))

def by_class(counted):
    return skewed(lambda n: nn.CrossEntropyLoss((24. / torch.where(n > counted, n, 0)).nan_to_num(posinf=0.)))

@healthy
def rarest_weighted_most(): return by_class(0)

@broken('weights and smoothing', rarest_weighted_most, 'a class that the counts lacked has weight 0', 'weight 0',
        'weights 0', 'weight of 0', 'weight is 0', 'zero weight', 'weight zero', 'weight of zero', 'weight is zero',
        'without weight')
def weight_zero_for_a_class(): return by_class(8)

@healthy
def item_weights_with_mean_one():
    def weighted(n): return lambda x, t: (n.sum() / (4. * n[t]) * F.cross_entropy(x, t, reduction='none')).mean()
    return skewed(weighted)

@healthy
def skewed_as_it_is(): return skewed(lambda n: F.cross_entropy, (85, 8, 5, 2))

def positives(weight):
    x, y = rare(120, 12)
    model = mlp(4, 16, 1, end=[nn.Flatten(0)])
    weight = weight((y == 0).sum() / (y == 1).sum())
    return SetUp(model, (x, y.float()), nn.BCEWithLogitsLoss(pos_weight=weight), adam(model, 1e-2))

@healthy
def negatives_over_positives(): return positives(lambda w: w)

@broken('weights and smoothing', negatives_over_positives, 'pos_weight upside down: rare positives hardly count',
        'pos_weight', 'inverted', 'upside down', 'class weight', 'weights the wrong way', 'rare class',
        'frequent class', 'rarer')
def positives_over_negatives(): return positives(lambda w: 1 / w)

def digits(model=None, loss=F.cross_entropy, opt=partial(adam, lr=1e-2), scale=1, n=64):
    x, y = small_digits(n)
    model = model or mlp(64, 32, 10)
    return SetUp(model, (scale * x, y), loss, opt(model))

def spread(keep):
    return digits(loss=lambda x, t: F.cross_entropy(x, keep * F.one_hot(t, 10) + (1 - keep) / 10))

@healthy
def spread_a_tenth(): return spread(.9)

@broken('weights and smoothing', spread_a_tenth, 'smoothing the wrong way: the right class keeps a tenth', 'smooth',
        'uniform', 'hardly differ', 'nearly flat')
def spread_all_but_a_tenth(): return spread(.1)


# --- sign
def stepping(maximize):
    return digits(opt=lambda model: torch.optim.SGD(model.parameters(), .1, momentum=.9, maximize=maximize))

@healthy
def minimised(): return stepping(False)

@broken('sign, mean or sum of the loss', minimised, 'the optimizer maximizes', 'maximi', 'ascen', 'uphill',
        'wrong sign', 'goes up', 'rises', 'climb')
def maximised(): return stepping(True)

@healthy
def penalty_added():
    model = mlp(64, 32, 10)
    loss = lambda x, t: F.cross_entropy(x, t) + .005 * sum(w.square().sum() for w in model.parameters())
    return digits(model, loss, partial(sgd, lr=.3))

class Heads(nn.Module):
    "Digit, and whether it is odd."
    def __init__(self):
        super().__init__()
        self.body, self.a, self.b = nn.Linear(64, 32), nn.Linear(32, 10), nn.Linear(32, 2)
    def forward(self, x): h = self.body(x).relu(); return self.a(h), self.b(h)

def digit_and_odd(second):
    x, y = small_digits()
    model = Heads()
    loss = lambda x, t: F.cross_entropy(x[0], t[0]) + second * F.cross_entropy(x[1], t[1])
    return SetUp(model, (x, (y, y % 2)), loss, adam(model, 1e-2))

@healthy
def heads_added(): return digit_and_odd(1)

@broken('sign, mean or sum of the loss', heads_added, "the second head's loss is subtracted", 'wrong sign', 'sign of',
        'minus', 'negated', 'subtract', 'negative loss', 'loss is negative', 'goes up', 'below zero')
def second_head_subtracted(): return digit_and_odd(-1)


# --- items that mix
class Sensors(nn.Module):
    "The last state of a recurrent network that wants time first."
    def __init__(self, order):
        super().__init__()
        self.rnn, self.head, self.order = nn.GRU(4, 24), nn.Linear(24, 3), order
    def forward(self, x): return self.head(self.rnn(self.order(x))[0][-1])

def sensed(order):
    x, y = blobs(48, spread=.5)
    model = Sensors(order)
    return SetUp(model, (x[:, None] / 2 + torch.randn(48, 7, 4), y), opt=adam(model, 1e-2))

@healthy
def time_first_by_transpose(): return sensed(lambda x: x.transpose(0, 1))

@broken('items that mix', time_first_by_transpose, 'reshape for transpose: time and items are jumbled', 'mix',
        'other items', 'each other', 'neighbo', 'reshape', 'across the batch', 'over the batch')
def time_first_by_reshape(): return sensed(lambda x: x.reshape(7, -1, 4))

@healthy
def remembers_the_first_word():
    x = torch.randint(12, (64, 5))
    model = Apply(Recurrent(12, c=3, d=24, rnn=nn.LSTM), lambda x: x[:, -1])
    return SetUp(model, (x, x[:, 0] % 3), opt=adam(model, 1e-2))

class DenseOrSparse(nn.Module):
    "Sums over neighbours and then over the nodes of each graph of a batch."
    def __init__(self): super().__init__(); self.first, self.last = nn.Linear(2, 16), mlp(16, 16, 2)
    def forward(self, x, edges, graph):
        h = x.index_add(0, edges[1], x[edges[0]]) / 6
        return self.last(x.new_zeros(int(graph[-1]) + 1, 16).index_add(0, graph, self.first(h).relu()) / 6)

def many_graphs(offset, n=16, nodes=6):
    y = torch.arange(n) % 2
    edges = [(torch.rand(nodes, nodes) < .3 + .4 * c).nonzero().t() + offset * i for i, c in enumerate(y)]
    model = DenseOrSparse()
    x = 1 + .3 * torch.randn(n * nodes, 2)
    return SetUp(model, (x, torch.cat(edges, 1), torch.arange(n).repeat_interleave(nodes), y), opt=adam(model, 1e-2))

@healthy
def edges_with_offsets(): return many_graphs(6)

@broken('items that mix', edges_with_offsets, 'every edge joins nodes of the first graph', 'mix', 'edge', 'offset',
        'first graph', 'other items', 'each other', 'isolated')
def edges_without_offsets(): return many_graphs(0)

class Between(nn.Module):
    "Something done to what is hidden."
    def __init__(self, between):
        super().__init__()
        self.a, self.b, self.between = nn.Linear(64, 32), nn.Linear(32, 10), between
    def forward(self, x): return self.b(self.between(self.a(x).relu()))

@healthy
def noise_on_the_hidden(): return digits(Between(lambda h: h + .05 * torch.randn_like(h)))

@broken('items that mix', noise_on_the_hidden, 'mixed as in manifold mixup, with targets that are not', 'mix',
        'other items', 'each other', 'across the batch', 'over the batch')
def hidden_mixed_targets_not(): return digits(Between(lambda h: .5 * h + .5 * h[torch.randperm(len(h))]))


# --- the next word
def foretold(model, n=32):
    words = counting(n)
    return SetUp(model, (words[:, :-1], words[:, 1:]), by_word, adam(model, 1e-2))

@healthy
def read_forwards(): return foretold(Recurrent(12))

@broken('the future is seen', read_forwards, 'a recurrent network in both directions foretells the next word', 'future',
        'bidirectional', 'next word', 'later', 'sees', 'leak', 'look ahead', 'causal')
def read_both_ways(): return foretold(Recurrent(12, rnn=both_ways))

class Convolved(nn.Module):
    "A language model of two convolutions over time."
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(12, 24), nn.Linear(24, 12)
        self.a, self.b = nn.Conv1d(24, 24, 3), nn.Conv1d(24, 24, 3)
    def forward(self, x):
        h = self.embed(x).transpose(1, 2)
        for conv in (self.a, self.b): h = conv(F.pad(h, (2, 0))).relu()
        return self.head(h.transpose(1, 2))

@healthy
def padded_on_the_left(): return foretold(Convolved())

class Attending(Decoder):
    "With a mask of the words that are not to be seen."
    def __init__(self, hide): super().__init__(); self.hide = hide
    def hidden(self, x):
        hidden = self.hide(torch.ones(x.shape[1], x.shape[1], dtype=torch.bool))
        return self.block(self.embed(x) + self.place[:x.shape[1]], hidden)

@healthy
def hides_what_is_later(): return foretold(Attending(lambda m: m.triu(1)))

@broken('the future is seen', hides_what_is_later, 'the mask is of what may be seen: it hides what is earlier',
        'future', 'next word', 'later', 'sees', 'leak', 'look ahead', 'causal', 'mask is inverted', 'inverted mask')
def hides_what_is_earlier(): return foretold(Attending(lambda m: m.tril(-1)))

class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(13, 24), nn.Linear(24, 13)
        self.encoder, self.decoder = nn.GRU(24, 24, batch_first=True), nn.GRU(24, 24, batch_first=True)
    def forward(self, x, before): return self.head(self.decoder(self.embed(before), self.encoder(self.embed(x))[1])[0])

def translated(given):
    x = torch.randint(12, (48, 4))
    y = x.cumsum(1).flip(1) % 12
    model = Translator()
    return SetUp(model, (x, given(y), y), by_word, adam(model, 1e-2))

@healthy
def given_the_word_before(): return translated(lambda y: F.pad(y[:, :-1], (1, 0), value=12))

@broken('the future is seen', given_the_word_before, 'the decoder is given the word that it is to say', 'future',
        'leak', 'copy', 'copies', 'equals the target', 'equal to the target', 'target itself', 'same as the target',
        'sees', 'among the inputs')
def given_the_word_itself(): return translated(lambda y: y)

@healthy
def tied_with_the_embedding():
    model = Decoder(d=24)
    model.head.weight = model.embed.weight
    nn.init.normal_(model.embed.weight, std=.2)
    return foretold(model)

@healthy
def shifts_on_its_own():
    x, model = counting(), WithLoss(Decoder())
    return SetUp(model, dict(input_ids=x, labels=x), None, adam(model, 5e-3))

@healthy
def some_words_hidden():
    x = counting(48, words=11)
    hidden = torch.rand(x.shape) < .15
    model = Decoder(12, causal=False)
    batch = x.masked_fill(hidden, 11), x.masked_fill(~hidden, -100)
    return SetUp(model, batch, lambda x, t: F.cross_entropy(x.flatten(0, 1), t.flatten()), adam(model, 5e-3))


# --- ignored or counted
@healthy
def nothing_ignored(): return digits(loss=nn.CrossEntropyLoss(ignore_index=-1))

def ended(loss):
    model = Recurrent()
    return SetUp(model, (padded(32, 14),) * 2, loss, adam(model, 1e-2))

@healthy
def up_to_the_end(): return ended(partial(shifted, ignore_index=0))

def masked_mean(x, t):
    each = F.cross_entropy(x[:, :-1].transpose(1, 2), t[:, 1:], reduction='none')
    mask = (t[:, 1:] != 0).float()
    return (each * mask).sum() / mask.sum()

@healthy
def mask_before_the_mean(): return ended(masked_mean)

@broken('ignored by mistake, or counted by mistake', mask_before_the_mean, 'the mask comes after the mean: no effect',
        'padding', 'padded', 'mask', 'constant tail', 'same label', 'pad token')
def mask_after_the_mean(): return ended(lambda x, t: (shifted(x, t) * (t != 0)).sum() / (t != 0).sum())

class Summary(nn.Module):
    "A place for a summary before the words, one block of attention, classes."
    def __init__(self, hide):
        super().__init__()
        self.embed, self.attend, self.hide = nn.Embedding(20, 24), nn.MultiheadAttention(24, 2, batch_first=True), hide
        self.summary, self.place = nn.Parameter(torch.randn(24)), nn.Parameter(torch.randn(10, 24))
        self.head = mlp(24, 24, 3)
    def forward(self, batch):
        x = self.embed(batch['input_ids']) + self.place
        query, hidden = self.summary.expand(len(x), 1, -1), self.hide(batch['attention_mask'])
        return self.head(self.attend(query, x, x, hidden)[0][:, 0])

def summarised(hide):
    x, mask, y = masked_words(64)
    model = Summary(hide)
    return SetUp(model, (dict(input_ids=x, attention_mask=mask), y), opt=adam(model, 1e-2))

@healthy
def padding_hidden(): return summarised(lambda mask: mask == 0)

@broken('ignored by mistake, or counted by mistake', padding_hidden, 'key_padding_mask upside down: sees padding alone',
        'mask', 'padding', 'attention', 'input ignored', 'no effect')
def padding_alone_attended(): return summarised(lambda mask: mask == 1)

def instructed(ignored):
    question = torch.randint(1, 12, (32, 6))
    x = torch.cat([question, torch.full((32, 1), 12), (question[:, :1] + torch.arange(3)) % 12], 1)
    model, labels = WithLoss(Decoder(13)), x.masked_fill(ignored(torch.arange(10)), -100)
    return SetUp(model, dict(input_ids=x, labels=labels), None, adam(model, 5e-3))

@healthy
def questions_ignored(): return instructed(lambda place: place < 7)

@broken('ignored by mistake, or counted by mistake', questions_ignored, 'answers are ignored, questions counted',
        'ignored', '-100', 'answer', 'inverted')
def answers_ignored(): return instructed(lambda place: place >= 7)


# --- targets
def votes(over):
    x, y = blobs(48, d=5)
    counts = 6. * F.one_hot(y, 3) + torch.randint(3, (48, 3))
    model = mlp(5, 16, 3)
    return SetUp(model, (x, counts / counts.sum(over, keepdim=True)), opt=sgd(model, .2))

@healthy
def shares_of_an_item(): return votes(1)

@broken('targets that cannot be right', shares_of_an_item, 'the votes are divided by the sums over the batch', 'sum to',
        'sums to', 'add up', 'not probabilities', 'over the batch', 'rows of the target', 'normali')
def shares_of_a_class(): return votes(0)

def subjects(loss):
    x, y = blobs(60, 5, 6)
    model = mlp(6, 24, 5)
    return SetUp(model, (x, several(y, 5)), loss, adam(model, 1e-2))

@healthy
def each_subject_alone(): return subjects(nn.BCEWithLogitsLoss())

@broken('targets that cannot be right', each_subject_alone, 'several ones in a row, for cross-entropy', 'sum to',
        'sums to', 'add up', 'not probabilities', 'multi-label', 'several', 'binary', 'bce')
def subjects_exclusive(): return subjects(nn.CrossEntropyLoss())


# --- parameters
class Experts(nn.Module):
    "Three experts, and a gate that says how much each counts."
    def __init__(self, group):
        super().__init__()
        self.gate, self.experts = nn.Linear(64, 3), group(mlp(64, 16, 10) for _ in range(3))
    def forward(self, x):
        each = torch.stack([e(x) for e in self.experts], 1)
        return (self.gate(x).softmax(1)[..., None] * each).sum(1)

@healthy
def experts_in_a_module_list(): return digits(Experts(nn.ModuleList))

@broken('parameters left out', experts_in_a_module_list, 'the experts are in a Python list', 'python list', 'in a list',
        'modulelist', 'not registered', 'unregistered', 'left out', 'not in the optimizer')
def experts_in_a_python_list(): return digits(Experts(list))

def with_average(which):
    model = cnn(2, norm=False)
    average = copy.deepcopy(model)
    return SetUp(model, threes(32, flat=False), opt=adam(which(model, average), 1e-2))

@healthy
def optimizer_of_the_model(): return with_average(lambda model, average: model)

@broken('parameters left out', optimizer_of_the_model, "the optimizer has the copy's parameters", 'copy', 'copied',
        'other model', 'another model', 'not in the optimizer', "not the model's", 'left out', 'never move',
        'do not belong')
def optimizer_of_the_average(): return with_average(lambda model, average: average)

class Anew(nn.Module):
    "Perhaps with a layer that each call makes."
    def __init__(self, anew):
        super().__init__()
        self.first, self.last = nn.Linear(64, 24), None if anew else nn.Linear(24, 10)
    def forward(self, x): return (self.last or nn.Linear(24, 10))(self.first(x).relu())

@healthy
def layer_made_once(): return digits(Anew(False))

@broken('parameters left out', layer_made_once, 'forward makes its last layer anew', 'anew', 'in forward', 'new layer',
        'each call', 'every call', 'call to call', 'two calls', 'created', 'not registered')
def layer_made_in_forward(): return digits(Anew(True))

@healthy
def biases_not_decayed():
    def opt(model):
        decayed, rest = [w for w in model.parameters() if w.ndim > 1], [w for w in model.parameters() if w.ndim < 2]
        return torch.optim.AdamW([dict(params=decayed), dict(params=rest, weight_decay=0.)], 1e-2)
    return digits(opt=opt)

class Prompted(nn.Module):
    "A frozen network behind a prompt that is learned."
    def __init__(self, body):
        super().__init__()
        self.body, self.prompt = body.requires_grad_(False), nn.Parameter(torch.zeros(64))
        self.head = nn.Linear(10, 2)
    def forward(self, x): return self.head(self.body(x + self.prompt).relu())

def halves_of(body):
    x, y = small_digits(96)
    model = body(trained(mlp(64, 32, 10), (x, y)))
    return SetUp(model, (x, y % 2), opt=adam(model, 1e-2))

@healthy
def prompt_learned(): return halves_of(Prompted)

def coded(code): return digits(nn.Sequential(mlp(64, 48, 32), code, nn.Linear(32, 10)))

class Code(nn.Module):
    "The best of four codes in each of eight groups, with the softmax's gradient or without."
    def __init__(self, through): super().__init__(); self.through = through
    def forward(self, x):
        x = x.unflatten(1, (8, 4))
        hard, soft = F.one_hot(x.argmax(-1), 4).float(), x.softmax(-1)
        return (hard + soft - soft.detach() if self.through else hard).flatten(1)

@healthy
def argmax_straight_through(): return coded(Code(True))

@broken('parameters left out', argmax_straight_through, 'argmax lets no gradient through to the layers below', 'argmax',
        'no gradient', 'gradient is none', 'not differentiable', 'detach', 'cut off', 'never move', 'never reach')
def argmax_halfway(): return coded(Code(False))


# --- inputs
class Siamese(nn.Module):
    def __init__(self, pick):
        super().__init__()
        self.net, self.head, self.pick = mlp(5, 24, 12), nn.Linear(12, 2), pick
    def forward(self, a, b): return self.head((self.net(a) - self.net(self.pick(a, b))).abs())

def alike(pick):
    x, y = blobs(96, 3, 5)
    other = torch.where(torch.rand(96) < .4, torch.arange(96) // 3 * 3 + y, torch.randint(96, (96,))).roll(3)
    model = Siamese(pick)
    return SetUp(model, (x, x[other], (y == y[other]).long()), opt=adam(model, 1e-2))

@healthy
def compared_with_another(): return alike(lambda a, b: b)

@broken('an input that does nothing', compared_with_another, 'the first is compared with itself: always 0',
        'input ignored', 'is ignored', 'ignores', 'no effect', 'does nothing', 'unused', 'not used', 'no influence',
        'same scores', 'rows alike', 'same output')
def compared_with_its_double(): return alike(lambda a, b: a)

class Lookup(nn.Module):
    "The word at the place that a query asks for."
    def __init__(self, dim):
        super().__init__()
        self.embed, self.query, self.dim = nn.Embedding(12, 16), nn.Embedding(5, 16), dim
        self.place, self.head = nn.Parameter(torch.randn(5, 16)), nn.Linear(16, 3)
    def forward(self, x, query):
        weights = (self.place * self.query(query)[:, None] / 4).sum(-1, keepdim=True).softmax(self.dim)
        return self.head((weights * self.embed(x).expand(-1, 5, -1)).sum(1))

def looked_up(dim):
    x, query = torch.randint(12, (96, 5)), torch.randint(5, (96,))
    model = Lookup(dim)
    return SetUp(model, (x, query, x.gather(1, query[:, None])[:, 0] % 3), opt=adam(model, 2e-2))

@healthy
def softmax_over_places(): return looked_up(1)

@broken('an input that does nothing', softmax_over_places, 'softmax over an axis of length 1: every weight is 1',
        'input ignored', 'is ignored', 'ignores', 'no effect', 'does nothing', 'unused', 'no influence', 'length 1',
        'size 1', 'length one', 'single column', 'no gradient', 'zero gradient', 'gradient is zero')
def softmax_over_a_single_column(): return looked_up(-1)

def aged(norm):
    x = torch.rand(60, 1)
    model = nn.Sequential(norm(1), mlp(1, 32, 3))
    return SetUp(model, (x, (3 * x[:, 0]).long()), opt=adam(model, 2e-2))

@healthy
def normed_over_items(): return aged(nn.BatchNorm1d)

@broken('an input that does nothing', normed_over_items, 'a layer norm of one feature gives 0', 'input ignored',
        'is ignored', 'ignores', 'no effect', 'does nothing', 'layernorm', 'layer norm', 'same scores', 'rows alike',
        'constant', 'no influence', 'same output')
def normed_to_nothing(): return aged(nn.LayerNorm)

class Threshold(nn.Module):
    def forward(self, x): return (x > .5).float()

@healthy
def brighter_than_half():
    model = nn.Sequential(Threshold(), cnn(2, norm=False))
    return SetUp(model, threes(48, flat=False), opt=adam(model, 1e-2))


# --- activations
def ended_with(*end, **kw): return digits(mlp(64, 32, 10, end=end), **kw)

class UnitLength(nn.Module):
    def __init__(self, scale): super().__init__(); self.scale = scale
    def forward(self, x): return self.scale * F.normalize(x)

@healthy
def scores_of_length_sixteen(): return ended_with(UnitLength(16))

@broken('activations, logs and temperatures', scores_of_length_sixteen, 'scores of unit length: none is sure', 'unit',
        'normali', 'bounded', 'temperature', 'limited', 'floor')
def scores_of_unit_length(): return ended_with(UnitLength(1))

def hidden_layer(): return nn.Linear(64, 48), nn.ReLU()

@healthy
def dropout_before_scores(): return digits(nn.Sequential(*hidden_layer(), nn.Dropout(.3), nn.Linear(48, 10)))

@broken('activations, logs and temperatures', dropout_before_scores, 'dropout of the scores themselves', 'dropout',
        'dropped')
def scores_dropped(): return digits(nn.Sequential(*hidden_layer(), nn.Linear(48, 10), nn.Dropout(.3)))

class Mixture(Experts):
    "A mixture of the experts' probabilities, and perhaps its log."
    def __init__(self, log): super().__init__(nn.ModuleList); self.log = log
    def forward(self, x):
        each = torch.stack([e(x) for e in self.experts], 1).softmax(-1)
        mixed = (self.gate(x).softmax(1)[..., None] * each).sum(1)
        return mixed.clamp(min=1e-6).log() if self.log else mixed

@healthy
def log_of_the_mixture(): return digits(Mixture(log=True))

@broken('activations, logs and temperatures', log_of_the_mixture, 'probabilities for cross-entropy, without their log',
        'softmax', 'probabilit', 'missing log', 'log is missing', 'without a log')
def mixture_without_log(): return digits(Mixture(log=False))

@healthy
def at_temperature_half(): return digits(loss=lambda x, t: F.cross_entropy(x / .5, t), opt=partial(sgd, lr=.3))


# --- networks that cannot learn
def started(init):
    model = mlp(64, 32, 32, 10)
    for w in model.parameters(): init(w) if w.ndim > 1 else nn.init.zeros_(w)
    return digits(model)

@healthy
def weights_orthogonal(): return started(nn.init.orthogonal_)

@broken('a network that cannot learn', weights_orthogonal, 'all weights are the same: all units alike', 'units alike',
        'weights alike', 'symmetr', 'identical', 'same weight', 'same value', 'initiali')
def weights_all_alike(): return started(partial(nn.init.constant_, val=.02))

@healthy
def volts(): return digits(opt=partial(sgd, lr=.2, momentum=.9))

@broken('a network that cannot learn', volts, 'inputs of a ten-thousandth', 'not normali', 'standardi', 'input scale',
        'scale of the input', 'inputs too small', 'inputs are small', 'inputs are tiny', 'inputs are too small',
        'tiny input', 'small input')
def tenths_of_millivolts(): return digits(scale=1e-4, opt=partial(sgd, lr=.2, momentum=.9))

@healthy
def decay_of_a_hundredth(): return digits(opt=partial(adam, lr=1e-2, weight_decay=.01))

@broken('a network that cannot learn', decay_of_a_hundredth, 'weight decay of 20', 'decay', 'shrink')
def decay_of_twenty(): return digits(opt=partial(adam, lr=1e-2, weight_decay=20))

class Clipped(torch.optim.SGD):
    "Clips the gradient before each step."
    def step(self, closure=None):
        for group in self.param_groups: nn.utils.clip_grad_norm_(group['params'], group['clip'])
        return super().step(closure)

def clipped(to):
    return digits(opt=lambda model: Clipped([dict(params=list(model.parameters()), clip=to)], .3))

@healthy
def clipped_to_one(): return clipped(1.)

@broken('a network that cannot learn', clipped_to_one, 'the gradient is clipped to nearly nothing', 'clip', 'too small',
        'small step', 'hardly move', 'barely', 'tiny')
def clipped_to_nothing(): return clipped(1e-5)

def quadrants(act):
    x = torch.randn(96, 2)
    model = mlp(2, 32, 32, 2, act=act)
    return SetUp(model, (x, (x.prod(1) > 0).long()), opt=adam(model, 1e-2))

@healthy
def bent(): return quadrants(nn.GELU)

@broken('a network that cannot learn', bent, 'no activations between the layers: a linear network for XOR',
        'linear network', 'linear model', 'is linear', 'only linear', 'no activation', 'without activation',
        'activation between', 'nonlinear', 'non-linear', 'capacity', 'cannot overfit')
def straight(): return quadrants(nn.Identity)


# --- half precision
class InHalf(nn.Module):
    "Cosines, sharpened, in half precision, and their log."
    def __init__(self, log):
        super().__init__()
        self.net, self.weight, self.log = nn.Linear(64, 32), nn.Parameter(torch.randn(10, 32)), log
    def forward(self, x): return self.log((30 * F.normalize(self.net(x)) @ F.normalize(self.weight).t()).half())

@healthy
def log_softmax_in_half(): return digits(InHalf(partial(F.log_softmax, dim=1)), F.nll_loss)

@broken('half precision', log_softmax_in_half, '1e-8 is 0 in half precision: the log of 0', 'half', 'float16', 'eps',
        'underflow', 'infinit', 'not finite', 'log of 0', 'log of zero', '1e-8')
def log_of_eps_in_half(): return digits(InHalf(lambda x: (x.softmax(1) + 1e-8).log()), F.nll_loss)

class RootMeanSquare(nn.Module):
    def __init__(self, inside): super().__init__(); self.inside = inside
    def forward(self, x):
        x = x.half()
        return (x * x.to(self.inside).square().mean(1, keepdim=True).rsqrt()).float()

def squared(inside): return digits(nn.Sequential(RootMeanSquare(inside), mlp(64, 32, 10)), scale=1000)

@healthy
def squares_in_float(): return squared(torch.float)

@broken('half precision', squares_in_float, 'squares overflow in half precision: divided by infinity', 'half',
        'float16', 'overflow', 'infinit', 'input ignored', 'no effect', '65504')
def squares_in_half(): return squared(torch.half)

class Words(nn.Module):
    "Takes indices as a loader in some precision hands them on."
    def __init__(self, net, dtype): super().__init__(); self.net, self.dtype = net, dtype
    def forward(self, x): return self.net(x.to(self.dtype).long())

def numbered(dtype):
    x = torch.randint(2048, 4096, (96,)) // 64 * 64 + torch.randint(2, (96,))
    model = nn.Sequential(nn.Embedding(4096, 8), nn.Linear(8, 2))
    return SetUp(Words(model, dtype), (x, x % 2), opt=adam(model, 3e-2))

@healthy
def indices_in_float(): return numbered(torch.float)

@broken('half precision', indices_in_float, 'indices above 2048 are rounded in half precision', 'half', 'float16',
        'rounded', 'precision', '2048', 'merged')
def indices_in_half(): return numbered(torch.half)


# --- healthy ones that may look wrong
@healthy
def four_digits_viewed():
    "As a linear layer has any order of its outputs, this view is right."
    x, y = small_digits(128)
    model = mlp(256, 64, 40, end=[nn.Unflatten(1, (10, 4))])
    return SetUp(model, (x.view(32, 256), y.view(32, 4)), opt=adam(model, 1e-2))

class WarmingUp(torch.optim.AdamW):
    "From a millionth upwards, a quarter more with each step."
    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups: group['lr'] = min(1e-2, 1.25 * group['lr'])

@healthy
def warming_up(): return digits(opt=lambda model: WarmingUp(model.parameters(), 1e-6))

class Ordered(nn.Module):
    "One score, against thresholds that are learned."
    def __init__(self): super().__init__(); self.net, self.at = mlp(5, 24, 1), nn.Parameter(torch.arange(4.) - 1.5)
    def forward(self, x): return self.net(x) - self.at

@healthy
def better_and_better():
    x = torch.randn(64, 5)
    levels = ((x @ torch.randn(5)) + 2).clamp(0, 4).long()
    model = Ordered()
    return SetUp(model, (x, (levels[:, None] > torch.arange(4)).float()), nn.BCEWithLogitsLoss(), adam(model, 1e-2))

@healthy
def graph_of_doubles():
    x, edges, y = communities()
    model = GraphNet().double()
    return SetUp(model, (x.double(), edges, y), opt=adam(model, 1e-2))

class Autocast(nn.Module):
    def __init__(self, net): super().__init__(); self.net = net
    def forward(self, x):
        with torch.autocast('cpu', torch.bfloat16): return self.net(x)

@healthy
def cast_by_itself(): return digits(Autocast(mlp(64, 32, 10)))

@healthy
def few_of_two_hundred():
    x, y = blobs(40, c=3)
    model = mlp(4, 24, 200)
    return SetUp(model, (x, 60 + 17 * y), opt=adam(model, 1e-2))

class Segments(nn.Module):
    "Two sentences, told apart by token types."
    def __init__(self):
        super().__init__()
        self.word, self.kind = nn.Embedding(20, 24), nn.Embedding(2, 24)
        self.block, self.head = nn.TransformerEncoderLayer(24, 2, 48, 0., batch_first=True), nn.Linear(24, 3)
    def forward(self, batch):
        x = self.word(batch['input_ids']) + self.kind(batch['token_type_ids'])
        return self.head(self.block(x, src_key_padding_mask=batch['attention_mask'] == 0)[:, 0])

@healthy
def two_sentences():
    x, mask, y = masked_words(48)
    batch = dict(input_ids=x, token_type_ids=(torch.arange(10) > 4).long().expand(48, -1), attention_mask=mask)
    model = Segments()
    return SetUp(model, (batch, y), opt=adam(model, 3e-3))

@healthy
def beside_frozen_layers():
    def adapt(body): return nn.Sequential(LowRank(body[0]), nn.ReLU(), LowRank(body[2]), nn.Linear(10, 2))
    return halves_of(adapt)

@healthy
def pulled_together():
    x, y = blobs(48, 4, 6)
    def loss(z, t):
        z, itself = F.normalize(z), torch.eye(len(t), dtype=torch.bool)
        logs = (z @ z.t() / .1).masked_fill(itself, -1e4).log_softmax(1)
        same = (t[:, None] == t) & ~itself
        return -logs.masked_fill(~same, -1e4).logsumexp(1).mean()
    model = mlp(6, 32, 8)
    return SetUp(model, (x, y), loss, adam(model, 1e-2))

class Supervised(nn.Module):
    "A head after each layer."
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(64, 32), nn.Linear(32, 32)])
        self.heads = nn.ModuleList([nn.Linear(32, 10), nn.Linear(32, 10)])
    def forward(self, x):
        outputs = []
        for layer, head in zip(self.layers, self.heads): x = layer(x).relu(); outputs.append(head(x))
        return tuple(outputs)

@healthy
def deeply_supervised():
    loss = lambda x, t: F.cross_entropy(x[1], t) + .3 * F.cross_entropy(x[0], t)
    return digits(Supervised(), loss)

class Rounded(nn.Module):
    def forward(self, x): x = x.sigmoid(); return x + (x.round() - x).detach()

@healthy
def rounded_straight_through(): return digits(nn.Sequential(nn.Linear(64, 48), Rounded(), nn.Linear(48, 10)))

class Legal(nn.Module):
    def __init__(self): super().__init__(); self.net = mlp(64, 32, 10)
    def forward(self, x, legal): return self.net(x).masked_fill(~legal, -torch.inf)

@healthy
def illegal_moves():
    x, y = small_digits()
    legal = (torch.rand(64, 10) < .6) | F.one_hot(y, 10).bool()
    model = Legal()
    return SetUp(model, (x, legal, y), opt=adam(model, 1e-2))

@healthy
def taught_and_told():
    x, y = small_digits()
    soft = (trained(mlp(64, 64, 10), (x, y), steps=30)(x).detach() / 3).log_softmax(1)
    def loss(x, t):
        same = F.kl_div((x / 3).log_softmax(1), t[0], reduction='batchmean', log_target=True)
        return .5 * F.cross_entropy(x, t[1]) + .5 * 9 * same
    model = mlp(64, 24, 10)
    return SetUp(model, (x, (soft, y)), loss, adam(model, 1e-2))

@healthy
def some_labels_wrong():
    x, y = blobs(100, 4, 6)
    model = mlp(6, 24, 4)
    return SetUp(model, (x, torch.where(torch.rand(100) < .06, torch.randint(4, (100,)), y)), opt=adam(model, 1e-2))

class Checkpointed(nn.Module):
    def __init__(self): super().__init__(); self.a, self.b = mlp(64, 32, 32), nn.Linear(32, 10)
    def forward(self, x): return self.b(checkpoint(self.a, x, use_reentrant=False).relu())

@healthy
def computed_twice(): return digits(Checkpointed())

@healthy
def mixed_pairs():
    x, y = small_digits()
    order, share = torch.randperm(64), .7
    loss = lambda x, t: share * F.cross_entropy(x, t[0]) + (1 - share) * F.cross_entropy(x, t[1])
    model = mlp(64, 32, 10)
    return SetUp(model, (share * x + (1 - share) * x[order], (y, y[order])), loss, adam(model, 1e-2))

@healthy
def rare_at_first():
    "The focal loss of RetinaNet, with a bias that begins at a share of a hundredth."
    x, y = rare(120, 8)
    model = mlp(4, 24, 1, end=[nn.Flatten(0)])
    nn.init.constant_(model[-2].bias, -4.6)
    def loss(x, t):
        each = F.binary_cross_entropy_with_logits(x, t, reduction='none')
        return ((1 - (-each).exp()) ** 2 * each * (.25 + .5 * t)).sum() / t.sum()
    return SetUp(model, (x, y.float()), loss, adam(model, 1e-2))

@healthy
def nearly_done():
    batch = small_digits()
    model = trained(mlp(64, 32, 10), batch, steps=25)
    return SetUp(model, batch, opt=adam(model, 1e-3))

class Bag(nn.Module):
    def __init__(self): super().__init__(); self.bag, self.head = nn.EmbeddingBag(30, 16, mode='sum'), nn.Linear(16, 3)
    def forward(self, words, starts): return self.head(self.bag(words, starts))

@healthy
def bags_of_all_sizes():
    sizes = torch.randint(1, 6, (40,))
    y = torch.arange(40) % 3
    words = 10 * y.repeat_interleave(sizes) + torch.randint(12, (int(sizes.sum()),))
    model = Bag()
    return SetUp(model, (words % 30, sizes.cumsum(0) - sizes, y), opt=adam(model, 2e-2))

class PointCloud(nn.Module):
    def __init__(self): super().__init__(); self.each, self.all = mlp(3, 32, 32), mlp(32, 16, 3)
    def forward(self, x): return self.all(self.each(x).amax(1))

@healthy
def clouds():
    y = torch.arange(36) % 3
    size = torch.tensor([[1., 1, 1], [2.5, 1, .3], [.3, .3, 2.5]])
    model = PointCloud()
    return SetUp(model, (torch.randn(36, 20, 3) * size[y][:, None], y), opt=adam(model, 1e-2))

@healthy
def angles_with_a_margin():
    x, y = small_digits()
    model, loss = mlp(64, 32, 16), Margin(16, 10)
    return SetUp(model, (x, y), loss, torch.optim.AdamW(parameters(model, loss), 1e-2))

@healthy
def begins_at_zero():
    model = cnn(10)
    for w in model[-1].parameters(): nn.init.zeros_(w)
    return SetUp(model, small_digits(flat=False), opt=adam(model, 2e-2))

@healthy
def polynomial_and_smoothed():
    def loss(x, t):
        right = x.softmax(1).gather(1, t[:, None])[:, 0]
        return (F.cross_entropy(x, t, label_smoothing=.1, reduction='none') + 1 - right).mean()
    return digits(loss=loss)

@healthy
def capped_scores(): return digits(Apply(mlp(64, 32, 10), lambda x: 30 * (x / 30).tanh()))

@healthy
def vectors_given():
    x = torch.randint(20, (40, 6))
    model = nn.Sequential(nn.Embedding.from_pretrained(torch.randn(20, 24)), nn.Flatten(), mlp(144, 24, 3))
    return SetUp(model, (x, x[:, 0] % 3), opt=torch.optim.AdamW(parameters(model), 1e-2))
