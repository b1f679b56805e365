import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from warmup_bench.contracts.errors import TrainingError, UserError
from warmup_bench.execution.executors import board as module
from warmup_bench.execution.executors.board import Board
from warmup_bench.plan.jobs import Step
from warmup_bench.store.failures import (
    FAILED,
    Failure,
    clear_failure,
    failure_of,
    read_failures,
    write_failure,
)


def steps(out: Path) -> list[Step]:
    """w <- t1 <- c1, w <- t2 <- c2."""
    made = [Step("w", "warm start", SimpleNamespace(folder=out / "cells" / "w", out=out))]  # type: ignore[arg-type]
    for i in (1, 2):
        job = SimpleNamespace(folder=out / "cells" / f"c{i}", out=out, cell=None, is_finished=lambda: False)
        made += [Step(f"t{i}", "training", job, "w"), Step(f"c{i}", "cell", job, f"t{i}")]  # type: ignore[arg-type]
    return made


def take(board: Board) -> str | None:
    step = board.start()
    return None if step is None else step.key


def test_a_step_starts_once_what_it_needs_is_done(tmp_path: Path) -> None:
    board = Board(steps(tmp_path))
    assert [take(board), take(board)] == ["w", None]
    board.settle(board.running["w"], "done")
    assert [take(board), take(board), take(board)] == ["t1", "t2", None]
    board.settle(board.running["t2"], "done")
    assert take(board) == "c2"
    for key in ("t1", "c2"):
        board.settle(board.running[key], "done")
    assert take(board) == "c1"
    assert board.open
    board.settle(board.running["c1"], "done")
    assert not board.open
    assert board.failures == {}


def test_a_failure_stops_what_depends_on_it_and_is_kept_beside_the_cell(tmp_path: Path) -> None:
    board = Board(steps(tmp_path))
    take(board)
    board.settle(board.running["w"], "done")
    take(board), take(board)
    board.settle(board.running["t1"], Failure("training", "ValueError", "no luck", diagnostics={"loss": 3.0}))
    board.settle(board.running["t2"], "done")
    assert take(board) == "c2"
    board.settle(board.running["c2"], "done")
    assert not board.open
    assert set(board.failures) == {"t1", "c1"}
    kept = read_failures(tmp_path)
    assert list(kept) == ["c1"]
    assert (kept["c1"].stage, kept["c1"].message) == ("training", "what it needs failed: no luck")
    assert kept["c1"].diagnostics == {"loss": 3.0}
    assert kept["c1"].inherited() == kept["c1"]  # said once
    clear_failure(tmp_path / "cells" / "c1")
    assert read_failures(tmp_path) == {}


def test_a_busy_step_is_tried_again_after_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    board = Board(steps(tmp_path))
    take(board)
    board.settle(board.running["w"], "done")
    take(board)
    board.settle(board.running["t1"], "busy")
    assert [take(board), take(board)] == ["t2", None]
    now += module.POLL
    assert take(board) == "t1"


def test_the_order_is_that_of_the_steps_however_they_become_ready(tmp_path: Path) -> None:
    """Against the plain rule: the first of all waiting steps whose need is neither waiting nor running."""
    rng = random.Random(3)
    job = SimpleNamespace(folder=tmp_path / "cells" / "c", out=tmp_path, cell=None, is_finished=lambda: False)
    made = [
        Step(f"s{i}", "training", job, f"s{rng.randrange(i)}" if i and rng.random() < 0.7 else None)  # type: ignore[arg-type]
        for i in range(200)
    ]
    rng.shuffle(made)
    board, waiting, running, failed = Board(made), {s.key: s for s in made}, {}, set()
    while waiting or running:
        for step in [s for s in waiting.values() if s.needs in failed]:
            failed.add(waiting.pop(step.key).key)
        free = [s for s in waiting.values() if s.needs not in waiting and s.needs not in running]
        if free and (rng.random() < 0.6 or not running):
            assert take(board) == free[0].key
            running[free[0].key] = waiting.pop(free[0].key)
        elif running:
            step = running.pop(rng.choice(list(running)))
            outcome = rng.choice(["done", "done", "done", "stopped", Failure("training", "E", "no")])
            board.settle(step, outcome)
            if outcome == "stopped":
                waiting[step.key] = step
            elif outcome != "done":
                failed.add(step.key)
                while more := [s for s in waiting.values() if s.needs in failed]:
                    failed.update(waiting.pop(s.key).key for s in more)
    assert not board.open
    assert set(board.failures) == failed
    assert 0 < len(failed) < 200


def test_failures_say_what_is_known(tmp_path: Path) -> None:
    def raised(error: BaseException) -> BaseException:
        try:
            raise error
        except BaseException as caught:
            return caught

    mended = failure_of(raised(UserError("no data", hint="Get some.")), "decode")
    assert (mended.stage, mended.error, mended.traceback) == ("decode", "UserError", "")
    assert mended.message == "no data. Get some."
    diagnostics = {"loss": [float("nan"), 1.0]}
    diverged = failure_of(raised(TrainingError("diverged", diagnostics=diagnostics)), "training")
    ours = failure_of(raised(ZeroDivisionError("one by none")), "score")
    assert ours.message == "ZeroDivisionError: one by none"
    assert "in raised" in ours.traceback
    write_failure(tmp_path / "cells" / "a", diverged)
    write_failure(tmp_path / "cells" / "b", ours)
    (tmp_path / "cells" / "c").mkdir()
    (tmp_path / "cells" / "c" / FAILED).write_text('{"stage": ')
    kept = read_failures(tmp_path)
    assert kept["a"].diagnostics == {"loss": [None, 1.0]}
    assert kept["b"] == ours
    assert FAILED in kept["c"].message
    assert (tmp_path / "cells" / "c" / FAILED).read_text() == '{"stage": '


def test_a_cell_that_another_process_has_finished_gets_no_failure(tmp_path: Path) -> None:
    job = SimpleNamespace(folder=tmp_path / "cells" / "c", out=tmp_path, cell=None, is_finished=lambda: True)
    board = Board([Step("c", "cell", job)])  # type: ignore[arg-type]
    take(board)
    board.settle(board.running["c"], Failure("decode", "OSError", "no luck"))
    assert "c" in board.failures
    assert not (tmp_path / "cells" / "c" / "failed.json").exists()
