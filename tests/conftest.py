"""Shared fixtures: a tiny T5 and a tiny Llama with a handful of tokens, and reproducible hypothesis runs."""

import gc
import importlib
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


@pytest.fixture
def precise_norms(monkeypatch):
    """transformers takes the norms of both families in fp32, whatever the weights are; here as they are."""
    for name in (
        "t5.T5LayerNorm",
        "mt5.MT5LayerNorm",
        *(f"{m.lower()}.{m}RMSNorm" for m in ("Llama", "Mistral", "Qwen2", "Qwen3")),
    ):
        family, kind = name.split(".")
        module = importlib.import_module(f"transformers.models.{family}.modeling_{family}")

        def forward(self, x):
            import torch

            return torch.nn.functional.rms_norm(x, self.weight.shape, self.weight, self.variance_epsilon)

        monkeypatch.setattr(getattr(module, kind), "forward", forward)
