# Every door of the project. `make help` lists them; CONTRIBUTING.md says when to use which.

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PACKAGES := protocol l1 contracts node sequencer challenger sim straddle bench tests
N ?= 2000
# A new seed each time, printed by the runs that use it; `make fuzz SEED=...` repeats one.
SEED := $(or $(SEED),$(shell od -An -N4 -tu4 /dev/urandom | tr -d ' '))
# pyrevm has wheels for 3.11 and 3.12; on 3.13 pip builds it, which needs Rust, so that comes last.
# `command -v` is not enough: a shim may be there without its Python.
IS_BEST := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))
IS_SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.11; do $$p -c '$(IS_BEST)' 2>/dev/null && echo $$p && exit; done; \
	for p in python3 python3.13; do $$p -c '$(IS_SUITABLE)' 2>/dev/null && echo $$p && exit; done)

.DEFAULT_GOAL := help
.PHONY: help install demo test check format build twins vectors bench dispute-cost fuzz slow constraints clean

help: ## List the targets. Example: make help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv with everything pinned; quick when nothing changed. Example: make install PYTHON=python3.12

demo: $(STAMP) ## Run a whole exchange on this machine. Example: make demo ARGS="--help"
	$(VENV)/bin/straddle demo $(ARGS)

test: $(STAMP) ## Run every test but the slow ones. Example: make test ARGS="tests/l1 -x"
	$(PY) -m pytest -q $(ARGS)

check: $(STAMP) ## Check format, lint, types, imports, built contracts, house rules. Example: make check
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy $(PACKAGES)
	$(VENV)/bin/lint-imports
	$(PY) -m tests.checks
	$(PY) -m pytest -q tests/checks
	$(PY) -m contracts.build --check

format: $(STAMP) ## Format the code and fix what the linter can fix. Example: make format
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

build: $(STAMP) ## Compile the contracts into their artifacts. Example: make build
	$(PY) -m contracts.build $(ARGS)

twins: $(STAMP) ## Run every step N times in Python and on an EVM, compare exactly. Example: make twins N=500
	@mkdir -p .out
	$(PY) -m sim.twins --n $(N) $(ARGS)

vectors: $(STAMP) ## Write the conformance vectors anew. Example: make vectors ARGS=withdraw
	$(PY) -m sim.vectors $(ARGS)

bench: $(STAMP) ## Measure throughput, latency and gas. Example: make bench
	$(PY) -m bench $(ARGS)

dispute-cost: $(STAMP) ## Measure what the truth costs against many liars. Example: make dispute-cost
	$(PY) -m bench.dispute

fuzz: $(STAMP) ## Run the property tests with many new examples. Example: make fuzz SEED=1234
	HYPOTHESIS_PROFILE=fuzz STRADDLE_SEED=$(SEED) $(PY) -m pytest -q -m hypothesis --hypothesis-seed=$(SEED) $(ARGS)

slow: $(STAMP) ## Run the slow tests. Example: make slow ARGS="tests/sim"
	$(PY) -m pytest -q -m slow $(ARGS)

constraints: $(STAMP) ## Write the pins anew from what is installed. Example: make constraints
	@sed -n '/^#/p' requirements/constraints.txt > requirements/constraints.new
	$(PY) -m pip freeze --exclude-editable --exclude pip --exclude setuptools --exclude wheel | sort -f >> requirements/constraints.new
	mv requirements/constraints.new requirements/constraints.txt

clean: ## Remove all that make has made. Example: make clean
	rm -rf $(VENV) .out build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 found; install one, or name it: make install PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c '$(IS_SUITABLE)' || { echo "make: $(PYTHON) is not a Python 3.11 to 3.13" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The editable install is a path to this folder, so only the list of packages makes it stale.
$(STAMP): pyproject.toml requirements/constraints.txt | $(PY)
	$(PY) -m pip install --quiet --disable-pip-version-check -c requirements/constraints.txt -e ".[dev]"
	@touch $@
