"The benchmarks run, and our loss needs no more memory than torch's where it matters. No test judges times."
import re, subprocess, sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from benchmarks import doctor, peers
from benchmarks import loss as bench
from benchmarks.doctor import Complaint, counts, details, score, share
from benchmarks.setups import Apply, SetUp, blobs, dev, mlp, new_dev, sgd
from benchmarks.setups.parts import Fault, WithLoss

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


@pytest.mark.study
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


def plain(): model = mlp(4, 3); return SetUp(model, blobs(), opt=sgd(model))
def noisy(): return plain()
def sleepy(): return plain()
def missed(): return plain()
def broken(): return SetUp(mlp(4, 9, 3), blobs(), lambda x, t: cross_entropy(x, t.float()))


FAULTS = [Fault('a kind', f, twin, 'a cause', ('upside down',)) for f, twin in (
    (broken, plain), (noisy, sleepy), (missed, plain))]
EXAMPLES = SimpleNamespace(BROKEN=FAULTS, HEALTHY=[plain, sleepy])


def test_scores_are_counted():
    "One fault is named; one is found by a warning that its twin has, too; on one the look fails."
    def look(s):
        say = looked[calls.pop(0)]
        if say is None: raise TypeError('no such input')
        return say
    calls, warning = [*range(5)], [Complaint('warning', 'slow', 'it is slow')]
    looked = [[], warning, [Complaint('error', 'weights', 'The weights are upside-down.')], warning, None]
    results = score(look, EXAMPLES)
    assert list(counts(results).values()) == [3, 2, 1, 1, 1, 2, 0, 1]
    said = details(results)
    assert 'alarms: sleepy (warning slow)' in said and 'could not run: missed (TypeError: no such input)' in said
    assert 'found, but not named: noisy (warning slow)' in said and 'missed: none' in said
    assert share(0, 20) == '0 (0 to 16 %)' and share(43, 46) == '43 (82 to 98 %)' and share(None, 5) == '–'


def test_older_faults_are_named_by_their_rules():
    kind, make = dev.BROKEN[0]
    one = SimpleNamespace(BROKEN=[(kind, make)], HEALTHY=[])
    result, = score(doctor.doctor, one)
    assert result.named and result.apart is None and counts([result])['told apart'] is None
    assert f'| {kind} | 1 | 1 | 1 |' in doctor.by_kind([result])


def test_a_newer_fault_is_named_by_its_words():
    fault = next(f for f in new_dev.BROKEN if f.make.__name__ == 'optimizer_then_head')
    result, twin = score(doctor.doctor, SimpleNamespace(BROKEN=[fault], HEALTHY=[fault.twin]))
    assert result.named and result.apart and not twin.found


def test_peers_get_what_they_take():
    "Logits, or a dict with the model's own loss. What a training step raises is said, what only a tool raises is not."
    answers = plain()
    answers.model = Apply(answers.model, lambda x: SimpleNamespace(logits=x))
    words = torch.randint(12, (4, 6))
    own = SetUp(WithLoss(torch.nn.Embedding(12, 12)), dict(input_ids=words, labels=words), None)
    for s in plain(), answers, own: peers.step(peers.prepared(s))
    def failing(p): raise NotImplementedError
    with pytest.raises(NotImplementedError): peers.looking(failing)(plain())
    assert [c.rule for c in peers.looking(failing)(broken())] == ['raises']


@pytest.mark.parametrize('name', peers.PEERS)
def test_peer(name):
    "Each that is installed finds a layer without gradient where it looks for one, or at least runs."
    if not peers.version(name): pytest.skip(f'{name} is not installed')
    look = peers.looking(peers.PEERS[name])
    look(plain())
    model = mlp(4, 9, 3)
    model.unused = torch.nn.Linear(9, 9)
    model.forward = lambda x: model[2](model[1](model[0](x)))
    assert look(SetUp(model, blobs(), opt=sgd(model)))


def test_peers_bench_says_who_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(peers, 'version', lambda name: '')
    monkeypatch.setattr(sys, 'argv', ['peers', '--set', 'dev'])
    peers.main()
    assert capsys.readouterr().out.count('is not installed') == 4


def test_doctor_bench_prints(monkeypatch, capsys):
    monkeypatch.setitem(doctor.SETS, 'dev', SimpleNamespace(BROKEN=dev.BROKEN[:2], HEALTHY=dev.HEALTHY[:2]))
    monkeypatch.setattr(sys, 'argv', ['doctor', '--set', 'dev', '--kinds'])
    doctor.main()
    out = capsys.readouterr().out
    assert re.search(r'^\| dev \| 2 \| 2 \(34 to 100 %\) \|', out, flags=re.M) and '- alarms: none' in out
