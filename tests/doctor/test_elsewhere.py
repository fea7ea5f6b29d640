"The doctor in other people's trainers: its page's scripts for transformers and Lightning, where these are installed."
import re
from pathlib import Path

import nbformat
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from xent_course import check_training

PAGE = Path(__file__).resolve().parents[2]/'nbs'/'doctor'/'index.ipynb'


@pytest.mark.parametrize('library,name', [('transformers', 'trainer'), ('lightning', 'module')])
def test_script_of_the_page(library, name, tmp_path, monkeypatch):
    pytest.importorskip(library)
    monkeypatch.chdir(tmp_path)
    page = '\n'.join(cell.source for cell in nbformat.read(PAGE, as_version=4).cells if cell.cell_type == 'markdown')
    script, = [code for code in re.findall(r'```python\n(.*?)```', page, re.S) if library in code]
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    loader = DataLoader(TensorDataset(x, x[:, :3].argmax(1)), batch_size=16, shuffle=True)
    scope = dict(torch=torch, nn=nn, F=F, check_training=check_training, loader=loader)
    exec(script, scope)
    assert scope['report'] == [] and not scope['report'].not_looked and name in scope
