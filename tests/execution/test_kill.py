"""Runs that are killed, stopped, or share a folder store what an untouched run stores, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plugin_files import write_plugins
from same_results import assert_same

TESTS = Path(__file__).parents[1]
FILES = 3 * 3 + 2 * 6
"""3 models with log and ledger, 2 cells with predictions, ledger, 2 scores and their statistics."""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(TESTS.parent / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def arguments(place: Path, workers: int = 1, models: str = "all") -> list[str]:
    files = write_plugins(place)
    argv = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "1"]
    argv += ["--method", "sft,warmup:sampler=replay", "--workers", str(workers)]
    argv += ["--limit", "train=24,validation=8,test=8"]
    argv += ["--set", "train.checkpoint_every=2", "--set", "train.eval_every=3"]
    argv += ["--set", f"store.models={models}"]
    return [*argv, "--set", "train.dropout=0.1", "--set", "warm_start.steps=6"]


def forked(place: Path, models: str = "all", **config: object) -> dict[str, Any]:
    """What ``forked_runs.py`` tells."""
    done = subprocess.run(
        [sys.executable, str(TESTS / "forked_runs.py")],
        cwd=place,
        env=ENVIRONMENT,
        input=json.dumps({"argv": arguments(place, models=models), "out": "results", **config}),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr + (place / "results.log").read_text()[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def assert_stopped(place: Path, stops: list[list[int]], count: int, files: int = FILES) -> None:
    assert len(stops) == count
    for folder in sorted({folder for folder, _ in stops}):
        assert assert_same(place / "results-whole", place / f"results-{folder}") == files


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run that is killed and stopped, and four at once, in one script: it imports torch once."""
    place = tmp_path_factory.mktemp("several")
    return place, forked(place, signals=["KILL", "INT", "KILL"], seed=3, together=4)


@pytest.mark.slow
def test_a_run_that_is_stopped_ends_with_the_same_numbers(several: tuple[Path, dict[str, Any]]) -> None:
    place, told = several
    assert_stopped(place, told["stops"], 3)
    assert "Go on with:\nwarmup-bench run --task" in (place / "results.log").read_text()


@pytest.mark.slow
def test_four_processes_on_one_folder_run_every_cell_once(several: tuple[Path, dict[str, Any]]) -> None:
    place, told = several
    assert len(told["together"]) == 4
    assert sum(told["together"]) == told["alone"]  # no pass of the model was made twice
    assert assert_same(place / "results-whole", place / "results-together") == FILES


@pytest.mark.slow
@pytest.mark.parametrize("signals", [["KILL"] * 20, ["INT", "TERM"] * 4], ids=["20 kills", "8 stops"])
def test_a_run_that_is_stopped_often_ends_with_the_same_numbers(signals: list[str], tmp_path: Path) -> None:
    assert_stopped(tmp_path, forked(tmp_path, signals=signals, seed=len(signals))["stops"], len(signals))


@pytest.mark.slow
def test_a_run_that_lets_its_models_go_is_killed_often(tmp_path: Path) -> None:
    signals = ["KILL"] * 20
    stops = forked(tmp_path, models="none", signals=signals, seed=5)["stops"]
    assert_stopped(tmp_path, stops, len(signals), FILES - 3)
    assert list(tmp_path.rglob("results-*/**/*.safetensors")) == []


@pytest.mark.slow
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_with_two_workers_is_stopped_and_takes_its_workers_along(
    by: signal.Signals, tmp_path: Path
) -> None:
    main = "from warmup_bench.cli import main; main()"
    command = [sys.executable, "-c", main, *arguments(tmp_path, workers=2)]
    options: dict[str, Any] = {"cwd": tmp_path, "env": ENVIRONMENT, "stdout": subprocess.DEVNULL}
    subprocess.run([*command, "--out", "whole", "--workers", "1"], check=True, timeout=120, **options)
    draw = random.Random(7)
    met: set[int] = set()
    for _ in range(2):
        run = subprocess.Popen([*command, "--out", "parts"], start_new_session=True, **options)
        deadline = time.monotonic() + 60
        while run.poll() is None and not list(tmp_path.glob("parts/locks/*-*.lock")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 3))
        for lock in tmp_path.glob("parts/locks/*-*.lock"):
            text = lock.read_text() if lock.exists() else ""
            met |= {json.loads(text)["pid"]} if text else set()
        if by == signal.SIGINT:
            os.killpg(run.pid, by)  # as a terminal does: the workers must not die of it
        else:
            run.send_signal(by)
        code = run.wait(timeout=60)
        assert code in ((-by,) if by == signal.SIGKILL else (128 + by, 0))
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in met):
        assert time.monotonic() < deadline, f"workers {met} outlive their parent"
        time.sleep(0.1)
    assert met
    subprocess.run([*command, "--out", "parts"], check=True, timeout=120, **options)
    assert assert_same(tmp_path / "whole", tmp_path / "parts") == FILES
