"""How often check_training finds and names the known fault of a set-up, and how often it alarms at a healthy one.

A broken set-up counts as detected when anything is found in it, as told apart when something is found that is not found
in its healthy twin (the newer sets have one), and as named when a finding says the cause. `score` takes any `look`, a
function of a set-up that gives what it complains about: benchmarks.peers looks with other tools.
"""
import argparse, warnings
from typing import NamedTuple

import torch
from scipy.stats import binomtest

from benchmarks import setups
from benchmarks.setups import dev, held_out, later, new_dev, new_held_out
from xent_course.doctor.check_training import check_training

SETS = {'dev': dev, 'held_out': held_out, 'new_dev': new_dev, 'new_held_out': new_held_out, 'later': later}
COLUMNS = 'broken', 'detected', 'as an error', 'told apart', 'named', 'healthy', 'false errors', 'false warnings'


class Complaint(NamedTuple):
    severity: str  # error or warning
    rule: str
    message: str


class Seen(NamedTuple):
    "What a look at a set-up gave."
    name: str
    kind: str  # of the fault, '' for a healthy set-up
    found: list
    named: bool = False
    apart: bool = None  # None for a set-up without a twin
    failed: str = ''  # why the look could not run

    @property
    def rules(self): return ', '.join(f'{c.severity} {c.rule}' for c in self.found)
    def has(self, severity): return any(c.severity == severity for c in self.found)


def doctor(s):
    "What check_training, which asks diagnose too, finds in a set-up."
    report = check_training(s.model, s.batch, s.loss_func, s.opt, verbose=False)
    return [Complaint(f.severity, f.rule, f.message) for f in report]


def names(fault):
    "Whether a complaint names the fault: by its words, or where it has none by the rules of its kind."
    if hasattr(fault, 'named'): return lambda c: fault.named(f'{c.rule}: {c.message}')
    return lambda c: c.rule in setups.KINDS[fault[0]]


def seen(look, make, seed, kind=''):
    "A look at a fresh set-up. One that fails is kept: it has found nothing, and the report says so."
    name = make.__name__ + (f' (seed {seed})' if seed else '')
    torch.manual_seed(seed)
    s = make()
    try: return Seen(name, kind, look(s))
    except Exception as e:  # noqa: BLE001 - a tool may raise anything, and one that does has a column
        return Seen(name, kind, [], failed=f'{type(e).__name__}: {e}'.split('\n')[0][:120])


def judged(result, fault, twins):
    "A look at a broken set-up, and whether it names the fault and tells it from its twin."
    rules = lambda found: {(c.severity, c.rule) for c in found}
    twin = twins[fault.twin] if hasattr(fault, 'twin') else None
    return result._replace(named=any(map(names(fault), result.found)),
                           apart=twin and bool(rules(result.found) - rules(twin.found)))


def score(look, examples, seeds=(0,)):
    "All broken set-ups and all healthy ones, each looked at."
    results = []
    for seed in seeds:
        healthy = {make: seen(look, make, seed) for make in examples.HEALTHY}
        results += [judged(seen(look, fault[1], seed, fault[0]), fault, healthy) for fault in examples.BROKEN]
        results += healthy.values()
    return results


def counts(results):
    "The numbers of a table's row: of the broken set-ups, and of the healthy ones on which the look could run."
    broken, ran = [r for r in results if r.kind], [r for r in results if not r.kind and not r.failed]
    errors = sum(r.has('error') for r in ran)
    twins = all(r.apart is not None for r in broken)
    return dict(zip(COLUMNS, (
        len(broken), sum(bool(r.found) for r in broken), sum(r.has('error') for r in broken),
        sum(r.apart for r in broken) if twins else None, sum(r.named for r in broken),
        len(ran), errors, sum(bool(r.found) for r in ran) - errors)))


def share(k, n):
    "A number, and Wilson's 95 % interval for the share in percent."
    if k is None or not n: return '–'
    low, high = binomtest(k, n).proportion_ci(method='wilson')
    return f'{k} ({100 * low:.0f} to {100 * high:.0f} %)'


def row(results):
    "The cells of a table's row."
    c = counts(results)
    return [c['broken'], *(share(c[k], c['broken']) for k in COLUMNS[1:5]),
            c['healthy'], *(share(c[k], c['healthy']) for k in COLUMNS[6:])]


def markdown(head, rows):
    "A table, its first column text and the others numbers."
    lines = [head, ['---', *['--:'] * (len(head) - 1)], *rows]
    return '\n'.join(f'| {" | ".join(map(str, line))} |' for line in lines)


def by_kind(results):
    "Set-ups, detected and named of each kind of fault, and of all."
    kinds = dict.fromkeys(r.kind for r in results if r.kind)
    groups = {kind: [r for r in results if r.kind == kind] for kind in kinds} | {'**all**': results}
    columns = 'broken', 'detected', 'named'
    return markdown(['kind of fault', *columns],
                    [[kind, *(counts(group)[c] for c in columns)] for kind, group in groups.items()])


def details(results):
    "What is missed, what is found without its name, what alarms, what could not run."
    lists = {
        'missed': [r.name for r in results if r.kind and not r.found and not r.failed],
        'found, but not named': [f'{r.name} ({r.rules})' for r in results if r.kind and r.found and not r.named],
        'alarms': [f'{r.name} ({r.rules})' for r in results if not r.kind and r.found],
        'could not run': [f'{r.name} ({r.failed})' for r in results if r.failed]}
    return '\n'.join(f'- {what}: {"; ".join(items) or "none"}' for what, items in lists.items())


def arguments(text, sets):
    "Options that this benchmark and that of the peers have in common."
    p = argparse.ArgumentParser(description=text.split('\n')[0])
    p.add_argument('--set', dest='sets', choices=SETS, nargs='+', default=list(sets),
                   help='dev and new_dev the doctor was made with, the held-out ones it is scored on')
    p.add_argument('--seeds', type=int, nargs='+', default=[0], help='each makes other data and other weights')
    p.add_argument('--kinds', action='store_true', help='also a table with a row for each kind of fault')
    return p


def main():
    args = arguments(__doc__, SETS).parse_args()
    warnings.simplefilter('ignore')
    results = {name: score(doctor, SETS[name], args.seeds) for name in args.sets}
    print(markdown(['set', *COLUMNS], [[name, *row(rs)] for name, rs in results.items()]))
    for name, rs in results.items():
        print(f'\n{name}', details(rs), *[by_kind(rs)] * args.kinds, sep='\n\n')


if __name__ == '__main__': main()
