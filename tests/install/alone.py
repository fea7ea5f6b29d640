"""Each module that promises to need torch and numpy alone does its work without the rest of the course.

Run in an environment that has nothing else, or with `--block`, which refuses to import what such an environment lacks;
with `--with-course` where everything is installed."""
import importlib, importlib.metadata, re, sys

LACKS_COURSE = '--with-course' not in sys.argv


def brought_by(*names):
    "The distributions that these bring, themselves included, in small letters."
    found, queue = set(), list(names)
    while queue:
        name = re.sub('[-_.]+', '-', queue.pop().lower())
        if name in found: continue
        found.add(name)
        try: needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError: continue
        queue += [re.match(r'[\w.-]+', need)[0] for need in needs if 'extra ==' not in need]
    return found


class Without:
    "A finder that overlooks the modules of all distributions but these."
    def __init__(self, finder, distributions):
        def kept(name): return re.sub('[-_.]+', '-', name.lower()) in distributions | {'xent-course'}
        owners = importlib.metadata.packages_distributions()
        self.finder, self.hidden = finder, {module for module, names in owners.items() if not any(map(kept, names))}

    def find_spec(self, name, path=None, target=None):
        return None if name.split('.')[0] in self.hidden else self.finder.find_spec(name, path, target)


def block(): sys.meta_path[:] = [Without(finder, brought_by('torch', 'numpy')) for finder in sys.meta_path]


if '--block' in sys.argv: block()

import torch
import torch.nn.functional as F
from torch.testing import assert_close

x = torch.tensor([[2., -1., .5], [0., 3., 1.], [-2., .3, .1]])
pairs, t, wrong = x[:, :2], torch.tensor([0, 2, 1]), torch.tensor([True, False, True])
q, words, yes = x.flip(1).softmax(1), torch.tensor([[1, 2, 0], [2, 1, 1]]), (x > .2).float()


def check_equal(got, want): assert got == want, f'{got}, not {want}'


def by_autograd(logits):
    logits = logits.clone().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(logits, t), logits)[0]


# Module -> what it computes, and what that should be
WORKS = {
    'lessons.sigmoid_diff': lambda m: (m.sigmoid_diff(pairs), pairs.softmax(1)[:, 0]),
    'lessons.softmax': lambda m: (m.softmax(x), F.softmax(x, 1)),
    'lessons.indexing': lambda m: (m.take_target(x, t), x[range(3), t]),
    'lessons.nll': lambda m: (m.nll_loss(x, t), F.nll_loss(x, t)),
    'lessons.log': lambda m: (m.log_softmax(x), F.log_softmax(x, 1)),
    'lessons.cross_entropy': lambda m: (m.CrossEntropyLoss()(x, t), F.cross_entropy(x, t)),
    'lessons.gradient': lambda m: (m.cross_entropy_grad(x, t), by_autograd(x)),
    'lessons.by_hand': lambda m: (m.weight_grad(torch.eye(3), x.T, t), by_autograd(x).T),
    'further.information': lambda m: (m.entropy(q), -(q * q.log()).sum(1)),
    'further.calibration': lambda m: (m.best_temperature(5 * x, t) > 0, True),
    'further.comparison': lambda m: (m.mcnemar(wrong, ~wrong), 1.),
    'further.curvature': lambda m: (m.cross_entropy_hessian(x).sum(1), torch.zeros(3, 3)),
    'further.binary': lambda m: (m.binary_cross_entropy_with_logits(x, yes),
                                 F.binary_cross_entropy_with_logits(x, yes)),
    'further.imbalance': lambda m: (m.log_prior(torch.tensor([1, 3])), torch.tensor([.25, .75]).log()),
    'further.soft_targets': lambda m: (m.distillation_loss(x, x.flip(1), 1.) > 0, True),
    'further.language': lambda m: (m.next_tokens(words)[1], words[:, 1:]),
    'further.denominator': lambda m: (m.denominator(t), torch.tensor(3)),
    'further.linear_cross_entropy': lambda m: (m.linear_cross_entropy(x, torch.eye(3), t), F.cross_entropy(x, t)),
    'further.vocab_parallel': lambda m: (callable(m.vocabulary_loss), True),
    'doctor.diagnose': lambda m: (len(m.diagnose(x.softmax(1), t, verbose=False)), 1),
    'doctor.check_training': lambda m: (callable(m.check_training), True),
    'support.checks': lambda m: (m.class_axis(x), 1),
    'support.fast': lambda m: (m.fast_softmax(None)(x, 1), F.softmax(x, 1)),
    'support.digits': lambda m: (m.load_digits()[1].images.shape, (2038, 28, 28)),
    'support.marking': lambda m: (bool(m.check('2.1', lambda x: x.softmax(1))), True),
    'support.measure': lambda m: (m.peak_bytes(lambda: torch.zeros(1000)) >= 4000, True)}
NEEDS_MORE = ('lessons.mnist_3_vs_7', 'doctor.callback', 'support.show', 'support.panel', 'support.draw',
              'support.loaders', 'support.ranks', 'support.resnet18', 'support.student', 'support.grade')

if __name__ == '__main__':
    import xent_course
    for name, work in WORKS.items():
        got, want = work(importlib.import_module(f'xent_course.{name}'))
        try: assert_close(got, want) if isinstance(want, torch.Tensor) else check_equal(got, want)
        except AssertionError as e: sys.exit(f'{name}: {e}')
    for name in NEEDS_MORE:
        try: importlib.import_module(f'xent_course.{name}')
        except ModuleNotFoundError as e: said = str(e)
        else: said = ''
        if LACKS_COURSE != ('pip install "xent_course[course] @ ' in said): sys.exit(f'{name} says {said!r}')
    print(f'{len(WORKS)} modules work in {xent_course.__path__[0]}')
