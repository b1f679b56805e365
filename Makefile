# One line each: `make demo` sets up and runs the first comparison; `make test` sets up and runs every check;
# `make kills` kills a run at 20 points and a node of a cluster; `make comet` sets up an environment that has
# COMET, whose pins exclude the newest transformers.
# A machine with a GPU: `make demo TORCH=auto` picks the CUDA build that fits its driver.
PYTHON ?= python3
VENV ?= .venv
COMET_VENV ?= .venv-comet
TORCH ?= cpu
BIN := $(VENV)/bin
COMET_PYTHON := $(abspath $(COMET_VENV)/bin/python)
TORCH_VERSION := 2.13.0

.PHONY: demo test kills comet setup setup-dev clean

demo: setup
	$(BIN)/warmup-bench run --task wmt

test: setup-dev comet
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 WARMUP_BENCH_COMET_PYTHON=$(COMET_PYTHON) $(BIN)/python -m pytest -n 2 --dist loadgroup
	OMP_NUM_THREADS=1 $(COMET_PYTHON) -m pytest -m comet -k this_environment tests/metrics/test_comet.py

# Of the slow tests those that CI has time for; the others: pytest -m slow.
kills: setup-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m slow -k "stopped_often or node_that_dies" tests/test_kill.py tests/executors

# For `warmup-bench run` or `score` with --comet-python, or for everything on COMET's older stack.
comet: $(COMET_VENV)/bin/.installed-comet

setup: $(BIN)/.installed
setup-dev: $(BIN)/.installed-dev

# The CPU build of PyTorch carries a "+cpu" version. Where pip's own sources have it, pip takes it; else uv
# fetches it from PyTorch's index. Neither pulls CUDA packages.
%/bin/.torch:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $*
	$*/bin/pip install --quiet --upgrade pip
	{ test $(TORCH) = cpu && $*/bin/pip install --quiet "torch==$(TORCH_VERSION)+cpu" 2>/dev/null; } || { \
	  $*/bin/pip install --quiet uv && \
	  $*/bin/uv pip install --python $*/bin/python --torch-backend $(TORCH) "torch==$(TORCH_VERSION)"; }
	touch $@

$(BIN)/.installed: $(BIN)/.torch pyproject.toml
	$(BIN)/pip install --quiet -e .
	touch $@

$(BIN)/.installed-dev: $(BIN)/.torch pyproject.toml
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@ $(BIN)/.installed

$(COMET_VENV)/bin/.installed-comet: $(COMET_VENV)/bin/.torch pyproject.toml
	$(COMET_VENV)/bin/pip install --quiet -e ".[comet,bertscore]" hypothesis pytest pytest-timeout pytest-xdist
	touch $@

clean:
	rm -rf $(VENV) $(COMET_VENV) .mypy_cache .pytest_cache .ruff_cache
