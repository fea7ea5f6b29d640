"Every rule has an explanation that leads somewhere, and the page of symptoms has them all, as the table has them."
import html, re
from pathlib import Path

import nbformat
import pytest

from xent_course.doctor.findings import RULES, explain

NBS = Path(__file__).resolve().parents[2]/'nbs'
PAGE = nbformat.read(NBS/'doctor'/'symptoms.ipynb', as_version=4).cells
PLACE = re.compile(r'\{[^{}]*\}')


def shown():
    "All that the page's cells have printed, and its table."
    outputs = [output for cell in PAGE if cell.cell_type == 'code' for output in cell.outputs]
    return '\n'.join(''.join(o.get('text', '')) + ''.join(o.get('data', {}).get('text/html', '')) for o in outputs)


@pytest.mark.parametrize('rule', RULES)
def test_explained(rule):
    words = RULES[rule]
    assert all((words.seen, words.symptom, words.reason)) and (words.fix or '{error}' in words.seen)
    assert (NBS/f'{words.page}.ipynb').is_file(), f'{words.page} is no page of the course'
    said = explain(rule)
    assert not PLACE.search(said) and said.endswith(f'/{words.page}.html'), said
    assert [line.split(':')[0] for line in said.splitlines()] == [rule, 'Symptom', 'Reason', 'Fix', 'More']


def test_page_has_the_table():
    rows = [re.sub(r'</td>.*?<td[^>]*>', '|', row) for row in re.findall(r'<tr>(<td.*?)</tr>', shown())]
    assert len(rows) == len(RULES)
    for rule, words in RULES.items():
        row, = [row for row in rows if f'|<b>{html.escape(rule)}</b>|' in row]
        said = dict(line.split(': ', 1) for line in explain(rule).splitlines()[1:])
        assert all(html.escape(said[part]) in row for part in ('Symptom', 'Reason', 'Fix')) and said['More'] in row


def test_examples_say_what_the_table_says():
    "Each `ask` of the page has printed the table's words, and nearly every heading has one."
    code = '\n'.join(cell.source for cell in PAGE if cell.cell_type == 'code')
    asked = re.findall(r"^ask\('([^']+)'", code, re.M)
    assert len(asked) == len(set(asked)) >= 20 and all(explain(rule) in shown() for rule in asked)
