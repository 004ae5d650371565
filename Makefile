# make demo: from a fresh clone to an exported generator of digits. make test: the tests.
# Everything goes into .venv; PYTHON names the interpreter (3.10 to 3.13) to make it with.

SHELL := /bin/bash
VENV ?= .venv
EXTRAS ?= cpu,dev
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3 python; do \
	if "$$p" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	then echo "$$p"; break; fi; done)
BIN := $(VENV)/bin
comma := ,
READY := $(VENV)/.ready-$(subst $(comma),-,$(EXTRAS))
# The build tool's remarks on editable installations are none of a newcomer's business.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --quiet --disable-pip-version-check
DEMO ?= output/demo
DEMO_OPTIONS ?=

BENCH_OPTIONS ?=
# A peer to compare with, in an environment of its own. Pinned to the versions of the recorded
# figures, and to nothing else: whether PyTorch comes with CUDA libraries (gigabytes) or without
# is up to the index that pip is set to.
PEER ?= torch
PACKAGES_torch := torch==2.13.0 numpy<3
PACKAGES_keras := keras==3.15.1 jax==0.10.2
PEER_VENV ?= .venv-$(PEER)
PEER_READY := $(PEER_VENV)/.ready

# The documentation's tools, pinned, in an environment of their own.
DOCS_VENV ?= .venv-docs
DOCS_READY := $(DOCS_VENV)/.ready

.PHONY: demo test slow lint fuzz env bench bench-peer clean help faults load docs

help:
	@echo "make demo   train a small DCGAN on MNIST, sample it and export it (about five minutes)"
	@echo "make test   run the tests"
	@echo "make slow   run the tests that train for minutes"
	@echo "make lint   check style and types"
	@echo "make bench  measure how fast the recipes train here"
	@echo "make bench-peer  compare with the same nets in PyTorch (installed into .venv-torch)"
	@echo "make bench-peer PEER=keras  the same in Keras on JAX (installed into .venv-keras)"
	@echo "make faults kill training 100 times at random, resume it, compare the bytes (minutes)"
	@echo "make load   train 10,000 iterations and watch memory, files and threads"
	@echo "make docs   build the documentation as a site: site/index.html"
	@echo "make fuzz   fuzz the readers of IDX files and recipes, FUZZ_SECONDS each"
	@echo "make clean  remove $(VENV), the demo's output and the site"

env: $(READY)

$(READY): setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.10 to 3.13; name one by PYTHON=..." >&2; exit 2; }
	@echo "installing into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade pip
	@$(PIP) install -e '.[$(EXTRAS)]'
	@touch $@

demo: env
	@$(BIN)/python tools/demo.py --output $(DEMO) $(DEMO_OPTIONS)

# One process for each core, one thread in each: quicker than all threads for one test.
# TESTS names some of them, such as TESTS=tests/export; without it, all run.
test: env
	PPGAN_ZOO_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist worksteal -m "not slow" $(TESTS)

slow: env
	PPGAN_ZOO_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist worksteal -m slow

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: env
	@$(BIN)/ppgan-zoo bench $(BENCH_OPTIONS)

$(PEER_READY): Makefile
	@test -n "$(PACKAGES_$(PEER))" || { echo "make: no peer $(PEER); give PEER=torch or PEER=keras" >&2; exit 2; }
	@$(BIN)/python -m venv $(PEER_VENV)
	@echo "installing $(PACKAGES_$(PEER)) into $(PEER_VENV) ..."
	@PYTHONWARNINGS=ignore $(PEER_VENV)/bin/python -m pip --quiet --disable-pip-version-check \
		install $(foreach package,$(PACKAGES_$(PEER)),'$(package)')
	@touch $@

bench-peer: env $(PEER_READY)
	@$(BIN)/python benchmarks/peers.py --peer $(PEER) --python $(PEER_VENV)/bin/python $(BENCH_OPTIONS)

faults: env
	$(BIN)/python tools/faults.py

load: env
	$(BIN)/python tools/load.py

$(DOCS_READY): docs/site/requirements.txt
	@test -n "$(PYTHON)" || { echo "make: needs Python 3.10 to 3.13; name one by PYTHON=..." >&2; exit 2; }
	@echo "installing into $(DOCS_VENV) ..."
	@$(PYTHON) -m venv $(DOCS_VENV)
	@PYTHONWARNINGS=ignore $(DOCS_VENV)/bin/python -m pip --quiet --disable-pip-version-check \
		install -r docs/site/requirements.txt
	@touch $@

# A link that leads nowhere is an error.
docs: $(DOCS_READY)
	@NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --quiet --strict
	@echo "site/index.html, and in Chinese site/zh/index.html"

# atheris has wheels for some versions of Python only (3.11 is one), and is no part of the tests.
FUZZ_SECONDS ?= 180
FUZZ_OPTIONS = -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -rss_limit_mb=2048

fuzz:
	@$(MAKE) --no-print-directory env VENV=.venv-fuzz EXTRAS=fuzz
	@mkdir -p output/fuzz/idx output/fuzz/recipe
	@cp configs/*.yml output/fuzz/recipe
	cd output/fuzz && ../../.venv-fuzz/bin/python ../../tests/fuzz/fuzz.py idx idx $(FUZZ_OPTIONS)
	cd output/fuzz && ../../.venv-fuzz/bin/python ../../tests/fuzz/fuzz.py recipe recipe $(FUZZ_OPTIONS)

clean:
	rm -rf $(VENV) .venv-torch .venv-keras $(DOCS_VENV) $(DEMO) site
