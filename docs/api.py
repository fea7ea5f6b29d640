"The API page: what each room offers, with the docments of its arguments, as the package holds them."
import importlib, inspect, sys

from fastcore.docments import docments
from sphinx.util.docutils import SphinxDirective

import xent_course


def address(obj):
    "The name to import an object by: from the top of the package where that offers it."
    return f'xent_course.{obj.__name__}' if obj.__name__ in xent_course.__all__ else f'{obj.__module__}.{obj.__name__}'


def offered(module):
    "The functions and classes that a module of the package offers."
    module = importlib.import_module(f'xent_course.{module}')
    return [obj for name in module.__all__ if callable(obj := getattr(module, name))]


def written(value): return (value.__name__ if isinstance(value, type) else str(value)).replace('torch.', '')


def arguments(obj, also_returns):
    "A list of the arguments' types, defaults and meanings, and of what is returned."
    for name, said in docments(obj, full=True).items():
        returns = name == 'return'
        if name == 'self' or returns and not (also_returns and said['docment']): continue
        kind = '' if said['anno'] is inspect.Parameter.empty else f" `{written(said['anno'])}`"
        default = '' if said['default'] is inspect.Parameter.empty else f" = `{said['default']!r}`"
        yield f"- {'returns' if returns else f'**{name}**'}{kind}{default}: {said['docment'] or ''}"


def signature(obj):
    "The names of the arguments, and their defaults."
    if inspect.isclass(obj) and issubclass(obj, Exception): return ''
    found = inspect.signature(obj)
    named = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name != 'self']
    return str(found.replace(parameters=named, return_annotation=found.empty))


def entry(obj, name, level=4):
    "A directive that describes a function, a class with its methods, or a method."
    fence, is_class = ':' * level, inspect.isclass(obj)
    kind = 'class' if is_class else 'function' if level == 4 else 'method'
    methods = [m for m in vars(obj).values() if inspect.isfunction(m) and m.__name__[0] != '_'] if is_class else []
    inner = [line for m in methods for line in entry(m, f'{name}.{m.__name__}', level - 1)]
    return [f'{fence}{{py:{kind}}} {name}{signature(obj)}', '', inspect.getdoc(obj) or '', '',
            *arguments(obj, also_returns=not is_class), '', *inner, fence, '']


class Api(SphinxDirective):
    "`{api} room`: every module of a room that offers something, under its notebook's title."
    required_arguments = 1

    def run(self):
        lines, (room,) = [], self.arguments
        self.env.note_dependency(__file__)
        for page, module in sorted(self.config.modules.items()):
            if not module.startswith(f'{room}.') or not offered(module): continue
            self.env.note_dependency(sys.modules[f'xent_course.{module}'].__file__)
            lines += [f'### `{module}`', '', f'Made by [](/{page}.ipynb).', '']
            for obj in offered(module): lines += entry(obj, address(obj))
        return self.parse_text_to_nodes('\n'.join(lines), allow_section_headings=True)


def setup(app):
    app.add_directive('api', Api)
    return {'parallel_read_safe': True}
