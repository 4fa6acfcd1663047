# make demo · make test · make lint: each sets up what it needs, with python3 (3.11+) and venv alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready

# What `make demo` trains on: digits (bundled), cifar10 (downloaded), a folder or a tar archive.
DATA ?= digits
DEMO := runs/demo

# Of `make gpu`: other steps or images, for one.
GPU_ARGS ?=

.PHONY: help demo gpu test lint format docs fuzz durability browser emulators wheel wheel-dependencies lock sbom audit clean

help:
	@echo "make demo    train, export, classify and measure (DATA=cifar10 or DATA=folder for yours)"
	@echo "make test    lint, types, every test"
	@echo "make gpu     check and measure the training stage on this machine's GPU; goes on when stopped"
	@echo "make lint    lint and types alone"
	@echo "make docs    the documentation as a site, in build/docs"
	@echo "make fuzz    hostile input to everything that reads, FUZZ_COUNT=20000 times each"
	@echo "make browser a Chromium and onnxruntime-web, so that make test tries the pages in it"
	@echo "             (Debian, Ubuntu; root)"
	@echo "make emulators  other CPUs, emulated, so that make test tries bundles on them (Debian; root)"
	@echo "make wheel-dependencies  try the wheel with its oldest and its newest dependencies"
	@echo "make durability  kill writers and fill their disks, DURABILITY_COUNT=200 times (full disks: root)"
	@echo "make wheel   dist/*.whl: the same bytes wherever and whenever it is built"
	@echo "make sbom    dist/tinysight.cdx.json: what a device installs, as CycloneDX"
	@echo "make audit   known vulnerabilities in what a device installs (network)"
	@echo "make lock    renew runtime/requirements.lock by constraints.txt (network)"
	@echo "make clean   remove the environment and what the demo wrote"

# pip's own output is hundreds of lines, or with --quiet none for minutes: one line that changes on
# a terminal, a line every 25 packages elsewhere. The exit code is pip's.
define SHOW_PACKAGES
/^Collecting/ { n++; what = "  fetching package " n ": " $$2 }
/^Installing collected/ { what = "  installing " n " packages, a minute or two" }
/^(Collecting|Installing)/ && ("$(TTY)" || n % 25 == 1 || /^Inst/) {
  printf "%s%s%s", ("$(TTY)" ? "\r\033[K" : ""), what, ("$(TTY)" ? "" : "\n"); fflush()
}
/^exit / { code = $$2 }
END { if ("$(TTY)") print ""; exit code }
endef
export SHOW_PACKAGES
TTY := $(shell test -t 2 && echo yes)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@echo "Setting up $(VENV): about 2.7 GB, 3 to 10 minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@{ $(BIN)/python -m pip install -c constraints.txt -e '.[train,export,bench,mcu,docs,dev]'; \
	  echo "exit $$?"; } | awk "$$SHOW_PACKAGES"
	@touch $@

demo: $(READY)
	@$(BIN)/python -m benchmarks demo --data '$(DATA)' --out $(DEMO)

# The CUDA libraries are 3 GB more than the other targets need.
$(VENV)/ready-gpu: $(READY)
	@echo "Adding the CUDA libraries: about 3 GB, some minutes, once."
	@{ $(BIN)/python -m pip install -c constraints.txt -e '.[train-gpu]'; echo "exit $$?"; } \
	  | awk "$$SHOW_PACKAGES"
	@touch $@

gpu: $(VENV)/ready-gpu
	$(BIN)/python -m benchmarks gpu $(GPU_ARGS)

test: lint
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Each module of tests/fuzz that runs takes --count; those that need atheris say so without it, and
# updates.py has a number of its own for what takes long.
FUZZ_COUNT ?= 20000
fuzz: $(READY)
	@for file in $$(grep -l __main__ tests/fuzz/*.py); do \
	  module=tests.fuzz.$$(basename $$file .py); echo "$$module --count $(FUZZ_COUNT)"; \
	  $(BIN)/python -m $$module --count $(FUZZ_COUNT) || exit 1; \
	done

browser: $(READY)
	apt-get update
	apt-get install -y --no-install-recommends chromium-headless-shell fonts-dejavu-core
	$(BIN)/python -m export web --out build/site --overwrite

emulators: $(READY)
	apt-get update
	apt-get install -y --no-install-recommends qemu-user-static
	$(BIN)/python -m benchmarks.emulators.arm64

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "build/docs/index.html"

wheel-dependencies: $(READY)
	$(BIN)/python tests/wheel_dependencies.py

DURABILITY_COUNT ?= 200
durability: $(READY)
	$(BIN)/python -m tests.durability --count $(DURABILITY_COUNT)

# Times, permissions and leftovers of a checkout would be in the wheel: it is built from a copy
# without them. 1980 is the first year that a zip archive knows.
DIST ?= dist
SOURCE_DATE_EPOCH ?= 315532800
wheel: $(READY)
	rm -rf build/wheel && mkdir -p build/wheel
	cp -R runtime pyproject.toml README.md LICENSE build/wheel/
	find build/wheel \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +
	chmod -R u=rwX,go=rX build/wheel
	umask 022 && SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) \
	  $(BIN)/python -m build --wheel --no-isolation -o '$(DIST)' build/wheel
	rm -rf build/wheel

# Tools of their own, since their dependencies would pin those of the stages.
SUPPLY := build/supply
$(SUPPLY)/bin/python:
	$(PYTHON) -m venv $(SUPPLY)
	$(SUPPLY)/bin/python -m pip install --quiet 'cyclonedx-bom>=7.2' 'pip-audit>=2.9' 'uv>=0.8'

LOCK := runtime/requirements.lock
lock: $(SUPPLY)/bin/python
	$(SUPPLY)/bin/uv pip compile pyproject.toml --constraints constraints.txt --upgrade \
	  --generate-hashes --universal --python-version 3.11 \
	  --no-annotate --no-header --no-emit-index-url --quiet -o $(LOCK)

sbom: $(SUPPLY)/bin/python
	mkdir -p '$(DIST)'
	$(SUPPLY)/bin/cyclonedx-py requirements --pyproject pyproject.toml --mc-type library \
	  --output-reproducible -o '$(DIST)/tinysight.cdx.json' $(LOCK)

audit: $(SUPPLY)/bin/python
	$(SUPPLY)/bin/pip-audit --requirement $(LOCK) --require-hashes --disable-pip

clean:
	rm -rf $(VENV) $(DEMO) build dist
