# Nocturne: make run | make test | make lab. Only python3 >= 3.11 and make are needed; everything lands in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install run test test-browser lint lab clean
.NOTPARALLEL:

help:
	@echo "make run      set up, execute every notebook at the smoke profile, write the report"
	@echo "make test     set up, then linter, type checker and all tests"
	@echo "make test-browser  set up, then move every slider of the method notebooks in a real browser (about five minutes)"
	@echo "make lab      set up, then open JupyterLab on notebooks/"
	@echo "make lint     set up, then linter and type checker only"
	@echo "make install  set up only;  make clean  removes .venv"

install: $(STAMP)

# The stamp is written last: an install that was cut off is taken up again, a newer lock or pyproject re-installs.
$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || \
	  { echo "Nocturne needs Python 3.11 or newer, and '$(PYTHON)' was not found; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Nocturne needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V 2>&1); name another with: make PYTHON=python3.12" >&2; exit 1; }
	@rm -f $@
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || \
	  { echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu it comes with: apt install python3-venv" >&2; exit 1; }
	@echo "Installing the pinned packages into $(VENV) (about 7 GB on Linux with CUDA, some minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# one thread: sums stay the same from machine to machine, and on a busy machine two are slower than one
run test test-browser: export OMP_NUM_THREADS ?= 1

run: install
	@$(BIN)/nocturne run --all --profile smoke
	@$(BIN)/nocturne report

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

# JupyterLab and the client of Chromium's DevTools come with the lock; Chromium is the system's
test-browser: install
	NOCTURNE_BROWSER=reports/browser $(BIN)/python -m pytest -rsP tests/browser

lab: install
	$(BIN)/jupyter lab notebooks

clean:
	rm -rf $(VENV)
