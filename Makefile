# The commands of plait.  Each makes .venv from python3 and installs what it needs there;
# a second run finds the stamp and is quick.  Options go into ARGS:
#
#   make demo ARGS=--once
#   make test ARGS="-k websocket -x"
#   make bench ARGS="--only h2-varied --rounds 9"

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin

# The tests start hundreds of interpreters.  Without bytecode each would compile plait anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test lint style types-3.11 types-3.13 coverage bench fuzz peers clean

help:
	@echo "make demo      run server and client over every protocol, then serve a page (ARGS=--once: no page)"
	@echo "make test      format, lint, types and every test, real peers included"
	@echo "make bench     CPU time per operation beside the peers"
	@echo "make coverage  which lines and branches of the engine its own tests run, by module"
	@echo "make fuzz      coverage-guided fuzzing of every decoder"
	@echo "make lint      format, lint and types only"
	@echo "make clean     remove .venv and the caches"

demo: .venv/.installed-demo
	$(BIN)/python -m examples.demo $(ARGS)

# What must be there first is installed and checked side by side.
# A file's tests run in one process, the files in as many as there are cores, four at most, in
# the order of tests/conftest.py.
test:
	@$(MAKE) --no-print-directory --jobs lint peers .venv/.installed-ecosystem
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	  --no-loadscope-reorder $(ARGS)

lint: style types-3.11 types-3.13

style: .venv/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m tests.house

# Types are checked for the oldest and the newest Python of pyproject.toml, whichever runs here.
types-3.11: .venv/.installed-test
	$(BIN)/mypy --python-version 3.11

types-3.13: .venv/.installed-test
	$(BIN)/mypy --python-version 3.13

# The same examples each time, so that a figure that changes means something.
coverage: .venv/.installed-test
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	  --hypothesis-profile=ci --cov --cov-report=term-missing \
	  tests/engine tests/attacks/http2 tests/attacks/test_http1.py $(ARGS)

bench: .venv/.installed-bench peers
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: .venv/.installed-fuzz
	$(BIN)/python -m fuzz $(ARGS)

# The programs of others that tests and benchmarks talk to: nginx, curl, Chromium ...
peers:
	@tests/interop/install-peers.sh

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

# One stamp for each dependency group of pyproject.toml.
.venv/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group $*
	@touch $@

# Libraries for aiohttp, which tests run on plait.  They have an environment of their own: pytest
# loads every plugin that it finds beside it.
.venv/.installed-ecosystem: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv .venv/ecosystem
	.venv/ecosystem/bin/python -m pip install --quiet "pip>=25.1"
	.venv/ecosystem/bin/python -m pip install --quiet --editable . --group ecosystem
	@tests/ecosystem/fetch-suites.sh .venv/ecosystem
	@touch $@

.PRECIOUS: .venv/.installed-%

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "plait needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { echo "$(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv"; rm -rf .venv; exit 1; }
