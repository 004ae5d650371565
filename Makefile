# make demo: from a fresh clone to an exported generator of digits. make test: the tests.
# Everything goes into .venv; PYTHON names the interpreter (3.10, 3.11 or 3.12) to make it with.

SHELL := /bin/bash
VENV ?= .venv
EXTRAS ?= cpu,dev
PYTHON ?= $(shell for p in python3.11 python3.12 python3.10 python3 python; do \
	if "$$p" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; \
	then echo "$$p"; break; fi; done)
BIN := $(VENV)/bin
comma := ,
READY := $(VENV)/.ready-$(subst $(comma),-,$(EXTRAS))
# The build tool's remarks on editable installations are none of a newcomer's business.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --quiet --disable-pip-version-check
DEMO ?= output/demo
DEMO_OPTIONS ?=

BENCH_OPTIONS ?=

.PHONY: demo test lint env bench clean help

help:
	@echo "make demo   train a small DCGAN on MNIST, sample it and export it (about five minutes)"
	@echo "make test   run the tests"
	@echo "make lint   check style and types"
	@echo "make bench  measure how fast the recipes train here"
	@echo "make clean  remove $(VENV) and the demo's output"

env: $(READY)

$(READY): setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.10, 3.11 or 3.12; name one by PYTHON=..." >&2; exit 2; }
	@echo "installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip
	@$(PIP) install -e '.[$(EXTRAS)]'
	@touch $@

demo: env
	@$(BIN)/python tools/demo.py --output $(DEMO) $(DEMO_OPTIONS)

test: env
	$(BIN)/python -m pytest

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: env
	@$(BIN)/ppgan-zoo bench $(BENCH_OPTIONS)

clean:
	rm -rf $(VENV) $(DEMO)
