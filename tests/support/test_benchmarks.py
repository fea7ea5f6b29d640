"The benchmarks run, and our loss needs no more memory than torch's where it matters. No test judges times."
import re, subprocess, sys
from pathlib import Path

import pytest
import torch

from benchmarks import loss as bench

ROOT = Path(__file__).resolve().parents[2]


def printed(name, *options):
    "What a benchmark prints."
    command = [sys.executable, '-m', f'benchmarks.{name}', *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_bench_prints():
    out = printed('loss', *'--sizes 64x10 128x1000 --budget .02 --threads 1'.split())
    rows = re.findall(r'^(\w+)((?:, \w+)*) +(64×10|128×1000) +\d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\]', out, flags=re.M)
    assert len(rows) == 2 * len(bench.CASES) and {name for name, *_ in rows} == set(bench.LOSSES)
    marked = sum('MISSED: time' in line for line in out.splitlines())
    assert re.search(rf'^1 threads: {marked} of \d+ times and \d+ peaks of memory miss their targets$', out, flags=re.M)
    assert re.search(r'at 64×10, -?\d+% is checking the arguments$', out, flags=re.M) and 'beyond torch' in out


def test_targets_are_those_that_were_set():
    assert [bench.target('cross_entropy', n) for n in (640, 1e5, 1e6)] == [3, 1.2, 1]
    assert [bench.target(name, 1e5) for name in ('softmax', 'log_softmax', 'nll_loss')] == [2, 1.5, 1.5]
    assert bench.target('softmax', 640) is None


@pytest.mark.slow
def test_linear_bench_prints():
    out = printed('linear', *'--words 256 512 --classes 1000 --pairs 3'.split())
    rows = re.findall(r'^ +(?:256|512) +1000 +\d+ +\d\.\d\d \[\d\.\d\d, \d+\.\d\d\]', out, flags=re.M)
    if not hasattr(torch.nn, 'LinearCrossEntropyOptions'): assert 'it came with 2.13' in out
    else: assert len(rows) == 2 and out.count('target, ') == 2


@pytest.mark.slow
def test_training_bench_prints():
    "On too few images to learn much; with all of them it takes a minute a pair or two."
    out = printed('training', *'--seeds 3 4 --images 300'.split())
    row = r'^ (ours|the book) +[\d.]+ +\[[\d.]+, [\d.]+\] +[\d.]+ +[\d,]+ +\[\d+, \d+\]$'
    assert re.findall(row, out, flags=re.M) == ['ours', 'the book']
    assert re.search(r'^ tensors, in slices, moved +[\d,]+ +[\d.]+ \[[\d.]+, [\d.]+\]$', out, flags=re.M)
    assert re.search(r'median of the pairs: [\d.]+ times the seconds, [\d.]+ times the errors '
                     r'.*, 181 times the weights', out)


@pytest.mark.parametrize('case', bench.CASES, ids=', '.join)
def test_memory(case):
    "It is the same on every machine."
    ours, theirs = map(bench.peak_bytes, bench.calls(case, 4096, 1000))
    assert ours <= bench.MEMORY * theirs
