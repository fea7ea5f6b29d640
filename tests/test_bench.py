"The benchmark runs, and our loss needs no more memory than torch's where it matters."
import importlib.util, re, subprocess, sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location('bench', ROOT/'tools'/'bench.py')
bench = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bench)


def test_bench_prints_and_draws(tmp_path):
    run = subprocess.run([sys.executable, ROOT/'tools'/'bench.py', '--rows', '64', '128', '--classes', '10', '1000', '--budget', '.2', '--picture', tmp_path/'b.png'],
                         capture_output=True, text=True, check=True)
    assert len(re.findall(r'^ +(?:64|128) +(?:10|1000) +\d', run.stdout, flags=re.M)) == 4
    assert 'all: forward median' in run.stdout and 'target, forward+backward' in run.stdout and 'beyond torch' in run.stdout
    assert (tmp_path/'b.png').read_bytes().startswith(b'\x89PNG')


def test_training_bench_prints():
    "On too few images to learn much; with all of them it takes a minute a pair or two."
    run = subprocess.run([sys.executable, ROOT/'tools'/'bench_training.py', '--seeds', '3', '4', '--images', '300'], capture_output=True, text=True, check=True)
    rows = re.findall(r'^ (ours|the book) +([\d.]+) +([\d.]+) +([\d,]+) +\[(\d+), (\d+)\]$', run.stdout, flags=re.M)
    assert [row[0] for row in rows] == ['ours', 'the book'] and all(float(seconds) > 0 for _, seconds, *_ in rows)
    assert re.search(r'median of the pairs: [\d.]+ times the seconds, [\d.]+ times the mistakes .*, 181 times the weights', run.stdout)


def test_peak_bytes_counts():
    "On a loss whose needs are known: the logits are copied once forwards, and once more backwards."
    x, t = torch.randn(1000, 100, requires_grad=True), torch.zeros(1000).long()
    assert 2 <= bench.peak_bytes(lambda x, t: x.exp().sum(), x, t) / (4 * x.numel()) < 2.1


def test_memory_and_time():
    "Memory is the same on every machine. Time is not: `make bench` reports it, and here it is only kept from running away."
    cell = bench.measure(1024, 1000, budget=1)
    assert cell['memory'] <= bench.TARGET and cell['both'] < 3
