"A lesson without its solutions is the lesson otherwise, and any sheet of exercises runs, also with the solutions."
import re

import nbformat
import pytest

from tools.run_lessons import is_stub, room
from xent_course.support.marking import _exercises as exercises, load_exercises
from xent_course.support.student import PROMISE, find_lesson, installs, main, read, section, sheet, student, stubs

LESSONS = room('lessons') + room('further')
load_exercises()


def plain(cells): return [cell | {'source': PROMISE.sub('', cell.source)} for cell in cells]


@pytest.mark.parametrize('path', LESSONS, ids=lambda path: path.stem)
def test_nothing_else_changes(path):
    "Cells, outputs and metadata are the lesson's, and no solution is left."
    lesson = read(path)
    made = student(lesson)
    place = section(lesson.cells, 'Solutions')
    assert place.stop > place.start + 1 and made.cells == plain(lesson.cells[:place.start] + lesson.cells[place.stop:])
    assert lesson == read(path) and {**made.metadata, 'xent_course': ''} == {**lesson.metadata, 'xent_course': ''}
    text = '\n'.join(cell.source for cell in made.cells)
    assert 'strict=True' not in text and 'olutions are at the end' not in text and '## Solutions' not in text
    assert [c for c in made.cells if is_stub(c.source)] == [c for c in lesson.cells if is_stub(c.source)]


@pytest.mark.parametrize('path', LESSONS, ids=lambda path: path.stem)
def test_without_answers(path):
    "Question and options stay; nothing says which is right, and nothing outside the questionnaire changes."
    whole, made = student(read(path)).cells, student(read(path), answers=False).cells
    theirs, ours = section(whole, 'Questionnaire'), section(made, 'Questionnaire')
    assert whole[:theirs.start] == made[:ours.start] and whole[theirs.stop:] == made[ours.stop:]
    questions = [cell.source for cell in whole[theirs] if cell.cell_type == 'markdown']
    assert all(cell.cell_type == 'markdown' for cell in made[ours]) and len(questions) == len(made[ours])
    for question, bare in zip(questions, (cell.source for cell in made[ours])):
        options = [o for o in re.findall('<summary>(.+?)</summary>', question) if o != 'What we would say']
        assert bare.splitlines()[0] == question.splitlines()[0] and re.findall('^- (.+)$', bare, re.M) == options
        assert not re.search('[✓✗]|<details>|Click', bare)


def solutions():
    "Exercise -> the code of its solution."
    lessons = [read(path).cells for path in LESSONS]
    cells = [cell for lesson in lessons for cell in lesson[section(lesson, 'Solutions')]]
    strict = re.compile(r"^check\('(.+?)', \w+, strict", re.M)
    found = {name: cell.source for cell in cells for name in strict.findall(cell.source)}
    assert set(found) == set(exercises)
    return found


def run(nb):
    "Run a sheet in this process; the names that it made, and what each stub was told."
    space, told = {}, {}
    for cell in nb.cells:
        if cell.cell_type != 'code' or installs(cell): continue
        *_, last = cell.source.splitlines()
        exec(cell.source, space)  # noqa: S102
        if is_stub(cell.source): told[re.findall("'(.+?)'", last)[0]] = eval(last, space)
    return space, told


@pytest.mark.slow
def test_a_sheet_of_all_exercises():
    "Stubs are told that they are not answered, or what is wrong in them; the solutions find all that they use."
    space, told = run(sheet(list(exercises)))
    bugs = [name for name, (_, cells, k) in stubs().items() if '...' not in cells[k].source.split('check(')[0]]
    assert set(told) == set(exercises) and not any(told.values())
    assert [name for name in told if 'Not answered yet' not in told[name].message and name not in bugs] == []
    for source in solutions().values(): exec(source, space)  # noqa: S102


def test_a_sheet():
    "In the order asked for, each once, under its name, with links that lead to the site."
    nb = sheet(['mixed 3', '1.3', '2.1', '1.3'])
    texts = [cell.source for cell in nb.cells if cell.cell_type == 'markdown']
    assert [text.splitlines()[0] for text in texts] == ['# Exercises', '## mixed 3', '## 1.3', '## 2.1']
    assert 'io/xent_course/further/03_numerics.html)' in texts[2] and '.ipynb' not in ''.join(texts)
    assert all('**' not in text and 'Replace the dots' not in text for text in texts)
    _, told = run(nb)
    assert 'Not answered yet' in told['2.1'].message and list(told) == ['mixed 3', '1.3', '2.1']


def test_the_command(tmp_path, capsys):
    def refused(*args):
        with pytest.raises(SystemExit): main([*map(str, args), '--out', str(tmp_path)])
        return capsys.readouterr().err
    main(['02', 'further/05', '--out', str(tmp_path)])
    assert {path.name for path in tmp_path.iterdir()} == {'02_softmax.ipynb', '05_calibration.ipynb'}
    assert read(tmp_path/'02_softmax.ipynb') == student(read(find_lesson('02')))
    assert 'is there already: --force' in refused('02')
    main(['02', '--no-answers', '--force', '--out', str(tmp_path)])
    assert '✓' not in (tmp_path/'02_softmax.ipynb').read_text(encoding='utf-8').split('## Questionnaire')[1]
    assert 'is the lesson itself' in refused(tmp_path/'02_softmax.ipynb', '--force')
    assert "no lesson '72'" in refused('72') and "the nearest are '2." in refused('--sheet', '2.9')
    assert 'name lessons, or' in refused() and 'name lessons, or' in refused('02', '--sheet', '2.1')
    main(['--sheet', '2.1', 'mixed 3', '--out', str(tmp_path/'new'/'sheet.ipynb')])
    nbformat.validate(read(tmp_path/'new'/'sheet.ipynb'))
