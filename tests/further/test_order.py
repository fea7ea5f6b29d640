"The further lessons in their groups: what each builds on comes before it, and nobody meets a wall of text or code."
import re

import pytest

from tests.docs.test_notebooks import code_cells, minutes, read
from tools.run_lessons import ROOT, room
from xent_course.support.teaching import hidden

FURTHER = room('further')
OPENING = re.compile(r'^\*(?P<group>[^*]+), (?P<k>\d+) of (?P<of>\d+)\. Builds on (?P<on>.+)\.\*$', re.M)


def groups():
    "The groups of README's table: the name of each, and its lessons."
    found = {}
    for line in (ROOT/'README.md').read_text(encoding='utf-8').splitlines():
        if heading := re.match(r'\| \| \*\*(.+?)\*\*', line): name = heading[1]
        elif row := re.search(r'\]\(nbs/further/(\w+)\.ipynb\) \|', line): found.setdefault(name, []).append(row[1])
    return found


def test_groups():
    assert sum(groups().values(), []) == [path.stem for path in FURTHER]
    assert list(map(len, groups().values())) == [3, 4, 3, 2, 4]


@pytest.mark.parametrize('path', FURTHER, ids=lambda path: path.stem)
def test_opening(path):
    "The opening line names the group, and links to lessons before this one only; imports come from such, too."
    opening, = OPENING.finditer('\n'.join(cell.source for cell in read(path).cells if cell.cell_type == 'markdown'))
    stems = groups()[opening['group']]
    assert stems.index(path.stem) + 1 == int(opening['k']) and len(stems) == int(opening['of'])
    links = re.findall(r'\]\(([^)]+)\)', opening['on'])
    assert links and all(link.startswith('../lessons/') or link < path.name for link in links), links
    code = '\n'.join(cell.source for cell in code_cells(read(path)))
    imported = re.findall(r'^from xent_course\.further\.(\w+)', code, re.M)
    assert all(next(p for p in FURTHER if p.stem[3:] == name) < path for name in imported), imported


def stretches(path):
    "How many words stand between two headings, visible cells or pictures, up to the exercises."
    words = 0
    for cell in read(path).cells:
        if cell.cell_type == 'markdown':
            if re.search('^## (Exercises|Questionnaire)', cell.source, re.M): break
            for k, part in enumerate(re.split('^#+ .*$', cell.source, flags=re.M)):
                if k: yield words; words = 0
                words += len(re.findall(r'\w+', part))
        elif not hidden(cell) or any('image/png' in o.get('data', {}) for o in cell.outputs): yield words; words = 0
    yield words


@pytest.mark.parametrize('path', FURTHER, ids=lambda path: path.stem)
def test_no_walls(path):
    "At most 22 minutes, 120 words without something to look at, 12 lines a visible cell; two exercises or more."
    cells = code_cells(read(path))
    visible = [cell.source for cell in cells if not hidden(cell) and '#| export' not in cell.source]
    lines = [len([line for line in source.splitlines() if line.strip() and line[:2] != '#|']) for source in visible]
    stubs = [cell for cell in cells if not hidden(cell) and re.search(r'^check\(', cell.source, re.M)]
    assert minutes(path) < 22.5 and max(stretches(path)) <= 120 and max(lines) <= 12 and len(stubs) >= 2
