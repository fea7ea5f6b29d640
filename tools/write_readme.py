"Write README.md, and the picture it shows, from nbs/index.ipynb with the outputs that it holds. Needs no Quarto."
import re
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

PICTURES = 'index_files'


def has_directive(cell, name): return re.search(rf'^#\|\s*{name}\s*$', cell.source, flags=re.MULTILINE)


def write_readme(root):
    "Write `root`/README.md from `root`/nbs/index.ipynb."
    nb = nbformat.read(root/'nbs'/'index.ipynb', as_version=4)
    nb.cells = [c for c in nb.cells if not has_directive(c, 'hide')]
    for cell in nb.cells: cell.metadata.tags = ['hide_input'] if has_directive(cell, 'hide_input') else []
    hiding = {'enabled': True, 'remove_input_tags': ['hide_input']}
    exporter = MarkdownExporter(config={'TagRemovePreprocessor': hiding})
    text, resources = exporter.from_notebook_node(nb, resources={'output_files_dir': PICTURES})

    (root/PICTURES).mkdir(exist_ok=True)
    for old in (root/PICTURES).iterdir(): old.unlink()
    for name, data in resources['outputs'].items(): (root/name).write_bytes(data)
    (root/'README.md').write_text(for_github(text, alt_texts(nb)), encoding='utf-8')


def alt_texts(nb):
    "The text alternative of each picture, in order."
    outputs = (o for c in nb.cells for o in c.get('outputs', []))
    return [o.metadata['image/png']['alt'] for o in outputs if 'image/png' in o.get('data', {})]


def for_github(text, alts):
    "Add the text alternatives, and point links between notebooks at where those lie in the repo."
    alts = iter(alts)
    text = re.sub(r'!\[png\]', lambda _: f'![{next(alts)}]', text)
    text = re.sub(r'\]\((?!\w+:|#)([^)]+\.ipynb)', r'](nbs/\1', text)
    note = '<!-- Written by tools/write_readme.py from nbs/index.ipynb: edit that. -->\n\n'
    return note + re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'


if __name__ == '__main__': write_readme(Path(__file__).resolve().parent.parent)
