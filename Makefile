# `make lab` to read and run the course, `make test` to check it. Each makes .venv itself when it is missing or stale.
# How long PyTorch's threads wait for each other in a busy loop (Linux). By default so long that a training beside other
# work can take 30 times as long.
export GOMP_SPINCOUNT ?= 1000
PYTHON ?= python3
PORT   ?= 8888
ARGS   ?=
LINEAR ?=
TRAIN  ?=
DOCTOR ?=
BIN    := .venv/bin
# Two tests at a time, each with one thread, so that both cores have work and none waits for the other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help lab test test-slow test-all lint try run sync version bench docs slides clean

help:  ## List these targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 11

lab: .venv/.ready  ## Open the course in JupyterLab (PORT=8888, ARGS='--no-browser')
	$(BIN)/jupyter lab --port=$(PORT) $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS) --ServerApp.root_dir=nbs --LabApp.default_url=/lab/tree/lessons/00_whole_game.ipynb

test: .venv/.ready  ## Check it, before each commit (ARGS='-k wheel' picks some)
	$(PYTEST) $(ARGS)

test-slow: .venv/.ready  ## What takes longer: trainings, lessons in JupyterLab, every page of the site
	$(PYTEST) -m 'slow and not study' $(ARGS)

test-all: .venv/.ready  ## Run every check, a user's environment and whole studies of many trainings among them
	$(PYTEST) -m 'slow or not slow' $(ARGS)

lint: .venv/.ready  ## Look for unused names, blind excepts and long lines, as make test does
	$(BIN)/ruff check

try: .venv/.ready  ## Try it in another environment (ARGS='user', 'oldest' or 'nbdev3', and '--python python3.13')
	$(BIN)/python -m tools.environments $(ARGS)

run: .venv/.ready  ## Run every notebook in a fresh Jupyter kernel (ARGS='--save nbs/lessons/02_softmax.ipynb' keeps its outputs)
	$(BIN)/python -m tools.run_lessons $(ARGS)

sync: .venv/.ready  ## After editing a notebook: export the modules, tag the slides, clean the notebooks, write README.md
	$(BIN)/nbdev_export
	$(BIN)/python -m tools.write_slides
	$(BIN)/nbdev_clean
	$(BIN)/python -m tools.write_readme

version: .venv/.ready  ## Give the course a new version (ARGS=0.7.0), also in what the notebooks install on Colab
	$(BIN)/python -m tools.set_version $(ARGS)
	$(MAKE) sync

bench: .venv/.ready  ## Our loss against PyTorch's, also without the logits; our recipe against the book's; the doctor and its peers (ARGS, LINEAR, TRAIN, DOCTOR='--set dev')
	$(BIN)/python -m benchmarks.loss $(ARGS)
	$(BIN)/python -m benchmarks.linear $(LINEAR)
	$(BIN)/python -m benchmarks.training $(TRAIN)
	$(BIN)/python -m benchmarks.doctor $(DOCTOR)
	$(BIN)/python -m benchmarks.peers $(DOCTOR)

docs: slides  ## Build the site into _docs, which opens from disk (Python 3.11 or newer)
	$(BIN)/sphinx-build -c docs -b html -W --keep-going -q nbs _docs
	@echo "open _docs/index.html"

slides: .venv/.docs  ## Make a deck of each lesson in _docs/slides: one file, which needs no network (ARGS='nbs/further/03*' picks others)
	$(BIN)/jupyter nbconvert --to slides --log-level WARN --output-dir _docs/slides $(or $(ARGS),nbs/lessons/*.ipynb)
	@echo "open _docs/slides/00_whole_game.slides.html"

clean:  ## Remove .venv and all that was built
	rm -rf .venv _docs jupyter_execute _proc build dist *.egg-info

.venv/.ready: settings.ini setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 10) else f"This course needs Python 3.10 or newer; $(PYTHON) is {v[0]}.{v[1]}. Try: make lab PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' || { echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable '.[dev]'
	ln -sf ../../../docs/slides/jupyter_nbconvert_config.py .venv/etc/jupyter/
	touch $@

.venv/.docs: .venv/.ready
	$(BIN)/python -m pip install --editable '.[docs]'
	touch $@
