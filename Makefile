# Two commands are enough: "make demo" shows what edged does, "make test" runs everything that CI runs.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
ON_ALL_CORES := --numprocesses=auto --dist=worksteal

.PHONY: help demo test test-venv test-debian check explore bench bench-debian deb deb-repro vm-test hil clean

help:
	@echo 'make demo       a real model from a signed repository to an answer on the socket'
	@echo 'make test       all that CI runs: lint, types, demo, tests with both sets of versions, packages, a booted Debian 13 (root)'
	@echo 'make check      lint, format and types'
	@echo 'make explore    the property tests with examples that nobody has seen yet'
	@echo 'make bench      what serving costs, beside other servers, in one run (wants an idle machine); bench-debian: inside Debian 13 (root)'
	@echo 'make deb        the Debian packages, in dist/ (root)'
	@echo 'make deb-repro  the same, built twice and compared byte by byte (root)'
	@echo 'make vm-test    the packages on a booted Debian 13 (root)'
	@echo 'make hil        the packages on a virtual board: Debian 13 with its own kernel in QEMU, with sensors that are set (root)'
	@echo 'make clean      remove what was made here; the root file systems in the cache stay'

demo: $(VENV)/ready
	$(RUN) -m demo

# In this order: what fails fast comes first.
.NOTPARALLEL:
test: check demo test-venv test-debian deb-repro vm-test

test-venv: $(VENV)/ready
	$(RUN) -m pytest $(ON_ALL_CORES)

# Without what says the same with either set of versions: once is enough for that.
test-debian:
	tools/test-debian $(ON_ALL_CORES) -m 'not both_alike'

check: $(VENV)/ready
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

explore: $(VENV)/ready
	$(RUN) -m pytest --hypothesis-profile=explore -q $$(grep -rl '^from hypothesis' tests --include='test_*.py')

bench: $(VENV)/ready
	$(RUN) -m bench

# The first fetches the models, for which the container has no network.
bench-debian: $(VENV)/ready
	$(RUN) -c 'from pathlib import Path; from bench.models import read_models; read_models(Path(".bench"))'
	tools/bench-debian

deb:
	tools/deb

deb-repro:
	tools/deb --repro

vm-test: $(VENV)/ready
	tools/vm-test

# Not among the tests: an emulated machine takes its time.
hil: $(VENV)/ready
	tools/hil

$(VENV) $(VENV)/ready: pyproject.toml tools/venv
	tools/venv $(PYTHON) $(VENV)

clean:
	rm -rf $(VENV) .bench dist build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
