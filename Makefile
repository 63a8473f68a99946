# Everything here works on a fresh Debian or Ubuntu with make and Python 3.11 or newer. `make help` lists the targets.

PYTHON ?= python3
VENV ?= .venv
# A build of PyTorch that is already in $(VENV) is kept when it fits, so that you can put in the one for your device first.
TORCH ?= torch>=2.8,<2.14
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
# Two workers with one thread each: more threads only fight over the cores.
TESTS := OMP_NUM_THREADS=1 $(PY) -m pytest

.DEFAULT_GOAL := help
.PHONY: help setup page demo test test-fast test-long lint fmt bench docs clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1@\2/p' Makefile | column -t -s @ 2>/dev/null || grep '##' Makefile

setup: $(VENV)/dev.stamp ## make .venv with everything in it (the other targets do this first)

demo: setup ## train eight configurations on real data, in a live table; run it again to go on after a pause
	@$(VENV)/bin/modelyard train examples/digits.yaml --continue

page: setup ## build the page again if it changed
	@$(PY) web/npm.py build

test: test-fast test-long ## everything that CI runs

test-fast: lint page $(VENV)/chromium.stamp ## style, types, layers and the fast tests
	$(TESTS) -n 2 -m "not long"

# 5 is pytest's exit code for "no test was selected".
test-long: setup ## the fault and scale tests, which take minutes
	$(TESTS) -n 2 -m long --timeout 1800 || test $$? -eq 5

lint: setup
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache
	$(PY) web/npm.py --silent run check
	$(PY) web/npm.py --silent run knip
	$(PY) web/npm.py --silent test

fmt: setup ## format the code and mend what ruff can
	$(VENV)/bin/ruff format
	$(VENV)/bin/ruff check --fix

bench: setup ## run every benchmark and print its table: two hours, on a machine that does nothing else
	@for script in bench/[a-z]*.py; do $(PY) $$script || exit 1; done

docs: setup ## write the generated pages anew and build the site into site/
	@for script in docs/generate_*.py; do $(PY) $$script || exit 1; done
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

clean: ## remove caches and builds; .venv and your data stay
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Each stamp says that its step is done, so that the second `make` starts at once.
$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Modelyard needs Python 3.11 or newer, and '$(PYTHON)' is not that. Install it, or name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
	@test -x $(PY) || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@touch $@

$(VENV)/torch.stamp: $(VENV)/made.stamp
	@echo "Installing PyTorch (once; this is the large part) ..."
	@$(PIP) install -c constraints.txt "$(TORCH)"
	@touch $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp pyproject.toml constraints.txt
	@echo "Installing Modelyard and its tools ..."
	@$(PIP) --quiet install -c constraints.txt -e ".[dev]"
	@touch $@

# The page's tests need a browser; without one, and without the right to install it, they are skipped and say so.
$(VENV)/chromium.stamp: $(VENV)/dev.stamp
	@command -v chromium chromium-browser google-chrome >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	  && echo "Installing Chromium ..." && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; } \
	  || echo "There is no Chromium, so the tests of the page are skipped; on Debian: sudo apt install chromium"
	@touch $@
