# Every target sets itself up: `make demo` and `make test` work from nothing but Python >= 3.11, git and make.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench docs lock clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

help: ## what can be made here
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(READY) ## a virtual environment in .venv, from the locked requirements

$(READY): requirements/development.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "membergate needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement requirements/development.txt \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/development.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q src
	touch $@

demo: $(READY) ## simulate a market, run the whole cycle, print what it admits at equal leakage
	$(BIN)/membergate demo

test: $(READY) ## the whole suite
	$(BIN)/pytest

check: $(READY) ## formatting, lint, types, layers, the house's own rules, docs that build
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/house
	$(BIN)/mkdocs build --strict

bench: $(READY) ## measured cost of the hot paths, each beside its peer
	for file in benchmarks/*.py; do PYTHONPATH=. $(BIN)/python $$file || exit 1; done

docs: $(READY) ## the documentation site, into build/site
	$(BIN)/mkdocs build --strict

lock: $(READY) ## upgrade every locked requirement
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --all-extras \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements/development.txt
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --constraint requirements/development.txt \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements/runtime.txt
	$(BIN)/uv pip compile requirements/benchmarks.in --upgrade --universal --python-version 3.11 --constraint requirements/development.txt \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements/benchmarks.txt
	echo uv | $(BIN)/uv pip compile - --universal --python-version 3.11 --constraint requirements/development.txt \
	  --generate-hashes --no-emit-index-url --no-header --quiet --output-file requirements/uv.txt

clean: ## what can be made again
	rm -rf $(VENV) build workspace .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
