"The set that the doctor was scored on, and not changed for."
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.setups import Apply, SetUp, adam, blobs, cnn, mlp, new_set, sgd, small_digits, texts, threes, trained
from xent_course.lessons.cross_entropy import CrossEntropyLoss, cross_entropy

BROKEN, HEALTHY, broken, healthy = new_set()


class Attention(nn.Module):
    "One block of a transformer over words, with a class for each word."
    def __init__(self, c=4, batch_first=True):
        super().__init__()
        self.embed, self.place = nn.Embedding(20, 16), nn.Parameter(.1 * torch.randn(12, 16))
        self.last = nn.Linear(16, c)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=.1, batch_first=batch_first)
    def forward(self, x): return self.last(self.block(self.embed(x) + self.place))


class Residual(nn.Module):
    "x + f(x), with layer norm."
    def __init__(self, d):
        super().__init__()
        self.norm, self.inner = nn.LayerNorm(d), nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))
    def forward(self, x): return x + self.inner(self.norm(x))


def pictures(n=8, size=12):
    "A bright square on noise, and which pixels belong to it."
    x, y = .3 * torch.rand(n, 1, size, size), torch.zeros(n, size, size).long()
    for i in range(n):
        a, b = torch.randint(size - 4, (2,)).tolist()
        x[i, 0, a:a + 4, b:b + 4] += .7
        y[i, a:a + 4, b:b + 4] = 1
    return x, y


def pixelwise(c=2):
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, c, 3, padding=1))


# --- one softmax too many
@broken('one softmax too many')
def softmax_of_pixels(): return SetUp(Apply(pixelwise(), nn.Softmax(dim=1)), pictures())

@broken('one softmax too many')
def softmax_in_a_loss_class():
    class MyLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.ce = nn.CrossEntropyLoss(weight=torch.tensor([1., 2., 3.]), label_smoothing=.05)
        def forward(self, x, t): return self.ce(F.softmax(x, dim=1), t)
    return SetUp(mlp(4, 16, 3, act=nn.Tanh), blobs(), MyLoss())

@broken('one softmax too many')
def softmax_for_soft_targets():
    x, y = blobs(c=5, d=8)
    return SetUp(mlp(8, 20, 5, act=nn.GELU, end=[nn.Softmax(-1)]), (x, .8 * F.one_hot(y, 5) + .04), cross_entropy)


# --- another activation before the loss
@broken('another activation before the loss')
def tanh_at_the_end(): return SetUp(mlp(784, 30, 2, end=[nn.Tanh()]), threes())

@broken('another activation before the loss')
def relu_after_a_convolution(): return SetUp(Apply(pixelwise(), F.relu), pictures())

@broken('another activation before the loss')
def sigmoid_in_the_loss():
    return SetUp(mlp(8, 20, 5), blobs(c=5, d=8), lambda x, t: F.cross_entropy(torch.sigmoid(x), t, reduction='sum'))


# --- softmax over the wrong axis
@broken('softmax over the wrong axis')
def functional_softmax_of_columns():
    return SetUp(Apply(cnn(2), lambda x: torch.softmax(x, 0)), threes(flat=False), CrossEntropyLoss())

@broken('softmax over the wrong axis')
def written_out_over_the_batch():
    written_out = lambda x, t: (x.exp().sum(0).log() - x).gather(1, t[:, None]).mean()
    return SetUp(mlp(64, 30, 10), small_digits(), written_out)


# --- a log missing, or two losses mixed up
@broken('a log missing, or two losses mixed up')
def nll_of_pixels(): return SetUp(Apply(pixelwise(), nn.Softmax2d()), pictures(), nn.NLLLoss())

@broken('a log missing, or two losses mixed up')
def minus_the_probability():
    return SetUp(mlp(8, 20, 5), blobs(c=5, d=8), lambda x, t: -x.softmax(1)[torch.arange(len(t)), t].mean())

@broken('a log missing, or two losses mixed up')
def divergence_of_logits():
    x, y = blobs()
    return SetUp(mlp(4, 16, 3), (x, .9 * F.one_hot(y, 3) + 1 / 30), nn.KLDivLoss(reduction='batchmean'))


# --- a log that is not safe
@broken('a log that is not safe')
def exp_over_sum():
    written_out = lambda x, t: -(x.exp() / x.exp().sum(1, keepdim=True)).log().gather(1, t[:, None]).mean()
    return SetUp(mlp(8, 20, 5), blobs(c=5, d=8), written_out)

@broken('a log that is not safe')
def clamped_probability():
    return SetUp(mlp(784, 20, 2), threes(), lambda x, t: F.nll_loss(F.softmax(x, 1).clamp(1e-7, 1).log(), t))


# --- shapes that do not belong together
@broken('shapes that do not belong together')
def one_output(): return SetUp(cnn(1), (threes(flat=False)[0], torch.zeros(64).long()))

@broken('shapes that do not belong together')
def row_against_column():
    x, y = blobs(c=2)
    mine = lambda p, t: (F.softplus(p) - t * p).mean()
    return SetUp(mlp(4, 16, 1, end=[nn.Flatten(0)]), (x, y.float()[:, None]), mine)

@broken('shapes that do not belong together')
def transformer_classes_last(): return SetUp(Attention(c=12), texts(32, 12, c=12))


# --- labels that cannot be right
@broken('labels that cannot be right')
def unknown_is_255():
    x, y = pictures()
    y[:, 0] = 255
    return SetUp(pixelwise(), (x, y))

@broken('labels that cannot be right')
def whole_one_hot():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), (x, F.one_hot(y, 10)))

@broken('labels that cannot be right')
def shares_in_percent():
    x, y = blobs()
    return SetUp(mlp(4, 16, 3), (x, 100. * F.one_hot(y, 3)), cross_entropy)


# --- nan or inf
@broken('nan or inf')
def pixel_mask_leaves_nothing():
    x, y = pictures()
    return SetUp(pixelwise(), (x, torch.full_like(y, 255)), nn.CrossEntropyLoss(ignore_index=255))

@broken('nan or inf')
def scaled_by_nothing():
    x, y = blobs()
    x[:, 2] = 1.
    return SetUp(mlp(4, 16, 3), ((x - x.mean(0)) / x.std(0), y))

@broken('nan or inf')
def masked_target():
    mask = torch.tensor([0., -torch.inf, 0., 0., 0.])
    return SetUp(Apply(mlp(8, 20, 5), lambda x: x + mask), blobs(c=5, d=8))


# --- classes in another order
@broken('classes in another order')
def folders_sorted_otherwise():
    x, y = blobs(120, c=5, d=8)
    return SetUp(trained(mlp(8, 20, 5), (x, torch.tensor([2, 0, 1, 4, 3])[y])), (x, y))

@broken('classes in another order')
def flipped_in_the_loss(): return SetUp(mlp(784, 20, 2), threes(), lambda x, t: cross_entropy(x.flip(1), t))


# --- sign, graph or mean of the loss
@broken('sign, graph or mean of the loss')
def plus_for_minus():
    return SetUp(cnn(2), threes(flat=False), lambda x, t: (torch.log_softmax(x, 1) * F.one_hot(t, 2)).sum(1).mean())

@broken('sign, graph or mean of the loss')
def share_of_errors(): return SetUp(mlp(8, 20, 5), blobs(c=5, d=8), lambda x, t: (x.argmax(1) != t).float().mean())

@broken('sign, graph or mean of the loss')
def divergence_by_default():
    x, y = blobs()
    return SetUp(mlp(4, 16, 3, end=[nn.LogSoftmax(1)]), (x, .9 * F.one_hot(y, 3) + 1 / 30), nn.KLDivLoss())


# --- a start far off
@broken('a start far off')
def columns_of_all_sizes():
    x, y = blobs(c=5, d=8)
    return SetUp(mlp(8, 20, 5), (x * torch.logspace(0, 4, 8), y))

@broken('a start far off')
def everything_normal():
    model = mlp(64, 200, 10)
    for layer in model[::2]: nn.init.normal_(layer.weight)
    return SetUp(model, small_digits())

@broken('a start far off')
def log_odds_mixed_up():
    x, y = blobs(90, c=3)
    y[:] = torch.where(torch.arange(90) < 84, 0, torch.where(torch.arange(90) < 87, 1, 2))
    model = mlp(4, 16, 3)
    model[-1].bias.data = -torch.tensor([.93, .035, .035]).log()
    return SetUp(model, (x, y))


# --- a network that cannot learn
@broken('a network that cannot learn')
def times_zero(): return SetUp(nn.Sequential(Apply(nn.Identity(), lambda x: 0 * x), mlp(8, 20, 5)), blobs(c=5, d=8))

@broken('a network that cannot learn')
def all_weights_zero():
    model = mlp(64, 30, 10)
    for w in model.parameters(): nn.init.zeros_(w)
    return SetUp(model, small_digits())

@broken('a network that cannot learn')
def thirty_tanhs():
    model = mlp(784, *[30] * 30, 2, act=nn.Tanh)
    for layer in model[::2]: nn.init.normal_(layer.weight, std=.02)
    return SetUp(model, threes())


# --- parameters left out
class DictOfBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.branches, self.last = {'a': nn.Linear(4, 8), 'b': nn.Linear(4, 8)}, nn.Linear(16, 3)
    def forward(self, x): return self.last(torch.cat([branch(x).relu() for branch in self.branches.values()], 1))

class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.extra, self.last = mlp(4, 16), nn.Linear(16, 16), nn.Linear(16, 3)
    def forward(self, x):
        h = self.body(x).relu()
        self.extra(h).relu()
        return self.last(h)

@broken('parameters left out')
def branches_in_a_dict(): return SetUp(DictOfBranches(), blobs())

@broken('parameters left out')
def result_thrown_away(): return SetUp(Unused(), blobs())

@broken('parameters left out')
def all_frozen():
    model = cnn(10).requires_grad_(False)
    return SetUp(model, small_digits(flat=False))

@broken('parameters left out')
def new_head_after_the_optimizer():
    model = cnn(10)
    opt = adam(model)
    model[-1] = nn.Linear(16, 2)
    return SetUp(model, threes(flat=False), opt=opt)


# --- steps of the wrong size
@broken('steps of the wrong size')
def adam_at_one():
    model = cnn(10)
    return SetUp(model, small_digits(flat=False), opt=torch.optim.Adam(model.parameters(), 1.))

@broken('steps of the wrong size')
def exponent_mistyped():
    model = Attention()
    return SetUp(Apply(model, lambda x: x.movedim(-1, 1)), texts(), opt=torch.optim.Adam(model.parameters(), 1e-12))


# --- training and evaluation differ
@broken('training and evaluation differ')
def evaluation_not_undone():
    model = nn.Sequential(nn.Linear(784, 30), nn.ReLU(), nn.Dropout(.2), nn.Linear(30, 2))
    return SetUp(model.eval(), threes())

@broken('training and evaluation differ')
def momentum_zero(): return SetUp(cnn(10, momentum=0.), small_digits(flat=False))

@broken('training and evaluation differ')
def share_to_keep(): return SetUp(nn.Sequential(mlp(8, 64), nn.Dropout(.98), nn.Linear(64, 5)), blobs(c=5, d=8))


# --- items that mix
@broken('items that mix')
def transformer_over_items():
    return SetUp(Apply(Attention(batch_first=False), lambda x: x.movedim(-1, 1)), texts())

@broken('items that mix')
def wrong_reshape():
    stack = lambda x: x.reshape(x.shape[1], x.shape[0]).t()
    return SetUp(nn.Sequential(mlp(8, 20), Apply(nn.Identity(), stack), nn.Linear(20, 5)), blobs(c=5, d=8))


# --- unequal micro-batches
@broken('unequal micro-batches')
def pixels_left_out():
    x, y = pictures()
    y[:2, 3:] = 255
    parts = [(x[:2], y[:2]), (x[2:4], y[2:4]), (x[4:6], y[4:6])]
    return SetUp(pixelwise(), parts, nn.CrossEntropyLoss(ignore_index=255))

@broken('unequal micro-batches')
def weights_in_parts():
    x, y = blobs(60, c=2)
    order = y.argsort()
    x, y = x[order], y[order]
    parts = [(x[:35], y[:35]), (x[25:], y[25:])]
    return SetUp(mlp(4, 16, 2), parts, nn.CrossEntropyLoss(weight=torch.tensor([1., 20.])))


# --- healthy
@healthy
def logistic_regression():
    model = nn.Linear(8, 5)
    return SetUp(model, blobs(c=5, d=8), opt=sgd(model, .5))

@healthy
def pixels():
    model = pixelwise()
    return SetUp(model, pictures(), opt=adam(model))

@healthy
def transformer():
    model = Attention()
    return SetUp(model, texts(), lambda x, t: F.cross_entropy(x.reshape(-1, 4), t.reshape(-1)), adam(model))

@healthy
def recurrent():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.rnn = nn.Embedding(20, 16), nn.LSTM(16, 16, batch_first=True)
            self.last = nn.Linear(16, 4)
        def forward(self, x): return self.last(self.rnn(self.embed(x))[0][:, -1])
    x, y = texts()
    model = Last()
    return SetUp(model, (x, y[:, -1]), opt=adam(model, 1e-2))

@healthy
def residual_blocks():
    model = nn.Sequential(nn.Linear(64, 32), Residual(32), Residual(32), nn.LayerNorm(32), nn.Linear(32, 10))
    return SetUp(model, small_digits(), CrossEntropyLoss(), adam(model))

@healthy
def zero_residuals():
    model = nn.Sequential(nn.Linear(64, 32), Residual(32), Residual(32), nn.Linear(32, 10))
    for block in model[1:3]: nn.init.zeros_(block.inner[-1].weight); nn.init.zeros_(block.inner[-1].bias)
    return SetUp(model, small_digits(), opt=sgd(model, .05, momentum=.9))

@healthy
def batch_norm_perceptron():
    model = nn.Sequential(nn.Linear(784, 50), nn.BatchNorm1d(50), nn.ReLU(), nn.Dropout(.3), nn.Linear(50, 2))
    return SetUp(model, threes(), opt=torch.optim.RMSprop(model.parameters(), 1e-3))

@healthy
def weight_norm():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(64, 30)), nn.ReLU(), nn.Linear(30, 10))
    return SetUp(model, small_digits(), opt=adam(model))

@healthy
def old_weight_norm():
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(8, 20)), nn.Tanh(), nn.Linear(20, 5))
    model(torch.randn(2, 8))
    return SetUp(model, blobs(c=5, d=8))

@healthy
def bag_of_words():
    x, y = texts()
    model = nn.Sequential(nn.EmbeddingBag(20, 16), nn.Linear(16, 4))
    return SetUp(model, (x, y[:, 0]), opt=adam(model, 1e-2))

@healthy
def smoothed_and_weighted():
    return SetUp(mlp(8, 20, 5), blobs(c=5, d=8), nn.CrossEntropyLoss(weight=torch.rand(5) + .5, label_smoothing=.2))

@healthy
def soft_labels():
    x, y = blobs()
    return SetUp(mlp(4, 16, 3), (x, (3. * F.one_hot(y, 3) + torch.randn(60, 3)).softmax(1)), cross_entropy)

@healthy
def distilled():
    x, y = small_digits()
    teacher = (4. * F.one_hot(y, 10) + torch.randn(64, 10)).softmax(1)
    divergence = lambda s, t: 4 * F.kl_div(F.log_softmax(s / 2, 1), t, reduction='batchmean')
    return SetUp(mlp(64, 30, 10), (x, teacher), divergence)

@healthy
def adjusted_logits():
    prior = torch.tensor([.7, .2, .1]).log()
    return SetUp(mlp(4, 16, 3), blobs(), lambda x, t: F.cross_entropy(x + prior, t))

@healthy
def hinge(): return SetUp(mlp(4, 16, 3), blobs(), nn.MultiMarginLoss())

@healthy
def with_a_penalty():
    model = mlp(64, 30, 10)
    penalty = lambda: 1e-3 * sum((w**2).sum() for w in model.parameters())
    return SetUp(model, small_digits(), lambda x, t: F.cross_entropy(x, t) + penalty(), sgd(model))

@healthy
def sharpened(): return SetUp(mlp(64, 30, 10), small_digits(), lambda x, t: F.cross_entropy(x / .5, t))

@healthy
def binary_column():
    x, y = blobs(c=2)
    model = mlp(4, 16, 1)
    return SetUp(model, (x, y.float()[:, None]), nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.])), adam(model))

@healthy
def probabilities_and_their_log():
    x, y = threes()
    return SetUp(mlp(784, 20, 1, end=[nn.Sigmoid(), nn.Flatten(0)]), (x, y.float()), nn.BCELoss())

@healthy
def two_inputs():
    class Both(nn.Module):
        def __init__(self): super().__init__(); self.words, self.last = nn.EmbeddingBag(20, 8), nn.Linear(12, 3)
        def forward(self, w, x): return self.last(torch.cat([self.words(w), x], 1))
    x, y = blobs(32)
    model = Both()
    return SetUp(model, (texts()[0], x, y), opt=adam(model, 1e-2))

@healthy
def trained_further():
    batch = threes(200)
    model = trained(mlp(784, 30, 2), batch, steps=200)
    return SetUp(model, batch, opt=adam(model, 1e-5))

@healthy
def half_precision():
    x, y = blobs(c=5, d=8)
    model = mlp(8, 32, 5).bfloat16()
    return SetUp(model, (x.bfloat16(), y))

@healthy
def many_classes():
    x, y = blobs(400, c=100, d=16)
    model = mlp(16, 64, 100)
    return SetUp(model, (x, y), opt=adam(model))
