# make run: install, and run the bundled example.
# make test: install, and run every check.
# make wheelhouse: download the packages into a folder, for a machine without internet.
# make site: build the site of the documentation into site/; a broken link fails it.
# make bench: score the weights on simulated images, or on labelled images with DATA=folder.
PYTHON ?= python3
CORES ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
VENV := .venv
# If the folder `wheelhouse` exists, packages are installed only from it.
OFFLINE := $(if $(wildcard wheelhouse),--no-index --find-links wheelhouse)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: run test bench lint site setup setup-dev config-table wheelhouse

run: setup example/movie example/merfish
	snakemake --cores $(CORES)
	@echo "Reports:"; ls results/*/4_report/report.html

# Files of tests run side by side; the tests of one file stay together.
test: lint
	OMP_NUM_THREADS=1 python -m pytest -n $(CORES) --dist loadfile --ignore tests/workflow
	python -m pytest -n $(CORES) --dist loadfile tests/workflow

bench: setup
	python -m cellsam_core benchmark $(if $(DATA),--data $(DATA)) -o results/benchmark

lint: setup-dev
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	python tools/check_docstrings.py
	snakefmt --check Snakefile workflow
	snakemake --lint

config-table: setup-dev
	python tools/make_config_table.py
	python tools/make_outputs_table.py
	python tools/make_verdict_table.py
	python tools/make_refusals_table.py

# The generator is in no lock: only this command and .github/workflows/docs.yml use it.
site: setup
	@$(VENV)/bin/python -c 'import mkdocs, material, mkdocs_jupyter' 2> /dev/null \
	  || $(VENV)/bin/pip install --quiet --disable-pip-version-check -r docs/requirements.txt
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

# The packages are for the platform and the Python of this machine. The second command adds the packages
# that install and build, which the lock does not list.
wheelhouse: | $(VENV)/bin/python
	$(VENV)/bin/pip download --quiet --prefer-binary -d $@.part --no-deps --require-hashes -r requirements.lock
	$(VENV)/bin/pip download --quiet --only-binary :all: -d $@.part uv editables 'hatchling>=1.26' setuptools
	mv $@.part $@

example/%: | setup
	python -m cellsam_core simulate $* -o $@ --seed 1

# Each lock is installed once. Every package is checked by its hash.
setup: $(VENV)/.run
setup-dev: $(VENV)/.dev

$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(call install,$<)

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	$(call install,$<)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is %d.%d: make PYTHON=/path/to/python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(OFFLINE) uv \
	  || echo "uv cannot be had: pip installs, which takes longer"

# Install a lock with uv, or with pip if there is no uv. Packages of the other lock stay as they are.
# The packages are compiled, so that every job starts some seconds sooner, even if .venv is read-only
# later.
define install
	@echo "Installing $(1) into $(VENV)"
	@if command -v uv > /dev/null; then install="uv pip install --compile-bytecode --python $(VENV)/bin/python"; \
	else install="python -m pip install"; fi; \
	$$install --quiet $(OFFLINE) --require-hashes -r $(1) && $$install --quiet $(OFFLINE) --no-deps -e .
	@touch $@
endef
