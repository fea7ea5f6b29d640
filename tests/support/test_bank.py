"The bank of questions: every number against SciPy or PyTorch, every choice with one right option, sheets that agree."
import math, re, subprocess, sys
from functools import cache

import nbformat
import pytest
import torch
import torch.nn.functional as F
from scipy import special, stats

from tools.run_lessons import ROOT, room
from xent_course.support import bank
from xent_course.support.bank import draw_numbers, drawn, letters, main, numbers, quiz, read_questions, sheet

NOTEBOOKS = ROOT/'nbs'
STORED = read_questions(NOTEBOOKS)
draw_numbers_once = cache(draw_numbers)


def slope(loss, *start):
    "PyTorch's gradient of a function of a row."
    x = torch.tensor([start], dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(loss(x), x)[0]


def at_weights(x, v, w): return slope(lambda weights: F.cross_entropy(x * weights, torch.tensor([0])), v, w)[0, 0]


def parted(p, n):
    "The gradient at the first of n rows that give their target the probability p."
    x = torch.tensor([[p, 1 - p]] * n).double().log().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(x, torch.zeros(n, dtype=torch.int64)), x)[0][0, 0]


ORACLES = {
    'weights_of_a_network': lambda height, width, c: torch.nn.Linear(height * width, c, bias=False).weight.numel(),
    'weight_after_a_step': lambda w, g, lr: stepped(w, g, lr),
    'accuracy': lambda wrong, n: (n - wrong) / n,
    'confidence': lambda a, b: special.expit(a - b),
    'lead_for': lambda p: special.logit(p),
    'odds_of': lambda d: special.expit(d) / special.expit(-d),
    'second_of_three': lambda a, b, c: special.softmax([a, b, c])[1],
    'tempered': lambda a, b, t: special.expit((a - b) / t),
    'odds_times': lambda k: 1 / math.exp(-k),
    'picked': lambda a, b, c, t: special.softmax([a, b, c])[t],
    'one_for_each_row': lambda n, c: torch.zeros(n, c)[range(n), torch.zeros(n, dtype=torch.int64)].numel(),
    'each_row_by_each_target': lambda n, c: torch.zeros(n, c)[:, torch.zeros(n, dtype=torch.int64)].numel(),
    'loss_of': lambda p: F.binary_cross_entropy(torch.tensor(p).double(), torch.tensor(1.).double()),
    'mean_loss_of': lambda p, q: -math.log(p * q) / 2,
    'probability_from': lambda loss: stats.expon.sf(loss),
    'log_of_all': lambda n, p: stats.binom.logpmf(n, n, p),
    'logsumexp_of': lambda a, b: special.logsumexp([a, b]),
    'first_log_softmax': lambda a, b, c: special.log_softmax([a, b, c])[0],
    'loss_of_a_row': lambda a, b, c, t: -special.log_softmax([a, b, c])[t],
    'untrained': lambda c: stats.randint(0, c).entropy(),
    'loss_from_a_lead': lambda d: special.log1p(math.exp(-d)),
    'gradient_at_target': lambda a, b, c, t: slope(lambda x: F.cross_entropy(x, torch.tensor([t])), a, b, c)[0, t],
    'mean_gradient': parted,
    'all_the_others': lambda p: -parted(p, 1),
    'gradient_at_a_weight': at_weights,
    'weight_after_an_image': lambda x, v, w, lr: stepped(v, at_weights(x, v, w).item(), lr),
    'weights_of_a_convolution': lambda k, ins, outs: torch.zeros(outs, ins, k, k).numel(),
    'width_of_a_convolution': lambda n: torch.nn.Conv1d(1, 1, 5, stride=2, padding=2)(torch.zeros(1, n)).numel(),
    'the_other_digit': lambda loss: -special.expm1(-loss),
    'weighted_mean': lambda a, b, v, w: weighted(a, b, v, w),
    'smoothed': lambda eps, c: eps / c + (1 - eps),
    'entropy_of_a_coin': lambda p: stats.bernoulli(p).entropy(),
    'divergence_of_coins': lambda q, p: special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p),
    'in_bits': lambda nats: math.log2(math.exp(nats)),
    'too_sure': lambda p, n, k: (p * n - k) / n,
    'loss_of_a_yes': lambda x: F.binary_cross_entropy_with_logits(torch.tensor(x).double(), torch.tensor(1.).double()),
    'prior_lead': lambda a, b: special.logit(a / (a + b)),
    'soft_loss': lambda a, b, q: F.cross_entropy(torch.tensor([[a, b]]).double(), torch.tensor([[q, 1 - q]]).double()),
    'perplexity_of': lambda total, n: math.exp(total)**(1 / n),
    'mean_of_parts': lambda m, n, a, b: torch.tensor([a] * m + [b] * n).double().mean()}


def stepped(w, g, lr):
    "What PyTorch's optimizer makes of a weight."
    weight = torch.nn.Parameter(torch.tensor(w).double())
    weight.grad = torch.tensor(g).double()
    torch.optim.SGD([weight], lr=lr).step()
    return weight.item()


def weighted(a, b, v, w):
    "PyTorch's weighted mean of two losses."
    return F.nll_loss(torch.tensor([[-a, 0], [0, -b]]).double(), torch.tensor([0, 1]), torch.tensor([v, w]).double())


@pytest.mark.parametrize('name', numbers)
def test_numbers_are_right(name):
    "With 50 seeds: the printed answer, from the numbers that are printed, found another way."
    k = list(numbers).index(name)
    for seed in range(50):
        given, asked = drawn(name, seed)[0], draw_numbers_once(seed)[k]
        want, said = float(ORACLES[name](**given)), asked.answer.split(' (')[0].replace('−', '-')
        assert said == (f'{want:.3f}' if '.' in said else f'{want:.0f}'), (given, want)
        printed = [float(x) for x in re.findall(r'-?\d+(?:\.\d+)?', asked.text.replace('−', '-'))]
        assert set(given.values()) - set(printed) in (set(), {given.get('c')})  # the number of classes may not matter


def test_there_are_enough():
    asked = STORED + draw_numbers()
    assert len(numbers) >= 20 and len(STORED) > 150 and len(set(asked)) == len({q.text for q in asked}) == len(asked)
    for k in range(10): assert {q.kind for q in asked if q.lesson == f'{k:02}'} == {'choice', 'open', 'code', 'number'}
    assert set(ORACLES) == set(numbers)


def test_the_lessons_are_read_whole():
    "A question for each questionnaire's and each exercise with a solution; and each choice has one right option."
    cells = [cell for name in ('lessons', 'further') for path in room(name)
             for cell in nbformat.read(path, as_version=4).cells]
    count = lambda *kinds: sum(q.kind in kinds for q in STORED)
    assert count('choice', 'open') == sum('<details>' in cell.source for cell in cells if cell.cell_type == 'markdown')
    assert count('code') == len({name for cell in cells if cell.source.startswith('# Solution')
                                 for name in re.findall(r"^(?:if .*)?check\('([^']+)'", cell.source, re.M)})
    for question in STORED:
        assert question.text and question.answer and '](' not in question.text and 'check(' not in question.answer
        if question.kind == 'choice': assert len(set(question.options)) == len(question.options) >= 3
    marks = [re.findall('[✓✗] ', cell.source) for cell in cells if '<details>' in cell.source]
    assert all(found.count('✓ ') == 1 for found in marks)


def test_more_than_one_right_option_is_refused(tmp_path):
    options = '<details><summary>one</summary>\n\n✓ Yes.\n\n</details>' * 2
    (tmp_path/'lessons').mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f'**1.** Which?\n\n{options}')])
    nbformat.write(notebook, tmp_path/'lessons'/'02_softmax.ipynb')
    said = 'one option must be right, and 2 are, in lesson 02: Which'
    with pytest.raises(ValueError, match=said): read_questions(tmp_path)


@pytest.mark.parametrize('seed', range(5))
def test_a_sheet_is_the_seed_s(seed):
    "The same again, answers included, which name the letter that the questions have; another with another seed."
    chosen = quiz(['02', '05', 'further/04'], seed, 12, folder=NOTEBOOKS)
    assert chosen == quiz(['02', '05', 'further/04'], seed, 12, folder=NOTEBOOKS) and len(set(chosen)) == 12
    asked, answered = sheet(chosen, seed), sheet(chosen, seed, answers=True)
    assert len(asked) == 14 and len(answered) == 13
    for question, page, answer in zip(chosen, asked[2:], answered[1:]):
        if question.kind != 'choice': continue
        letter, option = re.search(r'\*\*([A-E])\. (.*?)\.\*\* ', answer).groups()
        assert f'☐ {letter}. {option}' in page and option == question.options[0]
        assert sorted(option for _, option in letters(question, seed)) == sorted(question.options)
    assert sheet(quiz(None, seed + 1, 12, folder=NOTEBOOKS), seed + 1) != asked


def test_options_change_places():
    first = next(question for question in STORED if question.kind == 'choice')
    assert len({tuple(letters(first, seed)) for seed in range(30)}) == 6


@pytest.mark.parametrize('args,said', [
    (['--lessons', '17'], "no questions on lesson '17': there are 00, 01, 02"),
    (['--lessons', '02', '--kinds', 'number', '--number', '4'], '4 questions are asked for, and there are 3'),
    (['--number', '0'], 'number must be at least 1, got 0'), (['--seed', '-1'], 'seed must be a whole number from 0'),
    (['--folder', 'tests'], 'no lessons in tests: name the folder nbs'), (['--out', 'quiz.pdf'], 'must end in .html'),
    (['--out', 'no/where.md'], 'No such file')])
def test_bad_input(args, said, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit): main(args)
    assert said in capsys.readouterr().err


def test_without_notebooks(tmp_path, monkeypatch, capsys):
    "As with the package alone: numbers, and an error that says where more is."
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bank, 'lesson_paths', lambda: [])
    assert {q.kind for q in quiz(number=40)} == {'number'}
    with pytest.raises(SystemExit): main(['--lessons', '02', '--number', '5'])
    assert 'the notebooks of a clone hold more' in capsys.readouterr().err


def test_command_line(tmp_path, capsys):
    "As a teacher calls it: a page that asks nothing of the network, and is not overwritten."
    out = tmp_path/'quiz.html'
    command = [sys.executable, '-m', 'xent_course.support.bank', '--lessons', '02', '--seed', '3', '--out', out]
    subprocess.run(command, cwd=ROOT, check=True)
    page = out.read_text(encoding='utf-8')
    assert page.count('<section>') == page.count('</section>') == 12 and 'http' not in page and '<script' not in page
    with pytest.raises(SystemExit): main(['--out', str(out)])
    assert f'{out} is there already' in capsys.readouterr().err and out.read_text(encoding='utf-8') == page
