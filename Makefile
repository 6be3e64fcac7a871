# Each target does all of its set-up from a bare checkout. The environments are .venv and .venv-<version>; a stamp file
# in them tells which extras are installed, and goes stale with pyproject.toml or constraints.txt.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
NEWER := 3.12 3.13
ARGS ?=
# Processes of tests at a time, two for each of two cores: half of the time a test waits, for a worker or a clock. A file
# stays in one of them, with its order and whatever its tests share.
JOBS ?= 4
# Which tests: without the variants that start workers by spawn, and without long stalls. SELECT= is all of them.
SELECT ?= not spawn and not slow

FRONTEND = $(VENV)/bin/python frontend/build.py --tools $(VENV)/tools

RUNS = -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python $(RUNS) && { echo $$python; break; }; done)

.PHONY: help page demo test spawn test-all bench bench-http bench-page lint docs pytest cpython clean

help:  ## say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

page: $(VENV)/.made  ## build the live page, with the machine's npm or one from PyPI; nothing is built twice
	@$(FRONTEND) build

demo: ready-demo  ## serve pools with the page, under traffic that changes, and kill a worker of each
	@$(VENV)/bin/millpond demo $(ARGS)

test: lint docs pytest  ## check style and types, build the docs, then run the tests on this Python

spawn:  ## run the tests that hold for both ways to start workers once more, with spawned ones
	@$(MAKE) pytest SELECT=spawn

test-all: lint docs  ## all tests, long ones too, and CPython's tests of its pool, on this and each newer Python
	@$(MAKE) pytest cpython SELECT=
	@for version in $(NEWER); do \
		found=; \
		for python in python$$version $(HOME)/.pyenv/versions/$$version*/bin/python$$version; do \
			if $$python $(RUNS); then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then echo "Python $$version is not on this machine: not tested"; continue; fi; \
		$(MAKE) pytest cpython SELECT= VENV=.venv-$$version PYTHON=$$found; \
	done

bench: $(VENV)/.has-bench  ## measure Millpond and other process pools side by side (ARGS=--quick for a short run)
	@echo "Measuring; leave the machine alone meanwhile"
	@$(VENV)/bin/python -m benchmarks.run $(ARGS)

bench-http:  ## measure `millpond serve` and other model servers side by side, with wrk, in an environment of their own
	@$(MAKE) VENV=.venv-bench-http .venv-bench-http/.has-bench-http
	@echo "Measuring; leave the machine alone meanwhile"
	@.venv-bench-http/bin/python -m benchmarks.http $(ARGS)

lint: ready-test  ## check style and types
	@echo "Checking style (ruff) and types (mypy --strict, tsc)"
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(FRONTEND) check

docs: $(VENV)/.has-docs  ## build the pages with the reference into site/; a warning is an error
	@$(VENV)/bin/python -m mkdocs build --strict

pytest: ready-test
	@echo "Running the tests of the live page's code"
	@$(FRONTEND) test
	@echo "Running the tests on $$($(VENV)/bin/python -V)"
	@$(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile -m "$(SELECT)" --durations=25 $(ARGS)

cpython: $(VENV)/.has-test
	@echo "Running CPython's tests of its process pool against ours on $$($(VENV)/bin/python -V)"
	@$(VENV)/bin/python -m tests.cpython.run

clean:  ## remove the environments and every cache
	rm -rf .venv .venv-* build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf frontend/node_modules src/millpond/http/dashboard/static
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Millpond needs Python 3.11 or newer, and none is on the PATH."; \
		echo "On Debian 12 or newer: apt-get install python3 python3-venv. Or name one: make ... PYTHON=/path/to/python3"; \
		exit 1; \
	fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) cannot make virtual environments here. On Debian: apt-get install python3-venv"; exit 1; \
	fi
	@echo "Making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# The demo waits for no compiler, and for the compiling of no module that it does not import.
$(VENV)/.has-demo: PIP_ARGS = --only-binary :all: --no-compile

$(VENV)/.has-%: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing Millpond and what '$*' needs into $(VENV)"
	@HATCH_BUILD_NO_HOOKS=1 $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		$(PIP_ARGS) -e '.[$*]' -c constraints.txt
	@touch $@

# pip and npm work at the same time.
ready-%:
	@$(MAKE) -s -j2 $(VENV)/.has-$* page
