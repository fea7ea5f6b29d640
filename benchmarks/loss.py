"What our cross_entropy costs next to torch's: time and peak memory over a grid of sizes, in turn, in one run."
import argparse, re, subprocess, sys, time
from pathlib import Path
from statistics import median, quantiles

import matplotlib
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from tqdm import tqdm

from xent_course.lessons.cross_entropy import cross_entropy
from xent_course.support.measure import peak_bytes

ROWS, CLASSES = (64, 256, 1024, 8192), (2, 10, 1000, 32000)
TARGET, LARGE = 1.1, 100_000  # at most this multiple of torch's, in every cell with so many scores
RATIOS = {'forward': ('time, forward', 'v', '#56B4E9'), 'both': ('time, forward and backward', 'o', '#0072B2'),
          'memory': ('memory', 's', '#E69F00')}
HEADER = """
                 ours / torch's: median of pairs [quartiles]           torch's own
 rows classes             forward     forward+backward  memory   forward+backward    peak memory"""


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


def batch(n, c):
    "Random scores, shape (n, c), and targets, shape (n,)."
    torch.manual_seed(0)
    return torch.randn(n, c, requires_grad=True), torch.randint(c, (n,))


def measure(n, c, budget):
    "One cell of the grid."
    (x, t), losses = batch(n, c), (cross_entropy, F.cross_entropy)
    forward = [torch.no_grad()(lambda loss=loss: loss(x, t)) for loss in losses]
    forward_backward = [lambda loss=loss: torch.autograd.grad(loss(x, t), x) for loss in losses]
    fwd, _ = time_ratio(*forward, budget)
    both, torch_seconds = time_ratio(*forward_backward, budget)
    memory = [peak_bytes(run) for run in forward_backward]
    return dict(n=n, c=c, forward=fwd[1], both=both[1], spread=dict(forward=fwd[::2], both=both[::2]),
                torch_ms=torch_seconds * 1e3, memory=memory[0] / memory[1], torch_mb=memory[1] / 2**20)


def is_large(cell): return cell['n'] * cell['c'] >= LARGE


def draw(cells, path):
    "The ratios as dots over the sizes, with the target as a line."
    start, end = next(i for i, cell in enumerate(cells) if is_large(cell)) - .5, len(cells) - .5
    with matplotlib.rc_context({'font.size': 11, 'axes.spines.top': False, 'axes.spines.right': False}):
        fig = Figure(figsize=(9, 4.5), layout='constrained')
        ax = fig.subplots()
        for key, (label, marker, colour) in RATIOS.items():
            ratios = [cell[key] for cell in cells]
            ax.plot(ratios, marker, label=label, color=colour, markeredgecolor='black', markersize=8)
        ax.axhline(1, color='black', lw=1)
        ax.axvspan(start, end, color='#E8E8E8', zorder=0)
        ax.hlines(TARGET, -.5, end, color='#D55E00', linestyle='--', label=f'target, {TARGET} (grey: where it applies)')
        ax.set(yscale='log', ylabel="ours / torch's", xlabel='rows × classes',
               title=f'Forward and backward, our cross_entropy against torch {torch.__version__}')
        ax.set_yticks([.1, .2, .5, 1, 2, 5], ['0.1', '0.2', '0.5', '1', '2', '5'])
        ax.set_xticks(range(len(cells)), [f"{cell['n']}×{cell['c']}" for cell in cells], rotation=45, ha='right')
        ax.legend(frameon=False)
        fig.savefig(path, dpi=110)


def import_milliseconds():
    "What importing the losses takes beyond torch, by Python's own count."
    code = 'import torch; import xent_course.lessons.cross_entropy, xent_course.lessons.gradient'
    command = [sys.executable, '-X', 'importtime', '-c', code]
    log = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return sum(int(us) for us in re.findall(r'import time: +(\d+) \| +\d+ \| +xent_course', log)) / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--budget', type=float, default=1.5,
                        help='seconds for each kind of measurement of a cell (default 1.5)')
    parser.add_argument('--rows', type=int, nargs='+', default=ROWS, help='how many rows to try')
    parser.add_argument('--classes', type=int, nargs='+', default=CLASSES, help='how many classes to try')
    parser.add_argument('--picture', type=Path, default=Path('bench.png'), help='where to draw it (default bench.png)')
    args = parser.parse_args()
    sizes = sorted(((n, c) for n in args.rows for c in args.classes), key=lambda size: size[0] * size[1])
    cells = [measure(n, c, args.budget) for n, c in tqdm(sizes, unit='cell')]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, "
          f"float32, mean over random scores\n{HEADER}")
    for cell in cells:
        ratios = {key: f"{cell[key]:.2f} [{low:.2f}, {high:.2f}]" for key, (low, high) in cell['spread'].items()}
        print(f"{cell['n']:5} {cell['c']:7} {ratios['forward']:>19} {ratios['both']:>20} {cell['memory']:7.2f} "
              f"{cell['torch_ms']:15.3f} ms {cell['torch_mb']:11.2f} MB")
    large = [cell for cell in cells if is_large(cell)]
    for name, some in ('all', cells), (f'rows × classes ≥ {LARGE:,}', large):
        if not some: continue
        columns = {key: [cell[key] for cell in some] for key in RATIOS}
        said = (f"{key} median {median(v):.2f}, largest {max(v):.2f}" for key, v in columns.items())
        print(f"\n{name}: {', '.join(said)}")
    missed = [f"{cell['n']}×{cell['c']}" for cell in large if max(cell['both'], cell['memory']) > TARGET]
    verdict = 'missed at ' + ', '.join(missed) if missed else 'met' if large else 'not measured'
    print(f"target, forward+backward at most {TARGET} times torch's time and memory there: {verdict}")
    print(f"\nimporting the losses takes {import_milliseconds():.1f} ms beyond torch")
    if large: draw(cells, args.picture)


if __name__ == '__main__': main()
