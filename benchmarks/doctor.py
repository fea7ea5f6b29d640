"How often diagnose and check_training detect the known fault of a set-up, kind by kind, and their false positives."
import argparse, warnings

import torch

from benchmarks import setups
from benchmarks.setups import dev, held_out
from xent_course.doctor.check_training import check_training
from xent_course.doctor.diagnose import Certain, diagnose

SETS = {'dev': dev, 'held_out': held_out}
LOOKERS = 'diagnose', 'check_training', 'either'


def findings(make, seed):
    "What each of the lookers finds; check_training's own findings without those that diagnose has already."
    def fresh():
        torch.manual_seed(seed)
        return make()
    s = fresh()
    *inputs, target = s.batch[0] if isinstance(s.batch, list) else s.batch
    looked = diagnose(s.model(*inputs), target, s.loss_func, verbose=False)
    s = fresh()
    checked = check_training(s.model, s.batch, s.loss_func, s.opt, verbose=False)
    seen = {f.name for f in looked}
    return dict(zip(LOOKERS, (looked, [f for f in checked if f.name not in seen], checked)))


def recall(examples, seeds):
    "Kind -> number of broken set-ups, and how many of them each looker finds; the names of those that are missed."
    table, missed = {kind: [0] * 4 for kind in setups.KINDS}, []
    for seed in seeds:
        for kind, make in examples.BROKEN:
            detected = {who: any(f.name in setups.KINDS[kind] for f in found)
                        for who, found in findings(make, seed).items()}
            table[kind] = [n + more for n, more in zip(table[kind], [1, *detected.values()])]
            if not detected['either']: missed.append(f'{make.__name__} (seed {seed})')
    return table, missed


def false_positives(examples, seeds):
    "What is found in healthy set-ups: (name of the set-up, finding) for each."
    return [(f'{make.__name__} (seed {seed})', f)
            for seed in seeds for make in examples.HEALTHY for f in findings(make, seed)['either']]


def markdown(table):
    "The recall, as a table."
    rows = ['| kind of fault | set-ups | `diagnose` | `check_training`\'s own | together |', '|---|--:|--:|--:|--:|']
    rows += [f'| {kind} | ' + ' | '.join(map(str, counts)) + ' |' for kind, counts in table.items()]
    total = [sum(column) for column in zip(*table.values())]
    return '\n'.join([*rows, '| **all** | ' + ' | '.join(f'**{n}**' for n in total) + ' |'])


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--set', choices=SETS, default='held_out',
                   help='the set-ups that the doctor was made with, or those that it was scored on')
    p.add_argument('--seeds', type=int, nargs='+', default=[0], help='each makes other data and other weights')
    args = p.parse_args()
    warnings.simplefilter('ignore')
    examples, label = SETS[args.set], args.set.replace('_', '-')
    table, missed = recall(examples, args.seeds)
    wrong, healthy = false_positives(examples, args.seeds), len(examples.HEALTHY) * len(args.seeds)
    print(markdown(table))
    certain = [name for name, f in wrong if isinstance(f, Certain)]
    suspected = {name for name, f in wrong} - set(certain)
    broken, found = sum(c[0] for c in table.values()), sum(c[3] for c in table.values())
    print(f'\nbroken, {label} set: {found} of {broken} detected ({found / broken:.1%}); '
          f'missed: {", ".join(missed) or "none"}')
    print(f'healthy, {label} set: false positives in {len(set(certain))} of {healthy} certain, '
          f'in {len(suspected)} suspected ({len(suspected) / healthy:.1%})'
          f'{": " if wrong else ""}{", ".join(f"{name}: {f.name}" for name, f in wrong)}')


if __name__ == '__main__': main()
