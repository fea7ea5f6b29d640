"Write every notebook as a web page that needs no Jupyter and no network, with all that it loads beside it."
import argparse, re, shutil
from pathlib import Path

import nbclassic
import nbformat
from nbconvert import HTMLExporter

from tools.run_lessons import ROOT, lessons


def copy_mathjax(folder):
    shutil.copytree(Path(nbclassic.__file__).parent/'static'/'components'/'MathJax', folder/'mathjax')


def write_page(folder, lesson):
    "Write one notebook's page into `folder`."
    place = lesson.relative_to(ROOT/'nbs').with_suffix('.html')
    mathjax = '../' * (len(place.parts) - 1) + 'mathjax/MathJax.js'
    exporter = HTMLExporter(template_name='pages_template', extra_template_basedirs=[str(ROOT/'tools')],
                            mathjax_url=mathjax)
    notebook = nbformat.read(lesson, as_version=4)
    notebook.metadata.pop('widgets', None)  # their state needs scripts from a network
    html, _ = exporter.from_notebook_node(notebook, {'metadata': {'name': lesson.stem}})
    page = folder/place
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(re.sub(r'(href="(?!https?:)[^"]*)\.ipynb', r'\1.html', html), encoding='utf-8')


def write_pages(folder):
    "Write all pages into `folder`, which is replaced."
    shutil.rmtree(folder, ignore_errors=True)
    copy_mathjax(folder)
    for lesson in lessons(): write_page(folder, lesson)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', nargs='?', type=Path, default=ROOT/'_pages',
                        help='where to write them (default: _pages)')
    folder = parser.parse_args().folder
    write_pages(folder)
    print(f'{len(lessons())} pages: open {folder}/index.html')
