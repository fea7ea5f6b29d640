"""Cross-entropy loss explained, implemented, checked and used: the package that a course in notebooks exports.

A module is where its notebook is, under the same name: `nbs/lessons/02_softmax.ipynb` makes
`xent_course.lessons.softmax`.

- `xent_course.lessons`: the loss, from the sigmoid of a difference to `CrossEntropyLoss`, its gradient, and training
- `xent_course.further`: what the number says, other targets, text and scale
- `xent_course.doctor`: finds mistakes in a batch, its loss, or a training that has not begun
- `xent_course.support`: argument checks, fast losses, digits, figures, panel and exercises of the notebooks

The names of the loss and of the doctor are offered here; the rest is imported from its module."""
__version__ = "0.14.0"

__all__ = ['CrossEntropyLoss', 'check_training', 'cross_entropy', 'cross_entropy_grad', 'diagnose',
           'linear_cross_entropy', 'log_softmax', 'logsumexp', 'mnist_loss', 'nll_loss', 'sigmoid', 'sigmoid_diff',
           'six_images', 'softmax', 'take_target']

from .doctor.check_training import check_training
from .doctor.diagnose import diagnose
from .further.linear_cross_entropy import linear_cross_entropy
from .lessons.cross_entropy import CrossEntropyLoss, cross_entropy
from .lessons.gradient import cross_entropy_grad
from .lessons.log import log_softmax, logsumexp
from .lessons.nll import mnist_loss, nll_loss
from .lessons.indexing import take_target
from .lessons.sigmoid_diff import sigmoid, sigmoid_diff, six_images
from .lessons.softmax import softmax
