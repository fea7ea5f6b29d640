"Give the course a new version: in settings.ini, CITATION.cff, and in notebooks the tag that Colab opens or installs."
import datetime, re, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAGGED = re.compile(r"(xent-course/xent_course(?:@|/blob/))(v\d+\.\d+\.\d+)")  # a version, after whatever leads to it


def rewrite(path, *changes):
    text = path.read_text(encoding='utf-8')
    for pattern, new in changes: text = re.sub(pattern, new, text)
    path.write_text(text, encoding='utf-8')


def set_version(root, version):
    "Write `version` into every file at and below `root` that names one."
    if not re.fullmatch(r'\d+\.\d+\.\d+', version):
        raise ValueError(f'version must be three numbers like 0.3.0, got {version!r}')
    rewrite(root/'settings.ini', (r'(?m)^version = .*', f'version = {version}'))
    rewrite(root/'CITATION.cff', (r'(?m)^version: .*', f'version: {version}'),
            (r'(?m)^date-released: .*', f'date-released: {datetime.date.today()}'))
    for notebook in (root/'nbs').rglob('*.ipynb'): rewrite(notebook, (TAGGED, rf'\g<1>v{version}'))


if __name__ == '__main__':
    if len(sys.argv) != 2: sys.exit("name the new version: make version ARGS=0.3.0")
    set_version(ROOT, sys.argv[1])
