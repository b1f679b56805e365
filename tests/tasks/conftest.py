import functools
import os
import pickle
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from warmup_bench.contracts.task import LoadRequest, Splits


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Splits]:
    """Splits of a mini task, made once for all workers: ``mini("wmt", "de-en")``."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    @functools.cache
    def splits(name: str, subset: str) -> Splits:
        path = shared / f"mini-{name}-{subset}.pickle"
        if path.is_file():
            return pickle.loads(path.read_bytes())
        loaded = import_module(f"tasks.{name}").TASK.load(LoadRequest(subset=subset, scale="mini"))
        part = Path(f"{path}.{os.getpid()}")
        part.write_bytes(pickle.dumps(loaded))
        part.replace(path)
        return loaded

    return splits
