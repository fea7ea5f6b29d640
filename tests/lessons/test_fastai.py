"The loss inside fastai: what it looks for on a loss function beyond calling it, and training in several processes."
import re, subprocess, sys
from pathlib import Path

import pytest
import torch
from fastai.callback.mixup import CutMix, MixUp
from fastai.data.core import DataLoaders
from fastai.losses import CrossEntropyLossFlat
from fastai.vision.all import Callback, Learner, accuracy, load_learner, set_seed
from torch import nn
from torch.testing import assert_close

from xent_course import CrossEntropyLoss, cross_entropy
from xent_course.support.digits import hold_out, load_digits
from xent_course.support.loaders import digit_loaders
from xent_course.lessons.mnist_3_vs_7 import digit_cnn

ROOT, WEIGHT = Path(__file__).resolve().parents[2], torch.tensor([1., 2.])


def trained(loss_func, mix):
    "The losses of three epochs on random images that `mix` blends."
    set_seed(0)
    images = torch.randn(32, 1, 8, 8)
    batches = [(images[i:i + 8], (images[i:i + 8].mean((1, 2, 3)) > 0).long()) for i in range(0, 32, 8)]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    learn = Learner(DataLoaders(batches, batches), model, loss_func=loss_func, cbs=mix())
    with learn.no_bar(), learn.no_logging(): learn.fit(3, .1)
    return torch.tensor(learn.recorder.values)


@pytest.mark.parametrize('mix', [MixUp, CutMix])
def test_mixed_images(mix):
    "fastai mixes the losses of two targets, if the loss says that it takes class indices."
    assert_close(trained(CrossEntropyLoss(), mix), trained(CrossEntropyLossFlat(), mix))


@pytest.fixture
def learn():
    "Lesson 09's network after one epoch on a few digits."
    train, valid = hold_out(load_digits()[0])
    set_seed(1)
    dls, loss_func = digit_loaders(train[:1024], valid[:200]), CrossEntropyLoss(weight=WEIGHT)
    learn = Learner(dls, digit_cnn(), loss_func=loss_func, metrics=accuracy)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 2e-2)
        yield learn


def test_learner_reads_the_loss(learn):
    images, target = learn.dls.valid.digits.images, learn.dls.valid.digits.labels
    with torch.no_grad(): logits = learn.model.eval()(images[:, None] / 255)
    loss, right = learn.validate()
    probs, targs, decoded, losses = learn.get_preds(with_decoded=True, with_loss=True)
    assert_close(probs, logits.softmax(1), atol=1e-5, rtol=1e-4)
    assert_close(decoded.as_subclass(torch.Tensor), logits.argmax(1))
    each = cross_entropy(logits, target, WEIGHT, reduction='none')
    assert_close(losses.as_subclass(torch.Tensor), each, atol=1e-5, rtol=1e-4)
    assert learn.loss_func.reduction == 'mean'  # get_preds sets it to 'none' for a while
    assert abs(loss - cross_entropy(logits, target, WEIGHT).item()) < 1e-4
    assert right == (logits.argmax(1) == target).float().mean()
    name, index, both = learn.predict(images[0])
    assert name == '37'[decoded[0]] and index == decoded[0]
    assert_close(both, probs[0], atol=1e-5, rtol=1e-4)
    learn.show_results(max_n=4)


def test_loss_moves_and_travels(learn, tmp_path):
    assert learn.loss_func.to('meta').weight.device.type == 'meta'
    learn.loss_func = CrossEntropyLoss(label_smoothing=.1)
    learn.path = tmp_path
    learn.export('learner.pkl')
    again = load_learner(tmp_path/'learner.pkl')
    assert isinstance(again.loss_func, CrossEntropyLoss) and again.loss_func.label_smoothing == .1
    image = learn.dls.valid.digits.images[0]
    with again.no_bar(), again.no_logging(): assert_close(again.predict(image)[2], learn.predict(image)[2])


def test_lr_find(learn): assert 1e-6 < learn.lr_find(show_plot=False).valley < 1


class InBfloat16(Callback):
    "fastai's mixed precision wants a GPU; this is for processors: autocast from batch to loss. Notes the dtypes."
    def __init__(self): self.seen = set()
    def before_batch(self):
        self.autocast = torch.autocast('cpu', dtype=torch.bfloat16)
        self.autocast.__enter__()
    def after_loss(self):
        self.seen.add((self.pred.dtype, self.learn.loss_grad.dtype))
        self.autocast.__exit__(None, None, None)


def test_mixed_precision(learn):
    "In half precision the loss is a float32, and training goes on."
    learn.model = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    learn.create_opt()
    learn.fit(4, 1e-2, cbs=(half := InBfloat16()))
    assert half.seen == {(torch.bfloat16, torch.float32)} and learn.validate()[1] > .9


def errors_after_training(processes, seed, epochs):
    "On validation images, after training in so many processes."
    torchrun, script = Path(sys.executable).parent/'torchrun', Path(__file__).parent/'train_distributed.py'
    run = subprocess.run([torchrun, '--standalone', '--nproc_per_node', processes, script, seed, epochs],
                         capture_output=True, text=True, check=True)
    return int(re.search(rf'{processes} processes, same weights: True, (\d+) errors', run.stdout)[1])


@pytest.mark.slow
@pytest.mark.posix
def test_two_processes_for_an_epoch():
    "Both keep the same weights, and learn."
    assert errors_after_training('2', '0', '1') < 200


@pytest.mark.slow
@pytest.mark.study
@pytest.mark.posix
def test_two_processes():
    "Both keep the same weights, and the errors are those of one within the spread of seeds."
    alone, shared = ([errors_after_training(processes, seed, '3') for seed in '012'] for processes in '12')
    assert min(shared) <= max(alone) + 5 and max(shared) <= 2 * max(alone) + 10, (alone, shared)
