"""A holder that was asleep for longer than its lease has lost its lock: it stores nothing."""

import json
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from plugin_files import planned
from warmup_bench.execution.executors import Event
from warmup_bench.execution.executors.local import run_step
from warmup_bench.execution.runner import execute
from warmup_bench.execution.stages import run_training
from warmup_bench.execution.upkeep import tidy
from warmup_bench.plan.jobs import Step, outstanding
from warmup_bench.plan.plan import Plan
from warmup_bench.store.failures import FAILED, Failure, write_failure
from warmup_bench.store.folders import check
from warmup_bench.store.locks import claim
from warmup_bench.store.training_log import read_log

SMALL = {
    "seeds": [0],
    "methods": ["warmup"],
    "workers": 1,
    "limit": {"train": 24, "validation": 4, "test": 4},
    "warm_start": {"steps": 2},
    "budget": {"steps": 4},
    "train": {"checkpoint_every": 1, "log_every": 1},
}


def prepared(place: Path) -> tuple[Plan, Step]:
    """A plan whose training is the next step, and that step."""
    plan = planned(place, **SMALL)
    work = outstanding(plan)
    first, training, _ = work.steps
    assert first.kind == "warm start" and training.kind == "training"
    execute(plan, type(work)(work.done, work.pending, (first,), 1), lambda event: None)
    return plan, training


def taken_over(step: Step) -> None:
    """What another machine does that has seen the lock untouched for too long."""
    lines = step.lock.read_text().splitlines()
    step.lock.unlink()
    fields = dict(line.split("=", 1) for line in lines[1:]) | {"host": "elsewhere", "token": "f" * 32}
    step.lock.write_text("\n".join([lines[0], *(f"{k}={v}" for k, v in fields.items())]) + "\n")


def elsewhere(work: Callable[[], Any]) -> Any:
    """What another process does: in a thread, which is not under the first one's lock."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(work).result()


def at_step(number: int, then: Callable[[], Any]) -> Callable[[Event], None]:
    """A listener that does something once a training has taken so many steps."""

    def listener(event: Event) -> None:
        if event.stage == "training" and event.done == number:
            then()

    return listener


def whole_log(step: Step) -> list[int]:
    return [line["step"] for line in read_log(check(step.target)) if "validation" not in line]


@pytest.fixture(autouse=True)
def every_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warmup_bench.execution.executors.local.MIN_INTERVAL", 0.0)


def test_who_has_lost_its_lock_stores_no_training(tmp_path: Path) -> None:
    plan, step = prepared(tmp_path)
    told: list[str] = []

    def listener(event: Event) -> None:
        told.append(event.kind)
        at_step(4, lambda: taken_over(step))(event)

    assert run_step(step, listener, lambda: False) == "busy"
    assert not step.target.exists() and "failed" not in told
    assert not list((plan.out / "trainings").glob(".*"))


def test_two_owners_never_write_one_log(tmp_path: Path) -> None:
    """The first sleeps after two steps; the second goes on from there and stores; the first wakes."""
    plan, step = prepared(tmp_path)

    def second() -> None:
        taken_over(step)
        elsewhere(lambda: run_training(step.job, lambda *progress: None))

    assert run_step(step, at_step(2, second), lambda: False) == "busy"
    assert whole_log(step) == [1, 2, 3, 4]
    assert not list(plan.out.rglob("*.tmp"))


def test_the_log_of_a_sleeper_is_another_file(tmp_path: Path) -> None:
    plan, step = prepared(tmp_path)
    logs: list[Path] = []

    def halfway(*progress: Any) -> None:
        logs.append(next(plan.out.glob("checkpoints/*/log-*.jsonl")))
        if len(logs) == 3:  # the second one's third step; the first one wakes then, and goes on
            raise KeyboardInterrupt

    def second() -> None:
        logs.append(next(plan.out.glob("checkpoints/*/log-*.jsonl")))
        taken_over(step)
        with pytest.raises(KeyboardInterrupt):
            elsewhere(lambda: run_training(step.job, halfway))

    assert run_step(step, at_step(1, second), lambda: False) == "busy"
    assert logs[0] != logs[1] == logs[2]
    step.lock.unlink()
    assert run_step(step, lambda event: None, lambda: False) == "done"
    assert whole_log(step) == [1, 2, 3, 4]
    assert not list((plan.out / "checkpoints").glob("*"))


def test_a_finished_cell_keeps_no_failure(tmp_path: Path) -> None:
    plan = planned(tmp_path, **SMALL)
    assert execute(plan, outstanding(plan), lambda event: None) == {}
    (cell,) = plan.cells
    folder = plan.out / "cells" / cell.id
    write_failure(folder, Failure("training", "OSError", "by one that had lost its lock"), cell)
    assert json.loads((folder / FAILED).read_text())["stage"] == "training"
    tidy(plan)
    assert not (folder / FAILED).exists()


def test_what_was_stored_by_one_that_was_killed_leaves_no_checkpoint(tmp_path: Path) -> None:
    plan, step = prepared(tmp_path)
    assert run_step(step, lambda event: None, lambda: False) == "done"
    left = step.job.checkpoints(step.job.cell.training_id)
    left.mkdir(parents=True)
    (left / "log-00000000.jsonl").write_text("{}\n")
    assert run_step(step, lambda event: None, lambda: False) == "done"
    assert not left.exists()
    assert plan.out.is_dir()


def test_a_step_that_another_process_makes_is_told(tmp_path: Path) -> None:
    _, step = prepared(tmp_path)
    told: list[str] = []
    with claim(step.lock) as ours:
        assert ours
        outcome = elsewhere(lambda: run_step(step, lambda event: told.append(event.stage), lambda: False))
    assert outcome == "busy"
    assert told == [f"waits for process {os.getpid()} on {socket.gethostname()}"]
