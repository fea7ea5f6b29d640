"Write into each lesson which of its cells begins a slide, and make of it what a deck shows. See CONTRIBUTING.md."
import re, struct
from base64 import b64decode
from pathlib import Path
from urllib.parse import urljoin

import nbformat

from tools.environments import settings
from tools.run_lessons import ROOT, room

LEFT_OUT = 'Exercises', 'Further reading', 'Solutions'
HEIGHT, LINE, CODE_LINE, PICTURE, PANEL = 650, 34, 26, 400, 450  # in pixels, at the sizes of docs/slides/deck.css
SITE = settings()['doc_host'] + settings()['doc_baseurl']
HEADING = re.compile(r'^##? +(.+)', re.M)


def is_folded(cell): return cell.cell_type == 'code' and bool(cell.metadata.get('jupyter', {}).get('source_hidden'))


def html(output): return output.get('data', {}).get('text/html')


def is_panel(output): return 'logits-panel' in (html(output) or '')


def outputs(cell):
    "Those with something to see: a progress bar that is over has left an empty one."
    def is_empty(output):
        only_html = html(output) is not None and 'image/png' not in output.data
        return only_html and not re.sub(r'(?s)<style>.*?</style>|<[^>]+>', '', html(output)).strip()
    return [output for output in cell.get('outputs', []) if not is_empty(output)]


def is_shown(cell):
    "Neither the link to Colab, nor set-up, nor code that only asserts: folded code without an output."
    if cell.cell_type == 'markdown': return not cell.source.startswith('[Open in Colab]')
    return bool(outputs(cell)) if is_folded(cell) else not re.match(r'#\| *(hide|default_exp)\b', cell.source)


def picture_height(output):
    "As a PNG's first bytes and the width that it is shown with say."
    width, height = struct.unpack('>II', b64decode(output.data['image/png'][:64])[16:24])
    return min(PICTURE, height * output.metadata.get('image/png', {}).get('width', width) // width)


def output_height(output):
    data = output.get('data', {})
    if 'image/png' in data: return 12 + picture_height(output)
    if html(output): return LINE * (1 + html(output).count('<tr'))
    return 12 + CODE_LINE * (1 + (data.get('text/plain') or output.get('text', '')).count('\n'))


def height(cell):
    "About how many pixels of a slide a cell takes."
    if cell.cell_type == 'code':
        if any(map(is_panel, outputs(cell))): return PANEL  # without its code, and its picture gives way
        code = 0 if is_folded(cell) else 20 + CODE_LINE * (1 + cell.source.count('\n'))
        return code + sum(map(output_height, outputs(cell)))
    seen = re.sub(r'(?s)</summary>.*?</details>|\]\([^)]*\)', '', cell.source)
    lines = [1.35 + len(line) // 100 for line in seen.splitlines() if line]
    return LINE * (sum(lines) + .75 * seen.count('$$'))


def slide_types(cells):
    """Each cell's slide_type. A heading begins a slide. So does, one below it, a question, if another was asked or
    something was shown before it, and what has no room left. The rest appears step by step."""
    section, left, busy = '', 0, False
    for cell in cells:
        is_text = cell.cell_type == 'markdown'
        headings = HEADING.findall(cell.source) if is_text else []
        section = headings[-1] if headings else section
        if section in LEFT_OUT or not is_shown(cell):
            yield 'skip'
            continue
        asks = is_text and bool(re.search(r'\?|<details', cell.source))
        begins = bool(headings) or asks and busy or height(cell) > left
        left = (HEIGHT if begins else left) - height(cell)
        busy = not begins and busy or asks or bool(outputs(cell))
        if cell.source.startswith('# '): left = 0  # the title stands alone
        yield 'slide' if headings else 'subslide' if begins else 'fragment'


def parts(cell):
    "A text with a heading inside, as two: what stands before it belongs to the slide before."
    found = re.search(r'(?m)(?<=\n)## ', cell.source) if cell.cell_type == 'markdown' else None
    if not found: return [cell]
    before, after = cell.source[:found.start()], cell.source[found.start():]
    return [nbformat.v4.new_markdown_cell(before), nbformat.from_dict(cell | {'source': after})]


def write_slides(path):
    "Tag each cell of the notebook at `path`."
    nb = nbformat.read(path, as_version=4)
    pieces = [(cell, part) for cell in nb.cells for part in parts(cell)]
    for (cell, _), kind in zip(pieces, slide_types(part for _, part in pieces)):
        cell.metadata['slideshow'] = {'slide_type': kind}
    nbformat.write(nb, path)


def read(cell, page):
    "Make of a cell what a deck shows: code without directives, nothing folded, links to the published pages."
    if cell.cell_type == 'code':
        cell.source = re.sub(r'(?m)^#\|.*\n?', '', cell.source)
        cell.outputs = outputs(cell)
        if is_folded(cell) or any(map(is_panel, cell.outputs)): cell.metadata['transient'] = {'remove_source': True}
    else:
        def published(found): return f']({urljoin(page, found[1])}.html'
        cell.source = re.sub(r'\]\((?!\w+:|#)([^)\s#]+)\.ipynb', published, cell.source)


def prepare(nb, resources):
    "A preprocessor for nbconvert; it leaves alone what is not a notebook of the course."
    place = Path(resources['metadata']['path'], resources['metadata']['name']).resolve()
    page = f"{SITE}/{place.relative_to(ROOT/'nbs').as_posix()}"
    nb.cells = [part for cell in nb.cells for part in parts(cell)]
    for cell, kind in zip(nb.cells, slide_types(nb.cells)):
        cell.metadata.setdefault('slideshow', {'slide_type': kind})
        read(cell, page)
    nb.metadata['title'] = nb.cells[0].source.splitlines()[0].strip('# ')
    return nb, resources


if __name__ == '__main__':
    for path in (*room('lessons'), *room('further')): write_slides(path)
