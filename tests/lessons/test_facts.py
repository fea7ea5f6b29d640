"The package's functions give the numbers of the course. Also run against the installed wheel, so it needs no pytest."
import torch
from torch.testing import assert_close

from xent_course.lessons.cross_entropy import CrossEntropyLoss, cross_entropy
from xent_course.lessons.gradient import cross_entropy_grad
from xent_course.lessons.indexing import take_target
from xent_course.lessons.log import log_softmax
from xent_course.support.digits import load_digits
from xent_course.lessons.nll import mnist_loss, nll_loss
from xent_course.lessons.sigmoid_diff import sigmoid, sigmoid_diff, six_images
from xent_course.lessons.softmax import softmax

activations, target = six_images()
confidence_3 = torch.tensor([.9949, .0585, .6455, .2584, .9916, .0221])
at_target = torch.tensor([.9949, .9415, .6455, .7416, .0084, .0221])
losses = torch.tensor([.0051, .0603, .4377, .2990, 4.7790, 3.8108])


def close(actual, printed, slope):
    "Equal to the printed digits: half a unit of the fourth decimal, plus what rounded activations can change."
    assert_close(actual, printed, rtol=0, atol=.5e-4 * (1 + slope) + 1e-7)


def test_batch():
    assert_close(activations, torch.tensor([[2.3771, -2.8988], [-2.6314, .1466], [1.1035, .5041],
                                            [-3.1179, -2.0637], [3.7481, -1.0225], [-2.2668, 1.5217]]))
    assert_close(target, torch.tensor([0, 1, 0, 1, 1, 0]))


def test_sigmoids():
    printed = torch.tensor([[.9151, .0522], [.0671, .5366], [.7509, .6234],
                            [.0424, .1127], [.9770, .2646], [.0939, .8208]])
    close(sigmoid(activations), printed, slope=.25)
    close(sigmoid_diff(activations), confidence_3, slope=.5)


def test_softmax(): close(softmax(activations), torch.stack([confidence_3, 1 - confidence_3], dim=1), slope=.5)


def test_targets():
    close(take_target(softmax(activations), target), at_target, slope=.5)
    close(nll_loss(softmax(activations), target, reduction='none'), -at_target, slope=.5)
    close(mnist_loss(activations[:, 1] - activations[:, 0], target), 1 - at_target.mean(), slope=.5)


def test_losses():
    close(cross_entropy(activations, target, reduction='none'), losses, slope=2)
    close(nll_loss(log_softmax(activations), target), losses.mean(), slope=2)
    close(CrossEntropyLoss()(activations, target), losses.mean(), slope=2)


def test_gradient():
    x = activations.clone().requires_grad_()
    assert_close(cross_entropy_grad(activations, target), torch.autograd.grad(CrossEntropyLoss()(x, target), x)[0])


def test_data():
    train, test = load_digits()
    assert train.images.shape == (12396, 28, 28) and train.labels.bincount().tolist() == [6131, 6265]
    assert test.images.shape == (2038, 28, 28) and test.labels.bincount().tolist() == [1010, 1028]


if __name__ == '__main__':
    for name, test in list(globals().items()):
        if name.startswith('test_'): test()
    print('all facts hold')
