"What our linear_cross_entropy costs next to PyTorch's own with its best chunk, and next to a loss of all logits."
import argparse

import torch
import torch.nn.functional as F
from tqdm import tqdm

from benchmarks.loss import seconds, time_ratio
from xent_course.further.linear_cross_entropy import linear_cross_entropy
from xent_course.support.measure import peak_bytes

WORDS, CLASSES, CHUNKS = (1024, 2048, 4096), (32_000, 128_000), (128, 256, 512, 1024)
MEMORY = 1.1  # at most this multiple of PyTorch's
HEADER = """
                      time: ours / PyTorch's    ours /      seconds of        peak MB of          memory:
words classes  chunk   median [quartiles]     all logits  PyTorch  all   ours  PyTorch    all   ours / PyTorch's"""


def batch(n, c, d):
    "Random vectors, shape (n, d), weights, shape (c, d), and targets, shape (n,)."
    torch.manual_seed(0)
    return torch.randn(n, d, requires_grad=True), (torch.randn(c, d) / d**.5).requires_grad_(), torch.randint(c, (n,))


def both_ways(loss, x, w, t, **settings): return lambda: torch.autograd.grad(loss(x, w, t, **settings), (x, w))


def all_logits(x, w, t): return F.cross_entropy(x @ w.T, t)


def torch_in_chunks(args, rows):
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=rows)
    return both_ways(F.linear_cross_entropy, *args, options=options)


def measure(n, c, d, pairs):
    "One size: the chunk that PyTorch is fastest with, then ours with as many rows against it and against all logits."
    args = batch(n, c, d)
    rows = min(CHUNKS, key=lambda rows: min(seconds(torch_in_chunks(args, rows)) for _ in range(3)))
    ours, theirs = both_ways(linear_cross_entropy, *args, chunk_size=rows), torch_in_chunks(args, rows)
    plain = both_ways(all_logits, *args)
    (low, ratio, high), torch_seconds = time_ratio(ours, theirs, 0, pairs)
    (_, of_plain, _), plain_seconds = time_ratio(ours, plain, 0, 3)
    memory = [peak_bytes(run) / 2**20 for run in (ours, theirs, plain)]
    return dict(n=n, c=c, rows=rows, ratio=ratio, low=low, high=high, of_plain=of_plain,
                torch=torch_seconds, plain=plain_seconds, memory=memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--words', type=int, nargs='+', default=WORDS, help='how many vectors to try')
    parser.add_argument('--classes', type=int, nargs='+', default=CLASSES, help='how many classes to try')
    parser.add_argument('--size', type=int, default=256, help='numbers in a vector (default 256)')
    parser.add_argument('--pairs', type=int, default=9,
                        help="how many times ours is measured next to PyTorch's (default 9)")
    args = parser.parse_args()
    if not hasattr(torch.nn, 'LinearCrossEntropyOptions'):
        parser.exit(message=f'torch {torch.__version__} has no linear_cross_entropy to compare with: '
                            'it came with 2.13\n')
    sizes = [(n, c) for c in args.classes for n in args.words]
    found = [measure(n, c, args.size, args.pairs) for n, c in tqdm(sizes, unit='size')]
    threads = torch.get_num_threads()
    print(f"torch {torch.__version__}, {threads} threads, float32, d = {args.size}, forward and backward\n{HEADER}")
    for f in found:
        ours, theirs, plain = f['memory']
        print(f"{f['n']:5} {f['c']:7} {f['rows']:6}   {f['ratio']:.2f} [{f['low']:.2f}, {f['high']:.2f}] "
              f"{f['of_plain']:13.2f} {f['torch']:11.2f} {f['plain']:5.2f} "
              f"{ours:6.0f} {theirs:7.0f} {plain:7.0f} {ours / theirs:12.2f}")
    slower = [f"{f['n']}×{f['c']}" for f in found if f['ratio'] > 1]
    larger = [f"{f['n']}×{f['c']}" for f in found if f['memory'][0] > MEMORY * f['memory'][1]]
    verdict = lambda missed: 'missed at ' + ', '.join(missed) if missed else 'met'
    print(f"\ntarget, a median time at or below PyTorch's with its best chunk: {verdict(slower)}")
    print(f"target, at most {MEMORY} times its peak memory: {verdict(larger)}")


if __name__ == '__main__': main()
