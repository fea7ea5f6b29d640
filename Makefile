# `make lab` to read and run the course, `make test` to check it. Each makes .venv itself when it is missing or stale.
# How long PyTorch's threads wait for each other in a busy loop (Linux). By default so long that a training beside other work can take 30 times as long.
export GOMP_SPINCOUNT ?= 1000
PYTHON ?= python3
PORT   ?= 8888
ARGS   ?=
LINEAR ?=
TRAIN  ?=
DOCTOR ?=
BIN    := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help lab test test-slow test-all try run sync version bench docs pages clean

help:  ## List these targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 11

lab: .venv/.ready  ## Open the course in JupyterLab (PORT=8888, ARGS='--no-browser')
	$(BIN)/jupyter lab --port=$(PORT) $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS) nbs/index.ipynb

test: .venv/.ready  ## Check it, before each commit (ARGS='-k wheel' picks some)
	$(BIN)/python -m pytest -m 'not slow' $(ARGS)

test-slow: .venv/.ready  ## The rest: long trainings, every lesson in the browser, thousands of cases, a user's environment
	$(BIN)/python -m pytest -m slow $(ARGS)

test-all: test test-slow  ## Run every check

try: .venv/.ready  ## Try it in another environment (ARGS='user', 'oldest' or 'nbdev3', and '--python python3.13' for another Python)
	$(BIN)/python tools/environments.py $(ARGS)

run: .venv/.ready  ## Run every lesson in a fresh Jupyter kernel (ARGS='nbs/02_softmax.ipynb' picks some, ARGS=--save keeps the outputs)
	$(BIN)/python tools/run_lessons.py $(ARGS)

sync: .venv/.ready  ## After editing a notebook: export the modules, clean the notebooks, write README.md
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
	$(BIN)/python tools/write_readme.py

version: .venv/.ready  ## Give the course a new version (ARGS=0.3.0), also in what the notebooks install on Colab
	$(BIN)/python tools/set_version.py $(ARGS)
	$(MAKE) sync

bench: .venv/.ready  ## Our loss against PyTorch's: time and memory (ARGS='--rows 64 --classes 10' picks sizes; draws bench.png), also without the logits (LINEAR='--words 1024'); our recipe against the book's (TRAIN='--seeds 5 6'); how often the doctor is right (DOCTOR='--half build')
	$(BIN)/python tools/bench.py $(ARGS)
	$(BIN)/python tools/bench_linear.py $(LINEAR)
	$(BIN)/python tools/bench_training.py $(TRAIN)
	$(BIN)/python tools/bench_doctor.py $(DOCTOR)

docs: .venv/.ready  ## Build the site (nbdev fetches Quarto if it is missing)
	PATH="$(abspath $(BIN)):$$PATH" nbdev_docs

pages: .venv/.ready  ## Write every lesson as a web page that needs no Jupyter and no network, into _pages
	$(BIN)/python tools/pages.py

clean:  ## Remove .venv and all that was built
	rm -rf .venv _docs _pages _proc build dist *.egg-info

.venv/.ready: settings.ini setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 10) else f"This course needs Python 3.10 or newer; $(PYTHON) is {v[0]}.{v[1]}. Try: make lab PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' || { echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@
