"Sphinx reads the notebooks as nbdev and Jupyter do: directives obeyed, folded cells folded, pictures described."
import json, re

ROOMS = 'lessons', 'further', 'doctor', 'support'
DIRECTIVE = re.compile(r'^#\|.*\n?', re.M)


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
    pictures = [o['metadata'].get('image/png', {}) for o in cell['outputs'] if 'image/png' in o.get('data', {})]
    if pictures: options['image'] = {key: str(value) for key, value in pictures[0].items() if key in ('alt', 'width')}
    return cell | {'source': text}


def is_left_out(cell):
    source = ''.join(cell['source'])
    return cell['cell_type'] == 'code' and bool(re.search(r'^#\| *(hide|default_exp)\b(?!_)', source, re.M))


def contents(app):
    "A table of contents for each room, below the index's own text."
    for room in ROOMS:
        names = (name for name in app.env.found_docs if name.startswith(f'{room}/'))
        names = sorted(names, key=lambda name: (name.count('/'), name))
        yield f':::{{toctree}}\n:hidden:\n:caption: {room.capitalize()}\n\n' + '\n'.join(names) + '\n:::'


def read_notebook(app, name, source):
    "Before Sphinx parses a notebook's text, which is JSON."
    if not source[0].lstrip().startswith('{'): return
    notebook = json.loads(source[0])
    cells = [cell for cell in notebook['cells'] if not is_left_out(cell)]
    cells = [read_cell(cell) if cell['cell_type'] == 'code' else cell for cell in cells]
    if name == 'index':
        for k, text in enumerate(contents(app)):
            cells.append({'cell_type': 'markdown', 'metadata': {}, 'id': f'contents-{k}', 'source': text})
    source[0] = json.dumps(notebook | {'cells': cells})


def setup(app):
    app.connect('source-read', read_notebook)
    return {'parallel_read_safe': True}
