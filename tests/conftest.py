"""Shared fixtures: a tiny T5 and a tiny Llama with a handful of tokens, and reproducible hypothesis runs."""

import gc
import itertools
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach a network; set before any heavy import

import pytest
from hypothesis import settings

settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.load_profile("reproducible")
FINISHED = itertools.count(1)


def pytest_collection_finish():
    """What imports make stays: no collection of garbage, one before a training, needs to walk through it."""
    if "torch" in sys.modules:
        import transformers.models.llama.modeling_llama
        import transformers.models.t5.modeling_t5  # noqa: F401
    _set_aside()


def pytest_runtest_logfinish():
    """Now and then the same of what tests have imported since."""
    if next(FINISHED) % 100 == 0:
        _set_aside()


def _set_aside():
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Made data are kept for this session's workers, and a user's are not read."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARMUP_BENCH_CACHE", str(shared / "cache"))
        yield


@pytest.fixture
def tiny_t5():
    from tiny import make_t5

    return make_t5()


@pytest.fixture
def tiny_llama():
    from tiny import make_llama

    return make_llama()


@pytest.fixture(params=["t5", "llama"])
def tiny(request):
    """Each of the two, as a :class:`warmup_bench.models.base.Backbone` without a tokenizer."""
    return request.getfixturevalue(f"tiny_{request.param}")
