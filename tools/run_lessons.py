"Run notebooks from top to bottom, each in a fresh Jupyter kernel, and say how each one went."
import argparse, ast, os, re, sys, tempfile, time
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
ROOMS = 'lessons', 'further', 'doctor', 'support'


@dataclass
class Run:
    "How one notebook went."
    path: Path
    notebook: nbformat.NotebookNode
    seconds: float
    problem: str = ''  # empty when every cell ran

    @property
    def result(self):
        "A line's worth of how it went."
        return self.problem.splitlines()[0] if self.problem else 'ok'


def lessons():
    "Every notebook of the course, in reading order."
    return [ROOT/'nbs'/'index.ipynb', *(path for name in ROOMS for path in room(name))]


def room(name):
    "The notebooks of one room, in order: 'lessons' is the spine."
    return sorted(path for path in (ROOT/'nbs'/name).rglob('*.ipynb') if '.ipynb_checkpoints' not in path.parts)


def run_lesson(path, env=None, timeout=1800, on_cell=lambda: None):
    "Run the notebook at `path` in a fresh kernel, in the environment `env` if given; call `on_cell` before each cell."
    nb = nbformat.read(path, as_version=4)
    current = 0

    def started(cell, cell_index, **kwargs):
        nonlocal current
        current = cell_index
        on_cell()

    client = NotebookClient(nb, timeout=timeout, kernel_name='python3', on_cell_start=started, store_widget_state=False,
                            resources={'metadata': {'path': str(path.parent)}})
    start, problem = time.time(), ''
    try: client.execute(env=dict(os.environ if env is None else env))
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as e:
        error = next((o for o in nb.cells[current].get('outputs', []) if o.output_type == 'error'), None)
        name = f'{error.ename}: {error.evalue}' if error else f'{type(e).__name__}'
        first = name.splitlines()[0] if name.splitlines() else name
        problem = f'cell {current + 1} of {len(nb.cells)} failed: {first}\n\n{nb.cells[current].source}\n\n{e}'
    return Run(path, nb, time.time() - start, problem)


def run_alone(notebook, name='notebook.ipynb', **kwargs):
    "Run a notebook in an empty folder, as whoever was given that one file does."
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(notebook, Path(folder)/name)
        return run_lesson(Path(folder)/name, **kwargs)


def without(flag, notebook):
    "The notebook less the code cells that are marked so: 'study' or 'slow'."
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type != 'code' or f'#| {flag}\n' not in cell.source]
    return notebook


FEW_DIGITS = """
from xent_course.support import digits
load, hold = digits.load_digits, digits.hold_out
digits.load_digits = lambda: tuple(part[:600] for part in load())
digits.hold_out = lambda part, n=2000, seed=0: hold(part, min(n, len(part) // 3), seed)"""


class Unasserted(ast.NodeTransformer):
    "Code that claims nothing."
    def visit_Assert(self, node): return ast.Pass()

    def visit_Expr(self, node):
        claims = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ('assert_close', 'test_fail')
        return ast.Pass() if claims else node


def cut_down(notebook):
    "The notebook on 600 digits, without its claims: what they show is not what the text is about, but everything runs."
    for cell in notebook.cells:
        if cell.cell_type == 'code' and 'google.colab' not in cell.source:
            cell.source = ast.unparse(Unasserted().visit(ast.parse(cell.source)))
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FEW_DIGITS))
    return notebook


def is_stub(source):
    "Whether a code cell waits for a reader's answer to an exercise."
    return bool(re.search(r"^(if )?check\('[^']+', \w+\)", source, re.M))


def save(run):
    """Write a notebook with its outputs, but for two kinds. The places of widgets live no longer than their kernel:
    pages show what stands beside them. And what an exercise says to an answer that nobody has given yet would solve
    "find the bug"."""
    for cell in run.notebook.cells:
        if is_stub(cell.source): cell.outputs = []
        for output in cell.get('outputs', []):
            output.get('data', {}).pop('application/vnd.jupyter.widget-view+json', None)
    nbformat.write(run.notebook, run.path)


def tagged_output(nb, tag):
    "The text that the cell with this tag gave, or ''."
    cells = (c for c in nb.cells if tag in c.metadata.get('tags', []))
    return ' '.join(o.get('text', '') or o.get('data', {}).get('text/plain', '')
                    for c in cells for o in c.get('outputs', [])).strip()


def main():
    "Run the lessons named on the command line, or all."
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('notebooks', nargs='*', type=Path, help='which ones (default: all)')
    parser.add_argument('--save', action='store_true', help='write the outputs into the notebooks')
    parser.add_argument('--alone', action='store_true', help='run each in an empty folder')
    args = parser.parse_args()
    if args.save and args.alone:
        parser.error('--save writes where a notebook lies, and --alone runs a copy: choose one')

    paths = [p.resolve() for p in args.notebooks] or lessons()
    missing = [str(p) for p in paths if not p.is_file()]
    if missing: parser.error(f"no such notebook: {', '.join(missing)}")
    runs = []
    with tqdm(total=sum(len(nbformat.read(p, as_version=4).cells) for p in paths), unit='cell') as bar:
        for path in paths:
            bar.set_description(path.stem)
            if args.alone: run = run_alone(nbformat.read(path, as_version=4), path.name, on_cell=bar.update)
            else: run = run_lesson(path, on_cell=bar.update)
            runs.append(run)
            if args.save and not run.problem: save(run)

    width = max(len(r.path.stem) for r in runs)
    print(f"\n{'lesson':{width}}  seconds  result")
    for r in runs: print(f'{r.path.stem:{width}}  {r.seconds:7.1f}  {r.result}')
    accuracy = tagged_output(runs[-1].notebook, 'accuracy') if len(runs) == 1 else \
        next(filter(None, (tagged_output(r.notebook, 'accuracy') for r in runs)), '')
    if accuracy: print(f'\n{accuracy}')
    failed = [r for r in runs if r.problem]
    for r in failed: print(f"\n{'-' * 80}\n{r.path.name}: {r.problem}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == '__main__': sys.exit(main())
