"""Methods that do what no method should: their cells fail by name, and no other cell is touched."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin_files import planned
from warmup_bench.contracts.errors import TrainingError
from warmup_bench.execution.runner import execute
from warmup_bench.plan.jobs import outstanding
from warmup_bench.store.failures import FAILED, failure_of, read_failures, write_failure

SMALL = {
    "seeds": [0],
    "workers": 1,
    "limit": {"train": 16, "validation": 4, "test": 4},
    "warm_start": {"steps": 1},
    "budget": {"steps": 1},
}
METHOD = """
import asyncio, os, sys
from warmup_bench import Method
from warmup_bench.contracts.errors import TrainingError
from warmup_bench.contracts.method import likelihood

class Wordless(Exception):
    def __str__(self):
        raise RuntimeError("no words")

def coefficients(rollout):
    {act}
    return likelihood(rollout)

METHOD = Method("hostile", "does {name}", "test", "sampled", coefficients)
"""
ACTS = {
    "cancels": ("raise asyncio.CancelledError", "CancelledError"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "ends": ("raise SystemExit(0)", "SystemExit: 0"),
    "base": ("raise BaseException('odd')", "BaseException: odd"),
    "wordless": ("raise Wordless", "Wordless: (its text can't be read: RuntimeError)"),
    "tensor": ("raise TrainingError('bad', diagnostics={'ly': rollout.ly})", "bad."),
    "lambda": ("raise TrainingError('bad', diagnostics={'f': lambda: 0, 1: {2}})", "bad."),
    "leaves": ("os.chdir('/'); raise ValueError('left')", "ValueError: left"),
    "mute": ("sys.stdout.close(); raise ValueError('mute')", "ValueError: mute"),
}


@pytest.fixture
def place() -> Iterator[str]:
    yield os.getcwd()  # noqa: PTH109 - what the plugin changes


@pytest.mark.parametrize("name", ACTS)
def test_a_hostile_method_fails_by_name_and_alone(
    tmp_path: Path, place: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "mute":
        monkeypatch.setattr(sys, "stdout", open(os.dup(1), "w"))  # noqa: SIM115, PTH123 - it is closed
    act, words = ACTS[name]
    path = tmp_path / "hostile.py"
    path.write_text(METHOD.format(act=act, name=name))
    stdout = sys.stdout
    plan = planned(tmp_path, **SMALL, methods=[str(path), "sft"])
    failures = execute(plan, outstanding(plan), lambda event: None)
    bad, good = sorted(plan.cells, key=lambda cell: cell.method != "hostile")
    assert words in failures[bad.id].message
    assert good.id not in failures
    assert os.getcwd() == place and (sys.stdout is stdout or name == "mute") and not sys.stdout.closed  # noqa: PTH109
    stored = read_failures(plan.out)
    assert list(stored) == [bad.id]
    assert words in stored[bad.id].message
    if name in ("tensor", "lambda"):
        assert json.loads((plan.out / "cells" / bad.id / FAILED).read_text())["diagnostics"]


def test_any_diagnostics_can_be_kept(tmp_path: Path) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError

    loop: list[object] = []
    loop.append(loop)
    for diagnostics in ({"a": Broken()}, {"a": loop}, {"a": float("nan"), "b": object(), (1, 2): 3}, [1]):
        error = TrainingError("bad", diagnostics=diagnostics)  # type: ignore[arg-type]
        write_failure(tmp_path, failure_of(error, "training"))
        assert "diagnostics" in json.loads((tmp_path / FAILED).read_text())
