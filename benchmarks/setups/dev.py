"The set that the doctor was made with."
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.setups import (Apply, SetUp, adam, blobs, cnn, mlp, new_set, rare, sgd, small_digits, texts, threes,
                               trained)

BROKEN, HEALTHY, broken, healthy = new_set()


# --- one softmax too many
@broken('one softmax too many')
def softmax_layer(): return SetUp(mlp(64, 30, 10, end=[nn.Softmax(1)]), small_digits())

@broken('one softmax too many')
def softmax_in_forward():
    return SetUp(Apply(cnn(2), lambda x: F.softmax(x, dim=-1)), threes(flat=False), F.cross_entropy)

@broken('one softmax too many')
def softmax_in_loss(): return SetUp(mlp(64, 30, 10), small_digits(), lambda x, t: F.cross_entropy(x.softmax(1), t))


# --- another activation before the loss
@broken('another activation before the loss')
def sigmoid_layer(): return SetUp(mlp(64, 30, 10, end=[nn.Sigmoid()]), small_digits())

@broken('another activation before the loss')
def relu_layer(): return SetUp(mlp(64, 30, 10, end=[nn.ReLU()]), small_digits())

@broken('another activation before the loss')
def two_sigmoids():
    x, y = threes()
    return SetUp(mlp(784, 20, 1, end=[nn.Sigmoid(), nn.Flatten(0)]), (x, y.float()), nn.BCEWithLogitsLoss())


# --- softmax over the wrong axis
@broken('softmax over the wrong axis')
def softmax_of_columns(): return SetUp(mlp(64, 30, 10, end=[nn.Softmax(0)]), small_digits())

@broken('softmax over the wrong axis')
def log_softmax_of_columns(): return SetUp(mlp(4, 16, 3), blobs(), lambda x, t: F.nll_loss(F.log_softmax(x, 0), t))


# --- a log missing, or two losses mixed up
@broken('a log missing, or two losses mixed up')
def nll_of_probabilities(): return SetUp(mlp(64, 30, 10, end=[nn.Softmax(1)]), small_digits(), nn.NLLLoss())

@broken('a log missing, or two losses mixed up')
def nll_of_logits(): return SetUp(mlp(4, 16, 3), blobs(), F.nll_loss)

@broken('a log missing, or two losses mixed up')
def divergence_of_probabilities():
    x, y = small_digits()
    soft = (.9 * F.one_hot(y, 10) + .01).float()
    return SetUp(mlp(64, 30, 10, end=[nn.Softmax(1)]), (x, soft), nn.KLDivLoss(reduction='batchmean'))


# --- a log that is not safe
@broken('a log that is not safe')
def log_of_softmax(): return SetUp(mlp(64, 30, 10), small_digits(), lambda x, t: F.nll_loss(x.softmax(1).log(), t))

@broken('a log that is not safe')
def padded_log():
    return SetUp(mlp(4, 16, 3), blobs(), lambda x, t: -(x.softmax(1) + 1e-8).log().gather(1, t[:, None]).mean())


# --- shapes that do not belong together
@broken('shapes that do not belong together')
def column_against_row():
    x, y = threes()
    return SetUp(mlp(784, 20, 1), (x, y.float()), nn.MSELoss())

@broken('shapes that do not belong together')
def classes_last():
    embed = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 4))
    return SetUp(embed, texts())

@broken('shapes that do not belong together')
def classes_last_where_they_fit():
    return SetUp(nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 8)), texts(8, 8, c=8))


# --- labels that cannot be right
@broken('labels that cannot be right')
def labels_from_one():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), (x, y + 1))

@broken('labels that cannot be right')
def float_labels():
    x, y = blobs()
    return SetUp(mlp(4, 16, 3), (x, y.float()))

@broken('labels that cannot be right')
def several_right_classes():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), (x, (F.one_hot(y, 10) + F.one_hot((y + 3) % 10, 10)).float()))


# --- nan or inf
@broken('nan or inf')
def nothing_labelled():
    x, y = texts()
    model = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 4), nn.Flatten(0, 1))
    return SetUp(model, (x, torch.full((32 * 12,), -100)))

@broken('nan or inf')
def nan_in_a_pixel():
    x, y = small_digits()
    x[3, 5] = float('nan')
    return SetUp(mlp(64, 30, 10), (x, y))

@broken('nan or inf')
def smoothed_mask():
    mask = torch.tensor([0., 0., -torch.inf])
    x, y = blobs(c=2)
    return SetUp(Apply(mlp(4, 16, 3), lambda x: x + mask), (x, y), nn.CrossEntropyLoss(label_smoothing=.1))


# --- classes in another order
@broken('classes in another order')
def trained_on_other_indices():
    x, y = small_digits(200)
    return SetUp(trained(mlp(64, 50, 10), (x, (3 * y + 1) % 10)), (x, y))

@broken('classes in another order')
def loss_counts_from_one(): return SetUp(mlp(64, 30, 10), small_digits(), lambda x, t: F.cross_entropy(x, (t - 1) % 10))


# --- sign, graph or mean of the loss
@broken('sign, graph or mean of the loss')
def no_minus(): return SetUp(mlp(4, 16, 3), blobs(), lambda x, t: F.log_softmax(x, 1).gather(1, t[:, None]).mean())

@broken('sign, graph or mean of the loss')
def loss_made_anew():
    fresh = lambda x, t: torch.tensor(F.cross_entropy(x, t).item(), requires_grad=True)
    return SetUp(mlp(64, 30, 10), small_digits(), fresh)

@broken('sign, graph or mean of the loss')
def mean_of_everything():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), (x, F.one_hot(y, 10).float()), lambda x, t: -(t * F.log_softmax(x, 1)).mean())


# --- a start far off
@broken('a start far off')
def pixels_up_to_255():
    x, y = threes()
    return SetUp(mlp(784, 100, 2), (x * 255, y))

@broken('a start far off')
def large_last_weights():
    model = mlp(64, 30, 10)
    nn.init.normal_(model[-1].weight, std=10)
    return SetUp(model, small_digits())

@broken('a start far off')
def bias_the_wrong_way():
    model = mlp(4, 16, 2)
    model[-1].bias.data = torch.tensor([.05, .95]).log()
    return SetUp(model, rare())


# --- a network that cannot learn
@broken('a network that cannot learn')
def dead_relus():
    model = mlp(64, 30, 10)
    model[0].bias.data -= 30
    return SetUp(model, small_digits())

@broken('a network that cannot learn')
def same_input_for_all():
    x, y = small_digits()
    return SetUp(Apply(mlp(64, 30, 10), lambda x: x.mean(0, keepdim=True).expand(len(x), -1)), (x, y))

@broken('a network that cannot learn')
def deep_sigmoids():
    model = mlp(64, *[20] * 12, 10, act=nn.Sigmoid)
    for layer in model[::2]: nn.init.normal_(layer.weight, std=.05)
    return SetUp(model, small_digits())


# --- parameters left out
class ListOfLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.last = [nn.Linear(64, 64), nn.Linear(64, 64)], nn.Linear(64, 10)
    def forward(self, x):
        for layer in self.hidden: x = layer(x).relu()
        return self.last(x)

@broken('parameters left out')
def layers_in_a_list(): return SetUp(ListOfLayers(), small_digits())

@broken('parameters left out')
def detached_halfway():
    cut = Apply(nn.Identity(), lambda x: x.detach())
    return SetUp(nn.Sequential(mlp(64, 30), nn.ReLU(), cut, nn.Linear(30, 10)), small_digits())

@broken('parameters left out')
def optimizer_of_the_old_model():
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), opt=sgd(mlp(64, 30, 10)))

@broken('parameters left out')
def head_not_in_optimizer():
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), opt=sgd(model[0]))


# --- steps of the wrong size
@broken('steps of the wrong size')
def leaps():
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), opt=sgd(model, 300.))

@broken('steps of the wrong size')
def crawls():
    model = mlp(4, 16, 3)
    return SetUp(model, blobs(), opt=sgd(model, 1e-9))


# --- training and evaluation differ
@broken('training and evaluation differ')
def left_in_eval():
    model = cnn(10).eval()
    return SetUp(model, small_digits(flat=False))

@broken('training and evaluation differ')
def slow_running_means(): return SetUp(cnn(2, momentum=1e-4), threes(flat=False))

@broken('training and evaluation differ')
def keeps_too_little():
    return SetUp(nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Dropout(.99), nn.Linear(100, 10)), small_digits())


# --- items that mix
@broken('items that mix')
def view_for_transpose():
    x, y = texts(16, 12, c=4)
    net = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 4))
    return SetUp(Apply(net, lambda x: x.permute(1, 0, 2).reshape(16, 12, 4).movedim(-1, 1)), (x, y))

class RecurrentOverItems(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.last = nn.Embedding(20, 16), nn.GRU(16, 16), nn.Linear(16, 4)
    def forward(self, x): return self.last(self.rnn(self.embed(x))[0]).movedim(-1, 1)

@broken('items that mix')
def batch_first_forgotten(): return SetUp(RecurrentOverItems(), texts())


# --- unequal micro-batches
@broken('unequal micro-batches')
def a_small_last_part():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), [(x[:40], y[:40]), (x[40:60], y[40:60]), (x[60:], y[60:])])

@broken('unequal micro-batches')
def unequal_padding():
    x, y = texts(16)
    y = y.flatten()
    y[20:96] = -100
    model = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 4), nn.Flatten(0, 1))
    return SetUp(model, [(x[:8], y[:96]), (x[8:], y[96:])])


# --- healthy
@healthy
def linear():
    model = nn.Linear(784, 2)
    return SetUp(model, threes(), opt=sgd(model))

@healthy
def perceptron():
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), F.cross_entropy, adam(model))

@healthy
def convolutions():
    model = cnn(10)
    return SetUp(model, small_digits(flat=False), opt=adam(model))

@healthy
def dropout():
    model = cnn(2, drop=.5)
    return SetUp(model, threes(flat=False), opt=sgd(model, momentum=.9))

@healthy
def points():
    model = mlp(4, 16, 3)
    return SetUp(model, blobs(), opt=sgd(model))

@healthy
def log_softmax_and_nll(): return SetUp(mlp(64, 30, 10, end=[nn.LogSoftmax(1)]), small_digits(), nn.NLLLoss())

@healthy
def smoothing(): return SetUp(mlp(64, 30, 10), small_digits(), nn.CrossEntropyLoss(label_smoothing=.1))

@healthy
def class_weights(): return SetUp(mlp(4, 16, 3), blobs(), nn.CrossEntropyLoss(weight=torch.tensor([1., 5., .2])))

@healthy
def mixed_targets():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), (.7 * x + .3 * x.flip(0), .7 * F.one_hot(y, 10) + .3 * F.one_hot(y.flip(0), 10)))

@healthy
def words_labelled():
    model = Apply(nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 4)), lambda x: x.movedim(-1, 1))
    return SetUp(model, texts(), opt=adam(model, 1e-2))

@healthy
def ignored_words():
    x, y = texts()
    y[:, 8:] = -100
    return SetUp(Apply(nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 4)), lambda x: x.movedim(-1, 1)), (x, y))

@healthy
def single_logit():
    x, y = threes()
    return SetUp(mlp(784, 20, 1, end=[nn.Flatten(0)]), (x, y.float()), nn.BCEWithLogitsLoss())

@healthy
def several_labels():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), (x, (F.one_hot(y, 10) + F.one_hot((y + 3) % 10, 10)).float()), nn.BCEWithLogitsLoss())

@healthy
def focal():
    def loss(x, t):
        ce = F.cross_entropy(x, t, reduction='none')
        return ((1 - (-ce).exp())**2 * ce).mean()
    return SetUp(mlp(64, 30, 10), small_digits(), loss)

@healthy
def zero_head():
    model = mlp(64, 30, 10)
    nn.init.zeros_(model[-1].weight); nn.init.zeros_(model[-1].bias)
    return SetUp(model, small_digits(), opt=adam(model))

@healthy
def frozen_body():
    model = mlp(64, 100, 10)
    model[0].requires_grad_(False)
    return SetUp(model, small_digits(), opt=torch.optim.SGD(model[-1].parameters(), .1))

@healthy
def already_trained():
    batch = small_digits(200)
    return SetUp(trained(mlp(64, 50, 10), batch), batch)

@healthy
def rare_class(): return SetUp(mlp(4, 16, 2), rare())

@healthy
def bias_of_frequencies():
    model = mlp(4, 16, 2)
    model[-1].bias.data = torch.tensor([.95, .05]).log()
    return SetUp(model, rare())

@healthy
def sums():
    model = mlp(64, 30, 10)
    return SetUp(model, small_digits(), nn.CrossEntropyLoss(reduction='sum'), sgd(model, 1e-3))

@healthy
def double_precision():
    x, y = small_digits()
    model = mlp(64, 30, 10).double()
    return SetUp(model, (x.double(), y), opt=adam(model))

@healthy
def equal_micro_batches():
    x, y = small_digits()
    return SetUp(mlp(64, 30, 10), [(x[:32], y[:32]), (x[32:], y[32:])])

@healthy
def warm_up():
    model = cnn(10)
    opt = sgd(model)
    torch.optim.lr_scheduler.LambdaLR(opt, lambda step: step / 100)
    return SetUp(model, small_digits(flat=False), opt=opt)
