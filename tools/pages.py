"Write every lesson as a web page that needs no Jupyter and no network, with all that it loads beside it."
import argparse, re, shutil
from pathlib import Path

import nbclassic
import nbformat
from nbconvert import HTMLExporter

from run_lessons import ROOT, lessons


def write_pages(folder):
    "Write the pages into `folder`, which is replaced; gives their paths."
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(Path(nbclassic.__file__).parent/'static'/'components'/'MathJax', folder/'mathjax')
    written = []
    for lesson in lessons():
        place = lesson.relative_to(ROOT/'nbs').with_suffix('.html')
        mathjax = '../' * (len(place.parts) - 1) + 'mathjax/MathJax.js'
        exporter = HTMLExporter(template_name='pages_template', extra_template_basedirs=[str(ROOT/'tools')], mathjax_url=mathjax)
        notebook = nbformat.read(lesson, as_version=4)
        notebook.metadata.pop('widgets', None)  # their state needs scripts from a network
        html, _ = exporter.from_notebook_node(notebook, {'metadata': {'name': lesson.stem}})
        page = folder/place
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(re.sub(r'(href="(?!https?:)[^"]*)\.ipynb', r'\1.html', html), encoding='utf-8')
        written.append(page)
    return written


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', nargs='?', type=Path, default=ROOT/'_pages', help='where to write them (default: _pages)')
    folder = parser.parse_args().folder
    print(f'{len(write_pages(folder))} pages: open {folder}/index.html')
