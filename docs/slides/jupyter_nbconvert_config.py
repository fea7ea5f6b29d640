"How nbconvert makes a deck of a lesson: `jupyter nbconvert --to slides`, in the environment that make sets up."
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))
from tools.write_slides import prepare  # noqa: E402

slides = get_config().SlidesExporter  # noqa: F821 - nbconvert reads this file
slides.preprocessors = [prepare]
slides.exclude_input_prompt = slides.exclude_output_prompt = slides.reveal_scroll = True
packages = [find_spec(name) for name in ('sphinx_revealjs', 'sphinx-mathjax-offline')]
if all(packages):  # or else nbconvert's own template, which loads its scripts from the network
    reveal, mathjax = (Path(package.submodule_search_locations[0]) for package in packages)
    slides.template_name, slides.extra_template_basedirs = 'slides', [str(HERE.parent)]
    slides.extra_template_paths = [str(reveal/'_static'/'revealjs'/'dist'), str(mathjax/'static'/'mathjax')]
