"Thirty notebooks that come back: right, wrong, broken, endless, hostile; each is graded, and none stops the others."
import json, re, shutil, sys
from copy import deepcopy
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from xent_course import __version__
from xent_course.support.grade import (COLUMNS, can_be_offline, course, exercises_of, files_in, for_spreadsheets,
                                       grade, main, needed, part_of, parts_of, summary)
from xent_course.support.marking import _exercises as exercises, _sent, load_exercises, mark, mark_sent
from xent_course.support.student import ASKS, find_lesson, read, section, student

load_exercises()
LESSON = read(find_lesson('02'))
HANDOUT = student(LESSON)
ASKED = '2.1', '2.2', '2.3', '2.4'
SOLVED = dict(zip(ASKED, (cell.source.replace(', strict=True', '')
                          for cell in LESSON.cells[section(LESSON.cells, 'Solutions')][1:])))
LINUX = sys.platform == 'linux'  # the others keep no bound on memory
CHECK = "\ncheck('2.1', rows_softmax)"
RIGHT = 'def rows_softmax(x): return x.softmax(1)'
WRONG_AXIS = 'def rows_softmax(x): return x.softmax(0)'


def stub(nb, name): return next(cell for cell in nb.cells if name in ASKS.findall(cell.source))


def handed_in(first=SOLVED['2.1'], only=False, **more):
    "The handout with this answer to 2.1, and the solutions of the others, or without the others."
    nb = deepcopy(HANDOUT)
    for name in ASKED: stub(nb, name).source = SOLVED[name]
    stub(nb, '2.1').source = first
    if only: nb.cells = [cell for cell in nb.cells if not set(ASKED[1:]) & set(ASKS.findall(cell.source))]
    return nb


def only(code): return handed_in(code, only=True)


def edited():
    "The lesson's softmax is spoiled, its first cells are gone, and a helper above the answer uses its logits."
    nb = handed_in('def rows_softmax(x): return helper(x.exp())' + CHECK)
    for cell in nb.cells:
        if 'def softmax' in cell.source: cell.source = 'def softmax(x): return x'
    del nb.cells[2:6]
    place = nb.cells.index(stub(nb, '2.1'))
    helper = 'import numpy as np\ndef helper(e): return e / e.sum(int(np.int64(1)), keepdim=True) + 0 * logits[0, 0]'
    nb.cells.insert(place, new_code_cell(helper))
    nb.cells.insert(place, new_code_cell('no such name'))
    return nb


def forged():
    "A wrong answer with the tick of a right one below it."
    nb = only(WRONG_AXIS + CHECK)
    stub(nb, '2.1').outputs = [new_output('execute_result', {'text/plain': '✓ Right: each row adds up to 1.'})]
    return nb


def old():
    nb = only(RIGHT + CHECK)
    nb.metadata['xent_course'] = {'version': '0.1.0'}
    return nb


def in_r():
    nb = deepcopy(HANDOUT)
    nb.metadata['kernelspec'] = {'name': 'ir', 'language': 'R', 'display_name': 'R'}
    return nb


FORGE = '''
import json, re
folder = get_ipython().user_ns['folder']
for number in range(99):
    sent = {'2.1': {'outcomes': [], 'called': '', 'passed': True}}
    (folder/f'{number}.json').write_text(json.dumps(sent))
raise SystemExit
''' + CHECK
MONKEY = '''
import torch, xent_course.support.marking as marking
torch.isclose = torch.equal = lambda *a, **k: torch.tensor(True)
for name in ('mark', 'check', '_judged', '_difference', 'mark_sent', '_received'):
    setattr(marking, name, lambda *a, **k: '')
def check(*a, **k): return True
''' + WRONG_AXIS + CHECK
PEEK = '''
from xent_course.support.exercises.softmax import exercises
from xent_course.support.marking import _exercises
rows_softmax = _exercises['2.1'].right
''' + CHECK
NETWORK = '''
import socket
def rows_softmax(x):
    try: socket.create_connection(('127.0.0.1', 9), timeout=1)
    except ConnectionRefusedError: return x
    except OSError: return x.softmax(1)
''' + CHECK

# Who -> the notebook, or what the file holds; whether 2.1 is right; and what its hint or note says
CLASS = {
    'all right': (handed_in(), True, ''),
    'edited': (edited(), True, ''),
    'wrong axis': (only(WRONG_AXIS + CHECK), False, 'each column adds up to 1'),
    'wrong shape': (only("check('2.1', lambda x: x.softmax(1).sum(1))"), False, 'The shape should be (6, 2)'),
    'other way': (only("def mine(x): return x.softmax(1)\nverdict = check(answer=mine, name='2.1')"), True, ''),
    'renamed': (only("def mine(x): return x.softmax(1)\nif check('2.1', mine): print('!')"), True, ''),
    'unanswered': (HANDOUT, False, 'unchanged'),
    'syntax': (handed_in('def rows_softmax(x: return x' + CHECK), False, 'SyntaxError'),
    'endless': (handed_in('def rows_softmax(x):\n    while True: pass' + CHECK), False, 'still running'),
    'exits': (handed_in('def rows_softmax(x):\n    import os; os._exit(0)' + CHECK), False, 'it ended the kernel'),
    'leaves': (only('exit()\ndef rows_softmax(x): raise SystemExit' + CHECK), False, 'raised SystemExit'),
    'killed': (only('import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\nrows_softmax = 3' + CHECK), False, ''),
    'hog': (only('hog = bytearray(5 * 2**30)\n' + RIGHT + CHECK), not LINUX, 'MemoryError' if LINUX else ''),
    'deletes': (only('import os, shutil\nfor f in os.listdir("."): os.remove(f)\nshutil.rmtree(os.getcwd())\n'
                     'print("x" * 10**8)\nos.write(1, b"y" * 10**6)\n' + RIGHT + CHECK), True, ''),
    'import': (only('import no_such_module\n' + RIGHT + CHECK), False, 'ModuleNotFoundError'),
    'monkey': (only(MONKEY), False, 'each column adds up to 1'),
    'forged': (forged(), False, 'each column adds up to 1'),
    'forged data': (only(FORGE), False, 'cannot be compared'),
    'peeks': (only(PEEK), False, 'ModuleNotFoundError'),
    'network': (only(NETWORK), can_be_offline(), ''),
    'markdown': (only("def rows_softmax(x): raise ValueError('<b> | <script>\\n')" + CHECK), False, '<b> | <script>'),
    'deleted': (handed_in('1 + 1'), False, 'missing: no cell'),
    'old': (old(), True, 'made with version 0.1.0'),
    'R': (in_r(), None, 'written in R'),
    'huge': (b' ' * 50 * 2**20, None, '50 MB, and at most 20 are read'),
    'json': (b'{"cells": [', None, 'not a notebook: NotJSONError'),
    'no cells': (b'[1, 2]', None, 'not a notebook'),
    'deep': (b'[' * 100_000, None, 'not a notebook'),
    'latin': ('{"cells": ["\xe9"]}'.encode('latin-1'), None, 'not a notebook'),
}


@pytest.fixture(scope='module')
def graded(tmp_path_factory):
    "The rows of the whole class."
    folder = tmp_path_factory.mktemp('class')
    for who, (what, *_) in CLASS.items():
        if isinstance(what, bytes): (folder/f'{who}.ipynb').write_bytes(what)
        else: nbformat.write(what, folder/f'{who}.ipynb')
    (folder/'by mail').mkdir()
    (folder/'by mail'/'answer.pdf').write_bytes(b'%PDF')
    (folder/'twice').mkdir()
    nbformat.write(only(WRONG_AXIS + CHECK), folder/'twice'/'a.ipynb')
    shutil.copy(folder/'deleted.ipynb', folder/'twice'/'b.ipynb')
    return grade(folder, asked=['02'], cell_seconds=10, megabytes=3000)


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize('who', CLASS)
def test_the_class(who, graded):
    _, right, said = CLASS[who]
    rows = graded[graded.who == who].set_index('exercise')
    if right is None: assert rows.index.tolist() == [''] and said in rows.note['']
    else: assert rows.index.tolist() == list(ASKED) and rows.right['2.1'] == right
    first = rows.iloc[0]
    assert said in first.hint + first.note and (not right or first.hint == '')


@pytest.mark.slow
@pytest.mark.posix
def test_one_bad_answer_spoils_no_other(graded):
    for who in ('all right', 'edited', 'syntax', 'endless', 'exits', 'deleted'):
        rows = graded[graded.who == who].set_index('exercise')
        assert rows.right[['2.2', '2.3', '2.4']].all(), rows.to_string()


@pytest.mark.slow
@pytest.mark.posix
def test_folders_and_copies(graded):
    assert graded[graded.who == 'by mail'].note.tolist() == ['not a notebook: a file that ends in .ipynb is expected']
    twice = graded[graded.who == 'twice']
    assert twice.exercise.tolist() == list(ASKED) and twice.right.tolist() == [False, True, True, True]
    assert twice.note.iloc[1] == f"the same file as {Path('deleted.ipynb')}"
    assert graded.columns.tolist() == ['who', 'file', 'exercise', 'right', 'hint', 'note']


@pytest.mark.slow
@pytest.mark.posix
def test_summary_of_the_class(graded):
    text = summary(graded)
    assert f'{len(CLASS) + 2} people' in text and 'R.ipynb: written in R, and Python is expected' in text
    axis = next(line for line in text.splitlines() if 'each column adds up to 1' in line)
    assert axis.startswith('| 4 | ') and '<script>' not in text and '&lt;b&gt; \\|' in text
    lines = text.split('**2.1**')[1].split('**2.2**')[0].splitlines()
    times = [int(n) for line in lines for n in re.findall(r'^\| (\d+) \|', line)]
    hints = graded[(graded.exercise == '2.1') & (graded.hint != '')].hint.nunique()  # these come before the notes
    assert times[:hints] == sorted(times[:hints], reverse=True)
    assert sum(times) == (~graded.right[graded.exercise == '2.1']).sum()
    assert '**Right answers**: ' in text and 'all right 4' in text


def test_nothing_is_a_formula():
    rows = pd.DataFrame([['=cmd()', '+1', '2.1', False, 'a\nb', '@x']], columns=COLUMNS)
    assert for_spreadsheets(rows).iloc[0].tolist() == ["'=cmd()", "'+1", '2.1', False, 'a b', "'@x"]


def test_what_is_taken_from_a_notebook():
    "A pip line goes, and what is in its cell stays; a heading of one's own hides nothing; imports above are kept."
    cells = [new_code_cell('import numpy as np'), new_markdown_cell('## Exercises'), new_markdown_cell('## Solutions'),
             new_code_cell("%pip install -q einops\ndef f(x): return np.exp(x)\ncheck('2.1', f)")]
    parts = parts_of(new_notebook(cells=cells))
    assert any(part.code == 'import numpy as np' for part in parts)
    assert parts[-1].answers == {'2.1': 'f'} and not parts[-1].fault and 'pip' not in parts[-1].code


def test_marking_from_afar_is_marking():
    "What right answers and mistakes send is marked as they are, for every exercise."
    for name, exercise in exercises.items():
        if name.startswith('break'): continue  # these train networks
        for answer in (exercise.right, *(wrong for wrong, _ in exercise.mistakes)):
            assert mark_sent(exercise, json.loads(json.dumps(_sent(exercise, answer)))) == mark(exercise, answer), name


def test_answers_are_found_where_they_stand():
    "Of a lesson handed in whole, the stubs count and the solutions don't."
    parts = parts_of(LESSON)
    assert [name for part in parts for name in part.answers] == list(ASKED)
    assert not any('strict' in part.code or 'assert' in part.code for part in parts)
    assert part_of("%%timeit\n!ls\ncheck('2.1', f)").answers == {'2.1': 'f'}


def test_setup_is_the_lessons_own():
    "What an answer uses of its lesson comes with all that it needs, and nothing else does."
    nb = only("def rows_softmax(x): return shares(x, 1) + 0 * logits[0]" + CHECK)
    setup = '\n'.join(part.code for part in parts_of(nb)[:-1])
    space = {}
    exec(setup, space)  # noqa: S102
    assert space['logits'].shape == (6, 2) and callable(space['shares']) and 'show_bars' not in setup
    assert needed(['a = 1', 'b = a', 'a = 2', 'c = 0'], {'b'}) == ['a = 1', 'b = a']
    assert {name for name in exercises if not course()[0][name]} == set()


def test_who_returned_what(tmp_path):
    for name in ('Ada.ipynb', 'Bo/one.ipynb', 'Bo/data.csv', 'Bo/.ipynb_checkpoints/one.ipynb', 'Cy/answer.pdf', '.no'):
        (tmp_path/name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/name).touch()
    found = [(who, path.name) for who, path in files_in(tmp_path)]
    assert found == [('Ada', 'Ada.ipynb'), ('Bo', 'one.ipynb'), ('Cy', 'answer.pdf')]
    assert exercises_of(['2.2', '02', 'mixed 3']) == ['2.2', '2.1', '2.3', '2.4', 'mixed 3']


def test_the_command(tmp_path, capsys):
    def refused(*args):
        with pytest.raises(SystemExit): main([*map(str, args)])
        return capsys.readouterr().err
    (folder := tmp_path/'returned').mkdir()
    assert 'holds no files' in refused(folder, '--out', tmp_path/'grades.csv')
    assert 'is no folder' in refused(tmp_path/'no', '--out', tmp_path/'grades.csv')
    (folder/'Ada.ipynb').write_bytes(b'no')
    assert 'among what is graded' in refused(folder, '--out', folder/'grades.csv')
    assert "no lesson '72'" in refused(folder, '--asked', '72', '--out', tmp_path/'grades.csv')
    main([str(folder), '--out', str(tmp_path/'grades.csv')])
    assert 'Not graded' in capsys.readouterr().out
    assert 'who,file,exercise,right,hint,note\nAda,Ada.ipynb,,False,,not a' in (tmp_path/'grades.csv').read_text()
    assert 'is there already: --force' in refused(folder, '--out', tmp_path/'grades.csv')


def test_versions_are_noted(): assert HANDOUT.metadata.xent_course.version == __version__
