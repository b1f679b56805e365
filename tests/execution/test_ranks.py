"""A cell on two devices stores what it stores on one; a rank that dies takes its cell along, no other."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from command import Done, invoke
from plugin_files import planned, write_plugins
from warmup_bench.execution.executors import ranks
from warmup_bench.execution.executors.ranks import _from_json, _to_json, _Watch
from warmup_bench.plan.jobs import Step, outstanding
from warmup_bench.store.failures import Failure

METHOD = """
import os, signal
from pathlib import Path
from warmup_bench.contracts.method import Coefficients, Method

def coefficients(r):
    from torch import distributed
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    {body}
    return Coefficients(a=r.lc * 0, b=r.ly * 0 + 1 / r.ly.shape[1])

METHOD = Method(
    name="odd", summary="fails", source="test", warmup="sampled", coefficients=coefficients
)
"""


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks are forks, so that torch is imported once."""
    monkeypatch.setattr(ranks, "get_context", lambda method: multiprocessing.get_context("fork"))


def arguments(place: Path, *more: str) -> list[str]:
    files = write_plugins(place)
    argv = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "1", "--workers", "1"]
    argv += ["--limit", "train=24,validation=8,test=8"]
    argv += ["--set", "train.batch_size=5", "--set", "warm_start.steps=4", "--set", "budget.steps=4"]
    return [*argv, "--set", "decode.batch_size=3", *more]


def odd(place: Path, body: str) -> str:
    path = place / "odd.py"
    path.write_text(METHOD.replace("{body}", body), encoding="utf-8")
    return str(path)


def run(place: Path, *more: str) -> Done:
    return invoke(*arguments(place, *more), cwd=place)


def read(out: Path, pattern: str) -> dict[str, Any]:
    """JSON files by their path within a results folder."""
    return {str(p.relative_to(out)): json.loads(p.read_text()) for p in sorted(out.glob(pattern))}


def assert_same(one: Path, other: Path) -> None:
    import pyarrow.parquet as pq

    tables = sorted(one.glob("cells/*/decode/predictions.parquet"))
    assert tables
    for table in tables:
        assert pq.read_table(other / table.relative_to(one)).equals(pq.read_table(table))
    for pattern in ("*/*/ledger.json", "cells/*/decode/ledger.json", "cells/*/scores/*/score.json"):
        expected, found = read(one, pattern), read(other, pattern)
        assert expected
        assert list(found) == list(expected)
        for name, values in expected.items():
            for key in ("train_flops", "decode_flops", "target_tokens", "warmup_tokens", "score"):
                assert found[name].get(key) == values.get(key), (name, key)
    leftover = [p for p in other.rglob("*") if p.name.startswith(".") and p.name != ".guard"]
    assert [*leftover, *other.glob("locks/*.lock"), *other.glob("checkpoints/*")] == []


@pytest.mark.usefixtures("forked")
def test_two_devices_store_what_one_stores(tmp_path: Path) -> None:
    one = run(tmp_path, "--method", "sft,warmup", "--out", "one")
    two = run(tmp_path, "--method", "sft,warmup", "--out", "two", "--devices", "2")
    assert (one.returncode, two.returncode) == (0, 0), two.stderr + two.stdout
    assert "1 at a time, on 2 devices each" in two.words
    assert_same(tmp_path / "one", tmp_path / "two")
    made = read(tmp_path / "two", "trainings/*/provenance.json")
    assert [found["devices"] for found in made.values()] == [2, 2]
    (sft, warmup) = read(tmp_path / "two", "trainings/*/ledger.json").values()
    assert sft["micro_batch_size"] == 3  # of 5 inputs the larger share
    assert warmup["peak_memory"] > 0
    again = run(tmp_path, "--method", "sft,warmup", "--out", "two")
    assert "All 2 cells are stored already" in again.words  # the number of devices makes no other cell


@pytest.mark.usefixtures("forked")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if rank == 1: os.kill(os.getpid(), signal.SIGKILL)", "rank 1 of 2 was killed by SIGKILL"),
        ("if rank == 1: raise ValueError('no luck')", "rank 1 of 2: ValueError: no luck"),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                ("if rank == 0: os.kill(os.getpid(), signal.SIGKILL)", "rank 0 of 2 was killed by SIGKILL"),
                ("if rank == 1: os._exit(3)", "rank 1 of 2 ended with exit code 3"),
                ("raise ValueError('bad for all')", "ValueError: bad for all"),
            )
        ),
    ],
)
def test_a_rank_that_fails_takes_its_cell_along_and_no_other(body: str, message: str, tmp_path: Path) -> None:
    began = time.monotonic()
    done = run(tmp_path, "--method", f"{odd(tmp_path, body)},sft", "--devices", "2", "--out", "out")
    assert done.returncode == 1, done.stderr
    ((name, failure),) = read(tmp_path / "out", "cells/*/failed.json").items()
    assert ".odd." in name
    assert failure["message"].removeprefix("what it needs failed: ").startswith(message)
    assert "1 of 2 cells failed" in done.words
    (stored,) = (tmp_path / "out").glob("cells/*/decode/predictions.parquet")
    assert ".sft." in str(stored)
    assert list((tmp_path / "out").glob("locks/*.lock")) == []
    assert multiprocessing.active_children() == []
    assert time.monotonic() - began < 250  # and not the hours that an exchange may take


@pytest.mark.usefixtures("forked")
def test_a_run_on_two_devices_is_stopped_and_goes_on(tmp_path: Path) -> None:
    ask = "p.touch(); os.kill(os.getppid(), signal.SIGINT)"
    once = odd(tmp_path, f'if rank == 0 and not (p := Path("asked")).exists(): {ask}')
    more = ["--method", once, "--devices", "2", "--set", "stats.baseline=odd"]
    (tmp_path / "asked").touch()
    whole = run(tmp_path, *more, "--out", "whole")
    assert whole.returncode == 0, whole.stderr
    (tmp_path / "asked").unlink()
    stopped = run(tmp_path, *more, "--out", "parts")
    assert stopped.returncode == 130, stopped.stderr
    assert "what was running is checkpointed" in stopped.words
    assert list((tmp_path / "parts").glob("checkpoints/*/step-*"))
    assert run(tmp_path, *more, "--out", "parts").returncode == 0
    assert_same(tmp_path / "whole", tmp_path / "parts")
    (model,) = (tmp_path / "whole").glob("trainings/*/model/model.safetensors")
    twin = tmp_path / "parts" / model.relative_to(tmp_path / "whole")
    assert twin.read_bytes() == model.read_bytes()


def test_replayed_warmups_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "--method", "sft,warmup:sampler=replay", "--devices", "2", "--out", "out")
    assert done.returncode == 2
    assert "replays warmups" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_step_is_told_to_another_rank_as_json(tmp_path: Path) -> None:
    steps = outstanding(planned(tmp_path, match=["warmup"], devices=2)).steps
    assert any(step.job.matched for step in steps)
    for step in steps:
        assert _from_json(_to_json(step, 3)) == (step, 3)
        assert isinstance(step, Step)


@pytest.mark.parametrize(
    ("known", "cause"),
    [
        (
            [(0, "RuntimeError", "RuntimeError: gloo: closed"), (1, "Killed", "rank 1 of 2 was killed")],
            "rank 1 of 2 was killed",
        ),
        ([(0, "RuntimeError", "RuntimeError: gloo: closed"), (1, "UserError", "full")], "rank 1 of 2: full"),
        ([(1, "UserError", "all"), (0, "UserError", "all")], "all"),
        ([(0, "Aborted", "rank 0 of 2 was killed by SIGABRT"), (1, "OSError", "full")], "rank 1 of 2: full"),
    ],
)
def test_the_cause_is_told_and_not_what_followed_from_it(
    known: list[tuple[int, str, str]], cause: str
) -> None:
    watch = _Watch(2)
    assert not watch.decided()
    for rank, error, message in known:
        watch.note(rank, Failure("training", error, message, when="then"))
    assert watch.cause().message == cause
    assert watch.decided() == any(error == "Killed" for _, error, _ in known)


TORCHRUN = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "warmup_bench")
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "200",
    "HF_HUB_OFFLINE": "1",
}


def launched(place: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=place,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.mark.slow  # torch is imported twice a step
def test_torchrun_stores_what_one_process_stores(tmp_path: Path) -> None:
    argv = arguments(tmp_path, "--method", "warmup", "--set", "stats.baseline=warmup")
    assert invoke(*argv, "--out", "one", cwd=tmp_path).returncode == 0
    done = launched(tmp_path, *TORCHRUN, *argv, "--out", "two", "--devices", "2")
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "one", tmp_path / "two")
    assert done.stdout.count("Stored in") == 1  # rank 0 alone speaks


@pytest.mark.slow
def test_a_rank_that_dies_under_torchrun_takes_its_cell_along(tmp_path: Path) -> None:
    body = "if rank == 1: os.kill(os.getpid(), signal.SIGKILL)"
    argv = arguments(tmp_path, "--method", odd(tmp_path, body), "--set", "stats.baseline=odd")
    done = launched(tmp_path, *TORCHRUN, *argv, "--out", "out")
    assert done.returncode == 1
    (failed,) = read(tmp_path / "out", "cells/*/failed.json").values()
    reason = failed["message"].removeprefix("what it needs failed: ")
    assert reason.startswith("rank 1 of 2 was killed by SIGKILL")


@pytest.mark.slow
def test_launchers_that_start_fewer_are_refused(tmp_path: Path) -> None:
    argv = arguments(tmp_path, "--out", "out")
    done = launched(tmp_path, *TORCHRUN, *argv, "--devices", "3")
    assert done.returncode != 0
    assert "3 devices were asked for, and 2 of 3 processes started" in done.stderr
    accelerate = ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "-m", "warmup_bench")
    done = launched(tmp_path, *accelerate, *argv)
    assert done.returncode != 0
    assert "was asked for 2 processes or more, and has started 1" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_ranks_that_are_started_anew_and_the_kill_of_their_parent(tmp_path: Path) -> None:
    """Real processes, as ``--devices`` starts them: killed with their parent, and the run goes on."""
    argv = arguments(tmp_path, "--method", "sft", "--devices", "2", "--out", "out")
    command = [sys.executable, "-m", "warmup_bench", *argv]
    one = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not list(tmp_path.glob("out/checkpoints/*/log.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()
    one.send_signal(signal.SIGKILL)
    one.wait()
    while any(_alive(int(pid)) for pid in children):
        assert time.monotonic() < deadline, "ranks outlive their parent"
        time.sleep(0.1)
    assert len(children) >= 2
    assert launched(tmp_path, "-m", "warmup_bench", *argv).returncode == 0
    assert list(tmp_path.glob("out/cells/*/decode/predictions.parquet"))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
