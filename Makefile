# One line each: `make demo` sets up and runs the first comparison; `make test` sets up and runs every check, on
# the locked releases; `make test-newest` and `make test-oldest` run the fast tests on the newest releases and on
# the lower bounds of pyproject.toml; `make kills` kills a run at 20 points and a node of a cluster; `make studies`
# makes every published table again, and runs the built package outside the checkout; `make comet` sets up an
# environment that has COMET, whose pins exclude the newest transformers (`make test COMET=no` does without);
# `make torture MINUTES=60 SEED=1` attacks it for an hour and prints a table; `make lock` moves the locks.
# A machine with a GPU: `make demo TORCH=auto` picks the CUDA build that fits its driver.
PYTHON ?= python3
VENV ?= .venv
COMET_VENV ?= .venv-comet
TORCH ?= cpu
COMET ?= yes
MINUTES ?= 60
SEED ?= 1
BIN := $(VENV)/bin
COMET_PYTHON := $(abspath $(COMET_VENV)/bin/python)
INSTALL := $(PYTHON) locks/install.py --torch $(TORCH)
# A file's tests stay together: what they share is made once. In order, so that the longest don't come last.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
LOCK := .venv-lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	--custom-compile-command "make lock" --constraints locks/pins.txt pyproject.toml

# Where it is set, every process compiles thousands of modules anew: 10 to 15 seconds at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-newest test-oldest kills torture studies comet lock run-fast setup setup-dev clean

demo: setup
	@$(BIN)/warmup-bench run --task wmt

test: setup-dev $(if $(filter yes,$(COMET)),comet)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
ifeq ($(COMET),yes)
	$(BIN)/mypy & typed=$$!; OMP_NUM_THREADS=1 $(COMET_PYTHON) -m pytest -m comet -k this_environment \
	  tests/score/test_comet.py && wait $$typed
else
	$(BIN)/mypy
endif
	$(if $(filter yes,$(COMET)),WARMUP_BENCH_COMET_PYTHON=$(COMET_PYTHON)) $(PYTEST)

test-newest test-oldest: test-%:
	@$(INSTALL) .venv-$* --extras dev --on $*
	$(MAKE) --no-print-directory run-fast VENV=.venv-$*

run-fast:
	$(PYTEST)

# The slow tests that CI has time for; the others: pytest -m slow.
kills: setup-dev
	$(PYTEST) -m slow -k "stopped_ends or stopped_often or four_processes or node_that_dies" \
	  tests/execution/test_kill.py tests/execution/test_cluster.py

# Kills, flipped bits, hostile plugins, concurrent starts, full disks: as long as MINUTES says.
torture: setup-dev
	$(BIN)/python tests/torture/torture.py --minutes $(MINUTES) --seed $(SEED)

# Every table and plot of the published studies, made again from their numbers; the built package outside the
# checkout; a cluster's numbers beside a local run's. Each test goes to the next worker that is free.
studies: setup-dev
	$(PYTEST) --dist load -m slow -k "not node_that_dies" \
	  tests/results tests/test_package.py tests/tasks/test_every_task.py tests/execution/test_cluster.py

setup:
	@$(INSTALL) $(VENV) --on base

setup-dev:
	@$(INSTALL) $(VENV) --extras dev --on dev

# For `warmup-bench run` or `score` with --comet-python, or for everything on COMET's older stack.
comet:
	@$(INSTALL) $(COMET_VENV) --extras comet,bertscore,test --on comet

lock:
	@test -d .venv-lock || $(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/pip install --quiet --disable-pip-version-check uv --constraint locks/pins.txt
	$(LOCK) --extra dev --output-file locks/dev.txt
	$(LOCK) --constraints locks/dev.txt --output-file locks/base.txt
	$(LOCK) --extra comet --extra bertscore --extra test --output-file locks/comet.txt

clean:
	rm -rf $(VENV) $(COMET_VENV) .venv-newest .venv-oldest .venv-lock .mypy_cache .pytest_cache .ruff_cache
