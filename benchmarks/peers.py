"""What other tools say about the doctor's set-ups: torchtest2, pytest-torch, torcheck and torch-audit, where installed.

They are no requirement of the course, so `make bench` leaves out those that are missing and says so. Each gets the
model, batch, loss and optimizer of a set-up, its checks with the options that its own pages show. It detects a broken
set-up when it complains about anything, and alarms falsely when it complains about a healthy one. Where the training
step itself raises, every tool has the error to show, and that counts as detected; where only the tool raises, it could
not run.
"""
import importlib, io, re, time, warnings
from contextlib import redirect_stderr, redirect_stdout
from importlib import metadata
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from benchmarks.doctor import COLUMNS, SETS, Complaint, arguments, details, doctor, markdown, row, score
from xent_course.doctor.check_training import as_parts, copies, logits_in, loss_in


class Plain(nn.Module):
    "A model, for tools that know no objects: an answer with attributes becomes its logits, or a dict with its loss."
    def __init__(self, model, own_loss):
        super().__init__()
        self.model, self.own_loss, self.training = model, own_loss, model.training
    def forward(self, *args, **kwargs):
        out = self.model(*args, **kwargs)
        if self.own_loss: return dict(logits=logits_in(out), loss=loss_in(out))
        return out if isinstance(out, (Tensor, tuple, list)) else logits_in(out)


def prepared(s):
    "Model, inputs, target, loss and optimizer, as all of them take it; of several micro-batches the first."
    part, own = as_parts(s.model, s.batch)[0], s.loss_func is None
    inputs = part.kwargs or part.args
    if own and part.key: inputs = {**part.kwargs, part.key: part.target}
    model = Plain(s.model, own)
    if any(isinstance(w, nn.UninitializedParameter) for w in model.parameters()): call(model, inputs)
    weights = [*model.parameters()]
    opt = s.opt or torch.optim.Adam([w for w in weights if w.requires_grad] or weights, 1e-3)
    loss = (lambda out, target: out['loss']) if own else s.loss_func
    return SimpleNamespace(model=model, inputs=inputs, target=part.target, loss=loss, opt=opt, own=own)


def call(model, inputs): return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


def step(p, forward=None, backward=Tensor.backward, update=None):
    "A step of training, each part of which a tool may do in its own way."
    p.opt.zero_grad()
    backward(p.loss(call(forward or p.model, p.inputs), p.target))
    (update or p.opt.step)()


def torchtest2(p):
    "Its one call."
    kw = {} if p.own else dict(loss_fn=p.loss, targets=p.target)
    report = importlib.import_module('torchtest2').check_model(p.model, p.inputs, optimizer=p.opt, **kw)
    return [Complaint(severity, r.name, r.message) for severity, results in
            (('error', report.failures), ('warning', report.warnings)) for r in results]


def pytest_torch(p):
    "Its contract of inference, its suite for training, and three recorded steps with the optimizer."
    tool, loss = importlib.import_module('pytest_torch'), lambda out: p.loss(out, p.target)
    report = tool.check_inference_contract(copied(p.model).eval(), p.inputs, raise_on_failure=False)
    looks = {f: lambda f=f: getattr(tool, f)(copied(p.model), p.inputs, loss) for f in (
        'assert_gradients_finite', 'assert_all_params_receive_grad', 'assert_loss_decreases',
        'assert_overfits_one_batch')}
    looks['run_training'] = lambda: tool.run_training(
        lambda: (p.model, p.opt), p.inputs, loss_fn=lambda m, x: loss(call(m, x)), steps=3).assert_healthy()
    said = {name: asserted(look) for name, look in looks.items()}
    return [Complaint('error', rule, message) for rule, message in
            (*((r.name, r.message) for r in report.failures), *said.items()) if message]


def copied(model): return copies(model)[0]


def asserted(look):
    "The words of an assertion that does not hold."
    try: look()
    except AssertionError as e: return str(e)


def torcheck(p):
    "All that is trained changes in each of three steps and stays finite; what is given is not all between 0 and 1."
    registry = importlib.import_module('torcheck.registry').Registry()
    one_output = isinstance(call(copied(p.model), p.inputs), Tensor)
    registry.register(p.opt)
    try:
        for name, w in p.model.named_parameters():
            if w.requires_grad: registry.add_tensor(w, name, changing=True, check_nan=True, check_inf=True)
        if one_output: registry.add_module_output_range_check(p.model, output_range=(0, 1), negate_range=True)
        for _ in range(3): step(p)
    except RuntimeError as e:
        rule = re.search("should(n't)?( not)?( all| change)|contains (NaN|inf)|doesn't belong", str(e))
        if not rule: raise
        return [Complaint('error', rule[0], str(e))]
    return []


def torch_audit(p):
    """An audit of each of three steps. What it calls INFO is no complaint, nor is TA2xx, about hardware, nor
    TA000, a crash of a check of its own."""
    tool, silent = importlib.import_module('torch_audit'), dict(reporters=[], every_n_steps=1)
    with tool.audit_dynamic(p.model, optimizer=p.opt, **silent) as audit:
        for _ in range(3): step(p, audit.forward, audit.backward, audit.optimizer_step)
    report, severities = audit.finish(report=False), dict(WARN='warning', ERROR='error', FATAL='error')
    found = {(f.rule_id, f.severity.value): f.message for f in report.findings}
    return [Complaint(severities[level], f'{rule} {report.rules[rule].title}', said)
            for (rule, level), said in found.items() if level in severities and rule[:3] != 'TA2' and rule != 'TA000']


PEERS = {'torchtest2': torchtest2, 'pytest-torch': pytest_torch, 'torcheck': torcheck, 'torch-audit': torch_audit}


def version(name):
    "Of an installed distribution, '' if there is none."
    try: return metadata.version(name)
    except metadata.PackageNotFoundError: return ''


def looking(tool):
    "A look with a tool, as score takes it."
    def look(s):
        p = prepared(s)
        spare = SimpleNamespace(**vars(p) | dict(zip(('model', 'loss', 'opt'), copies(p.model, p.loss, p.opt))))
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()): return tool(p)
        except Exception:  # noqa: BLE001 - raised again, unless the training step raises as well
            try: step(spare)
            except Exception as e: return [Complaint('error', 'raises', str(e))]  # noqa: BLE001 - any error of a user
            raise
    return look


def scored(look, sets, seeds):
    "A tool's results on each set, and the seconds that they took."
    began = time.perf_counter()
    return {of: score(look, SETS[of], seeds) for of in sets}, time.perf_counter() - began


def cells(name, results):
    "A row of the table. The older sets name a fault by our own rules, which no other tool has."
    c = dict(zip(COLUMNS, row(results)))
    if name != 'check_training' and any(r.kind and r.apart is None for r in results): c['named'] = '–'
    return [name, *c.values(), sum(bool(r.failed) for r in results)]


def main():
    args = arguments(__doc__, SETS).parse_args()
    warnings.simplefilter('ignore')
    missing = [name for name in PEERS if not version(name)]
    for name in missing: print(f'{name} is not installed: pip install {name} adds its row')
    if len(missing) == len(PEERS): return
    looks = {f'{name} {version(name)}': looking(tool) for name, tool in PEERS.items() if name not in missing}
    results = {name: scored(look, args.sets, args.seeds)
               for name, look in {'check_training': doctor, **looks}.items()}
    for of in args.sets:
        print(f'\n{of}\n\n' + markdown(['tool', *COLUMNS, 'could not run'],
                                      [cells(name, found[of]) for name, (found, _) in results.items()]))
    print('\nseconds: ' + ', '.join(f'{name} {took:.0f}' for name, (_, took) in results.items()))
    for name, (found, _) in results.items():
        for of, rs in found.items(): print(f'\n{name}, {of}\n\n{details(rs)}')


if __name__ == '__main__': main()
