"""What our losses cost next to torch's, forward and backward, with each argument: time in pairs, and peak memory, over
sizes, with one thread and with all. What misses its target is marked."""
import argparse, re, subprocess, sys, time
from statistics import median, quantiles

import torch
import torch.nn.functional as F
from tqdm import tqdm

from xent_course import cross_entropy, log_softmax, nll_loss, softmax
from xent_course.lessons.cross_entropy import any_loss
from xent_course.support.measure import peak_bytes

SIZES = (64, 10), (256, 1000), (4096, 1000), (1024, 32000)
LOSSES = {'cross_entropy': (cross_entropy, F.cross_entropy), 'nll_loss': (nll_loss, F.nll_loss),
          'log_softmax': (log_softmax, F.log_softmax), 'softmax': (softmax, F.softmax)}
# What to call, and with what: class indices or probabilities, class weights, label smoothing, half precision
CASES = [('cross_entropy', *options) for options in
         ((), ('smoothing',), ('weight',), ('weight', 'smoothing'), ('probabilities',), ('probabilities', 'smoothing'),
          ('probabilities', 'weight', 'smoothing'), ('bfloat16',), ('bfloat16', 'smoothing'),
          ('bfloat16', 'weight'), ('bfloat16', 'probabilities'), ('float16',))]
CASES += [('nll_loss',), ('nll_loss', 'weight'), ('log_softmax',), ('softmax',)]
MEMORY = 1.1
HEADER = """
                                                           time, ours / torch's: median              torch's own
call                                            n×c        of pairs [quartiles]    target   memory   time        peak"""


def target(name, scores):
    "At most this multiple of torch's time for so many logits; None where nothing is promised."
    others = {'softmax': 2., 'log_softmax': 1.5, 'nll_loss': 1.5}
    if scores >= 1e5: return others.get(name, 1. if scores >= 1e6 else 1.2)
    return None if name in others else 3.


def seconds(run):
    "How long one call takes."
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def time_ratio(ours, theirs, budget, least=7):
    "Quartiles of ours / theirs over at least so many pairs of calls in alternating order; and their median time."
    pairs, end = [], time.perf_counter() + budget
    for run in ours, theirs: run()
    while len(pairs) < least or (time.perf_counter() < end and len(pairs) < 2000):
        order = [ours, theirs] if len(pairs) % 2 else [theirs, ours]
        taken = {run: seconds(run) for run in order}
        pairs.append((taken[ours] / taken[theirs], taken[theirs]))
    return quantiles((ratio for ratio, _ in pairs), n=4), median(s for _, s in pairs)


def calls(case, n, c):
    "Forward and backward, ours and torch's, for one case: two functions without arguments."
    name, *options = case
    torch.manual_seed(0)
    dtype = next((getattr(torch, o) for o in options if o in ('bfloat16', 'float16')), torch.float32)
    x = torch.randn(n, c).to(dtype).requires_grad_()
    if name in ('softmax', 'log_softmax'): return both_ways(name, x, torch.randn(n, c).to(dtype), 1)
    goal = torch.randn(n, c).softmax(1).to(dtype) if 'probabilities' in options else torch.randint(c, (n,))
    settings = {}
    if 'weight' in options: settings['weight'] = torch.rand(c).to(dtype) + .5
    if 'smoothing' in options: settings['label_smoothing'] = .1
    return both_ways(name, x, None, goal, **settings)


def both_ways(name, x, grad, *args, **settings):
    return [lambda f=f: torch.autograd.grad(f(x, *args, **settings), x, grad) for f in LOSSES[name]]


def measure(case, n, c, budget):
    "One row of the table."
    ours, theirs = calls(case, n, c)
    (low, ratio, high), torch_seconds = time_ratio(ours, theirs, budget)
    ours_bytes, torch_bytes = peak_bytes(ours), peak_bytes(theirs)
    goal = target(case[0], n * c)
    late, large = goal is not None and ratio > goal, n * c >= 1e5 and ours_bytes > MEMORY * torch_bytes
    row = (f"{', '.join(case):47} {n}×{c}".ljust(59) + f"{ratio:5.2f} [{low:.2f}, {high:.2f}]".ljust(24)
           + (f'{goal:.1f}' if goal else '').rjust(6) + f'{ours_bytes / torch_bytes:9.2f} '
           f'{torch_seconds * 1e3:10.3f} ms {torch_bytes / 2**20:8.2f} MB'
           + '   MISSED: time' * late + '   MISSED: memory' * large)
    return dict(row=row, late=late, large=large, promised=goal is not None)


def share_of_checks(n, c, budget):
    "What part of one call of cross_entropy, forward and backward, is spent on checking its arguments."
    torch.manual_seed(0)
    x, t = torch.randn(n, c, requires_grad=True), torch.randint(c, (n,))
    checked = lambda: torch.autograd.grad(cross_entropy(x, t), x)
    unchecked = lambda: torch.autograd.grad(any_loss(x, t, None, -100, 'mean', 0.), x)
    return 1 - time_ratio(unchecked, checked, budget)[0][1]


def import_milliseconds():
    "What importing the losses takes beyond torch, by Python's own count."
    code = 'import torch; import xent_course.lessons.cross_entropy, xent_course.lessons.gradient'
    command = [sys.executable, '-X', 'importtime', '-c', code]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return sum(int(us) for us in re.findall(r'import time: +(\d+) \| +\d+ \| +xent_course', log)) / 1e3


def size(text):
    "(64, 10) of '64x10'."
    n, c = map(int, text.split('x'))
    return n, c


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--budget', type=float, default=1., help='seconds for each row of the table (default 1)')
    parser.add_argument('--sizes', type=size, nargs='+', default=SIZES, help='rows and classes, as 64x10')
    parser.add_argument('--threads', type=int, nargs='+', default=sorted({1, torch.get_num_threads()}),
                        help='with how many threads (default 1 and all)')
    args = parser.parse_args()
    found = {threads: [] for threads in args.threads}
    for threads in tqdm(args.threads, unit='thread'):
        torch.set_num_threads(threads)
        print(f"torch {torch.__version__}, {threads} threads, {torch.backends.cpu.get_cpu_capability()}, "
              f"mean over random logits, forward and backward\n{HEADER}")
        for n, c in args.sizes:
            for case in CASES:
                found[threads].append(measure(case, n, c, args.budget))
                print(found[threads][-1]['row'], flush=True)
        n, c = args.sizes[0]
        share = share_of_checks(n, c, args.budget)
        print(f"\nof our cross_entropy at {n}×{c}, {share:.0%} is checking the arguments\n")
    for threads, rows in found.items():
        promised = [row for row in rows if row['promised']]
        late, large = sum(row['late'] for row in rows), sum(row['large'] for row in rows)
        print(f"{threads} threads: {late} of {len(promised)} times and {large} peaks of memory miss their targets")
    print("""
Where they miss: torch does all in one step; here each of about thirty is called from Python, which shows below a
million logits, and half precision is converted there and back, which shows below ten million.""")
    print(f"\nimporting the losses takes {import_milliseconds():.1f} ms beyond torch")


if __name__ == '__main__': main()
