# Needs make and Python 3.11 or newer; each target installs the rest of what it needs.
.PHONY: install dev system-packages check test test-slow simulate demo bench
.DEFAULT_GOAL := install

BIN := .venv/bin
# Else each of the hundreds of processes that the tests start compiles this tree anew.
unexport PYTHONDONTWRITEBYTECODE
# Three workers, because many wait for a lease to end: a test file stays on one, so that the services it starts are started once.
# Files go out in the order of tests/conftest.py, the longest first.
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

install:
	@tools/install

dev:
	@tools/install --dev

# The main job, on this machine alone; ARGS=--yes answers the approval by itself.
demo: install
	@$(BIN)/quell demo $(ARGS)

check: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/test_style.py

system-packages:
	@tools/system-packages

# Everything that isn't slow, under 20 minutes on two cores.
test: dev system-packages check
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: dev system-packages
	$(PYTEST) -m slow $(ARGS)

# Histories of replicas, senders and people under faults, one a seed; SEEDS says how many.
simulate: SEEDS ?= 10000
simulate: dev
	$(BIN)/python -m tests.simulation.many_seeds --seeds $(SEEDS)

bench: dev
	@for file in benchmarks/[a-z]*.py; do \
		name=$$(basename $$file .py); \
		if [ $$name != harness ] && [ $$name != senders ]; then $(BIN)/python -m benchmarks.$$name || exit 1; fi; \
	done
