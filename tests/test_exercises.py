"Every exercise is asked, unrun, and solved at the end of its lesson; every question has one right option and says why the others are not."
import re
from pathlib import Path

import nbformat
import pytest

from run_lessons import is_stub, spine
from xent_course.exercises import exercises

NBS = Path(__file__).resolve().parent.parent/'nbs'
SPINE = spine()
FURTHER = sorted((NBS/'further').glob('*.ipynb'))


def checks(path, strict):
    "Name of each exercise that a lesson checks, strictly or not -> what the answer is called, and its cell."
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != 'code': continue
        match = re.search(r"^check\('(.+?)', (\w+)(, strict=True)?\)$", cell.source, re.M)
        if match and bool(match[3]) == strict: found[match[1]] = match[2], cell
    return found


@pytest.mark.parametrize('path', SPINE + [NBS/'further'/'02_exercises_mixed.ipynb'], ids=lambda p: p.stem)
def test_asked_and_solved(path):
    asked, solved = checks(path, strict=False), checks(path, strict=True)
    assert list(asked) == list(solved) and (2 <= len(asked) <= 4 if path in SPINE else len(asked) == 10)
    for (answer, stub), (same, solution) in zip(asked.values(), solved.values()):
        assert is_stub(stub.source) and not is_stub(solution.source)
        assert not stub.outputs and not stub.metadata.get('jupyter')  # a page shows no hint to what nobody has answered
        assert solution.outputs[-1].data['text/plain'].startswith('✓') and solution.metadata.jupyter.source_hidden
        assert answer == same


def test_none_is_forgotten(): assert [name for path in SPINE + FURTHER for name in checks(path, strict=False)] == list(exercises)


@pytest.mark.parametrize('path', SPINE + [p for p in FURTHER if 'mixed' not in p.stem], ids=lambda p: p.stem)
def test_questions_mark_themselves(path):
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == 'markdown']
    questions = [text for text in texts if re.match(r'\*\*\d+\.\*\* ', text)]
    freely = [question for question in questions if '<summary>What we would say</summary>' in question]
    assert freely == (questions[-1:] if path in SPINE[:7] else [])  # the last one has no options
    questions = [question for question in questions if question not in freely]
    assert len(questions) >= 3
    places = []
    for question in questions:
        options = re.findall(r'<details><summary>(.+?)</summary>\n\n([✓✗]) (.{10,}?)\n\n</details>', question)
        assert len(options) == question.count('<details>') == 3 and [mark for _, mark, _ in options].count('✓') == 1, question
        places.append([mark for _, mark, _ in options].index('✓'))
    assert len(set(places)) > 1  # not always the same option
