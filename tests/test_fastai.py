"The loss inside fastai: what it looks for on a loss function beyond calling it."
import pytest
import torch
from fastai.callback.mixup import CutMix, MixUp
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import set_seed
from torch import nn

from xent_course import CrossEntropyLoss


def trained(loss_func, mix):
    "The losses of three epochs on random images that `mix` blends."
    set_seed(0, reproducible=True)
    images = torch.randn(32, 1, 8, 8)
    batches = [(images[i:i + 8], (images[i:i + 8].mean((1, 2, 3)) > 0).long()) for i in range(0, 32, 8)]
    learn = Learner(DataLoaders(batches, batches), nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), loss_func=loss_func, cbs=mix())
    with learn.no_bar(), learn.no_logging(): learn.fit(3, .1)
    return torch.tensor(learn.recorder.values)


@pytest.mark.parametrize('mix', [MixUp, CutMix])
def test_mixed_images(mix):
    "fastai mixes the losses of two targets, if the loss says that it takes class indices."
    torch.testing.assert_close(trained(CrossEntropyLoss(), mix), trained(CrossEntropyLossFlat(), mix))
