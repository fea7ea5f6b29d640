"The published site: every notebook, as it is stored, in one build that needs no network to be read. See CONTRIBUTING."
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT/'docs'))
ini = ConfigParser(delimiters=['='])
ini.read(ROOT/'settings.ini', encoding='utf-8')
settings = ini['DEFAULT']

project, author, version = settings['lib_name'], settings['author'], settings['version']
html_title = settings['title']
html_baseurl = settings['doc_host'] + settings['doc_baseurl']
extensions = ['api', 'notebooks', 'myst_nb', 'sphinx_copybutton', 'sphinx-mathjax-offline']
html_theme = 'sphinx_book_theme'
exclude_patterns = ['**.ipynb_checkpoints']
html_static_path = ['_static']
html_css_files, html_js_files = ['course.css'], ['course.js']
html_scaled_image_link = False
html_show_search_summary = False  # it would ask for pages that a browser does not read from disk
nb_render_markdown_format = 'gfm'  # tables in an output
nb_execution_mode = 'off'
myst_enable_extensions = ['dollarmath', 'colon_fence', 'html_image']
myst_heading_anchors = 3
html_context = {'default_mode': 'auto'}
html_theme_options = {
    'repository_url': settings['git_url'], 'repository_branch': f'v{version}', 'path_to_docs': 'nbs',
    'use_repository_button': True, 'use_issues_button': True, 'use_download_button': True,
    'launch_buttons': {'colab_url': 'https://colab.research.google.com'}}
nitpick_ignore_regex = [('py:.*', '.*')]
