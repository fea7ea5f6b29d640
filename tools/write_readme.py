"Write README.md, and the pictures it shows, from nbs/index.ipynb, with the outputs that the notebook holds. Needs no Quarto."
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

PICTURES = 'index_files'


def write_readme(root):
    "Write `root`/README.md from `root`/nbs/index.ipynb."
    nb = nbformat.read(root/'nbs'/'index.ipynb', as_version=4)
    nb.cells = [c for c in nb.cells if not re.match(r'#\s*\|\s*hide\b', c.source)]
    for cell in nb.cells: cell.source = re.sub(r'^#\s*\|.*\n', '', cell.source, flags=re.MULTILINE)
    text, resources = MarkdownExporter().from_notebook_node(nb, resources={'output_files_dir': PICTURES})

    pictures = root/PICTURES
    pictures.mkdir(exist_ok=True)
    for old in pictures.iterdir(): old.unlink()
    for name, data in resources['outputs'].items(): (root/name).write_bytes(data)
    (root/'README.md').write_text(for_github(with_alt_text(text, nb)), encoding='utf-8')


def with_alt_text(text, nb):
    "Give the nth picture the alternative text that the notebook holds for it."
    alts = iter([o.metadata['image/png']['alt'] for c in nb.cells for o in c.get('outputs', [])
                 if 'image/png' in o.get('data', {})])
    return re.sub(r'!\[png\]', lambda _: f'![{next(alts)}]', text)


def for_github(text):
    "Point links between notebooks at where they lie in the repo, and tidy blank lines."
    text = re.sub(r'\]\((?!\w+:|#)([^)]+\.ipynb)', r'](nbs/\1', text)
    return '<!-- Written by tools/write_readme.py from nbs/index.ipynb: edit that. -->\n\n' + re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'


if __name__ == '__main__': write_readme(Path(__file__).resolve().parent.parent)
