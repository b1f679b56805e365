import functools
from collections.abc import Callable

import pytest

from harness.task import LoadRequest, Splits


@functools.cache
def _mini(name: str, subset: str) -> Splits:
    import importlib

    task = importlib.import_module(f"tasks.{name}").TASK
    return task.load(LoadRequest(subset=subset, scale="mini"))


@pytest.fixture(scope="session")
def mini() -> Callable[[str, str], Splits]:
    """Splits of a mini task, made once a session: ``mini("wmt", "de-en")``."""
    return _mini
