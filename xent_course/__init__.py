__version__ = "0.3.0"

from .sigmoid import sigmoid, sigmoid_diff, six_images
from .softmax import softmax
from .indexing import take_target
from .nll import mnist_loss, nll_loss
from .log_softmax import log_softmax, logsumexp
from .gradient import cross_entropy_grad
from .cross_entropy import CrossEntropyLoss, cross_entropy

__all__ = ['sigmoid', 'sigmoid_diff', 'six_images', 'softmax', 'take_target', 'mnist_loss', 'nll_loss', 'log_softmax', 'logsumexp',
           'cross_entropy_grad', 'CrossEntropyLoss', 'cross_entropy']
