# One line each: `make demo` sets up and runs the first comparison; `make test` sets up and runs every check.
# A machine with a GPU: `make demo TORCH=auto` picks the CUDA build that fits its driver.
PYTHON ?= python3
VENV ?= .venv
TORCH ?= cpu
BIN := $(VENV)/bin
TORCH_VERSION := 2.13.0

.PHONY: demo test setup setup-dev clean

demo: setup
	$(BIN)/warmup-bench run --task wmt

test: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

setup: $(BIN)/.installed
setup-dev: $(BIN)/.installed-dev

# The CPU build of PyTorch carries a "+cpu" version. Where pip's own sources have it, pip takes it; else uv
# fetches it from PyTorch's index. Neither pulls CUDA packages.
$(BIN)/.torch:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	{ test $(TORCH) = cpu && $(BIN)/pip install --quiet "torch==$(TORCH_VERSION)+cpu" 2>/dev/null; } || { \
	  $(BIN)/pip install --quiet uv && \
	  $(BIN)/uv pip install --python $(BIN)/python --torch-backend $(TORCH) "torch==$(TORCH_VERSION)"; }
	touch $@

$(BIN)/.installed: $(BIN)/.torch pyproject.toml
	$(BIN)/pip install --quiet -e .
	touch $@

$(BIN)/.installed-dev: $(BIN)/.torch pyproject.toml
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@ $(BIN)/.installed

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
