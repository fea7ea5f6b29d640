"Sphinx reads the notebooks as nbdev and Jupyter do: directives obeyed, folded cells folded, pictures described."
import json, re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.util import logging

from api import address, offered

log = logging.getLogger(__name__)

ROOMS = 'lessons', 'further', 'doctor', 'support'
DIRECTIVE = re.compile(r'^#\|.*\n?', re.M)


def faults(cell, folder):
    "What no reader should meet. The build warns of it, and warnings are errors."
    for output in cell.get('outputs', []):
        if output['output_type'] == 'error': yield f"it ends in an error, {output['ename']}: {output['evalue']}"
        if 'image/png' in output.get('data', {}) and not output['metadata'].get('image/png', {}).get('alt'):
            yield 'its picture has no alternative text'
    if cell['cell_type'] != 'markdown': return
    for link in re.findall(r'\]\((?!\w+:|#)([^)\s#]+)', ''.join(cell['source'])):
        if not (folder/link).exists(): yield f'its link leads nowhere: {link}'


def label(source):
    "What stands on a fold: 'check', 'code', or the comment that a cell begins with, as 'Solution of 2.1'."
    comment = re.match(r'# (.+)', source)
    return comment[1] if comment else 'check' if re.search(r'\bassert|test_fail', source) else 'code'


def read_cell(cell):
    "A code cell as myst-nb wants it: tags for what is folded, no directives, the picture's alternative and width."
    source, jupyter = ''.join(cell['source']), cell['metadata'].get('jupyter', {})
    flags = re.findall(r'^#\| *(\w+)', source, re.M)
    text = DIRECTIVE.sub('', source).strip('\n')
    tags, options = cell['metadata'].setdefault('tags', []), cell['metadata'].setdefault('mystnb', {})
    if 'hide_input' in flags: tags.append('remove-input')
    elif jupyter.get('source_hidden'):
        tags.append('hide-cell' if jupyter.get('outputs_hidden') else 'hide-input')
        options |= {'code_prompt_show': label(text), 'code_prompt_hide': label(text)}
    for output in cell['outputs']: # pandas' corner is empty: no header of anything
        html = output.get('data', {}).get('text/html')
        if html: output['data']['text/html'] = ''.join(html).replace('<th></th>', '<td></td>')
    pictures = [o['metadata'].get('image/png', {}) for o in cell['outputs'] if 'image/png' in o.get('data', {})]
    if pictures: options['image'] = {key: str(value) for key, value in pictures[0].items() if key in ('alt', 'width')}
    return cell | {'source': text}


def stay_here(cell, site):
    "A text whose links to the published site lead to the pages of this build."
    text = ''.join(cell['source'])
    text = text.replace(f']({site})', '](/index.ipynb)').replace(f'({site}/api.html', '(/api.md')
    text = re.sub(rf'\]\({site}/([\w/]+)\.html', r'](/\1.ipynb', text)
    return cell | {'source': text}


def is_left_out(cell):
    source = ''.join(cell['source'])
    return cell['cell_type'] == 'code' and bool(re.search(r'^#\| *(hide|default_exp)\b(?!_)', source, re.M))


def modules(srcdir):
    "Each notebook that makes a module -> that module, without the package's name."
    for path in Path(srcdir).rglob('*.ipynb'):
        if path.parent.name == '.ipynb_checkpoints': continue
        found = re.search(r'#\| *default_exp +([\w.]+)', path.read_text(encoding='utf-8'))
        if found: yield path.relative_to(srcdir).with_suffix('').as_posix(), found[1]


def contents(app):
    "The pages of each room, in order, and the API's: the tables of contents, which the index has below its own text."
    for room in ROOMS:
        names = (name for name in app.env.found_docs if name.startswith(f'{room}/'))
        yield room, sorted(names, key=lambda name: (name.count('/'), not name.endswith('/index'), name))
    yield 'reference', [name for name in app.env.found_docs if name == 'api']


def in_the_api(cell, offers):
    "Below a cell that exports public functions, the way to them in the API page."
    if not re.search(r'^#\| *export$', ''.join(cell['source']), re.M): return []
    made = re.findall(r'^(?:def|class) +(\w+)', ''.join(cell['source']), re.M)
    links = [f'{{py:obj}}`{name} <{offers[name]}>`' for name in made if name in offers]
    text = f"In the [API](/api.md): {', '.join(links)}"
    return [{'cell_type': 'markdown', 'metadata': {}, 'id': f"api-{cell['id']}", 'source': text}] if links else []


def read_notebook(app, name, source):
    "Before Sphinx parses a notebook's text, which is JSON."
    if not source[0].lstrip().startswith('{'): return
    notebook = json.loads(source[0])
    made = offered(app.config.modules[name]) if name in app.config.modules else []
    offers = {obj.__name__: address(obj) for obj in made}
    cells = []
    for k, cell in enumerate(notebook['cells'], 1):
        for fault in faults(cell, Path(app.srcdir, name).parent): log.warning('%s.ipynb, cell %d: %s', name, k, fault)
        if is_left_out(cell): continue
        is_code = cell['cell_type'] == 'code'
        cells += [read_cell(cell), *in_the_api(cell, offers)] if is_code else [stay_here(cell, app.config.html_baseurl)]
    if name == 'index':
        for room, names in contents(app):
            if not names: continue
            text = f':::{{toctree}}\n:hidden:\n:caption: {room.capitalize()}\n\n' + '\n'.join(names) + '\n:::'
            cells.append({'cell_type': 'markdown', 'metadata': {}, 'id': f'contents-{room}', 'source': text})
    source[0] = json.dumps(notebook | {'cells': cells})


def describe(app, page, template, context, doctree):
    "What search engines show of a page: its first paragraph."
    first = next(doctree.findall(nodes.paragraph), None) if doctree else None
    if first: context['metatags'] += f'<meta name="description" content="{escape(first.astext())}">'


def setup(app):
    app.add_config_value('modules', dict(modules(app.srcdir)), 'env')
    app.connect('source-read', read_notebook)
    app.connect('html-page-context', describe)
    return {'parallel_read_safe': True}
