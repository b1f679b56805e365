"""kill -9, Ctrl-C and SIGTERM at seeded moments of a real run: what is stored in the end is what an untouched run stores."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_files import write_plugins

HERE = Path(__file__).parent
IDENTICAL = ("model.safetensors", "predictions.parquet", "scores.json", "chrf++.parquet", "bleu.parquet")
TIMES = {"train_seconds", "decode_seconds", "peak_memory", "seconds"}


def stopped(place: Path, signals: list[str], seed: int) -> list[tuple[int, int]]:
    files = write_plugins(place)
    argv = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "1"]
    argv += [
        "--method",
        "sft,warmup:sampler=replay",
        "--workers",
        "1",
        "--limit",
        "train=24,validation=8,test=8",
    ]
    for setting in (
        "train.checkpoint_every=2",
        "train.dropout=0.1",
        "warm_start.steps=6",
        "train.eval_every=3",
    ):
        argv += ["--set", setting]
    config = {"argv": argv, "out": "results", "signals": signals, "seed": seed}
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_runs.py")],
        cwd=place,
        env=environment,
        input=json.dumps(config),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr + (place / "results.log").read_text()[-3000:]
    stops: list[tuple[int, int]] = json.loads(done.stdout.splitlines()[-1])["stops"]
    return stops


def timeless(path: Path) -> list[dict[str, object]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def compare(whole: Path, other: Path) -> int:
    """Every file of the untouched run is there with the same numbers; returns how many were compared."""
    compared = 0
    for kind in ("warm-starts", "trainings", "cells"):
        names, others = (sorted(p.name for p in (at / kind).iterdir()) for at in (whole, other))
        assert names == others
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        twin = other / path.relative_to(whole)
        if path.name in IDENTICAL:
            assert path.read_bytes() == twin.read_bytes(), twin
        elif path.name in ("ledger.json", "log.jsonl"):
            assert timeless(path) == timeless(twin), twin
        else:
            continue
        compared += 1
    leftover = [p for p in other.rglob("*") if p.name.startswith(".") and p.name != ".guard"]
    leftover += [*other.glob("locks/*.lock"), *other.glob("checkpoints/*")]
    assert leftover == []
    return compared


SLOW = pytest.mark.slow
RUNS = [
    pytest.param(["KILL", "INT", "KILL"], id="3"),
    pytest.param(["KILL"] * 20, id="20 kills", marks=SLOW),
    pytest.param(["INT", "TERM"] * 4, id="8 stops", marks=SLOW),
]


@pytest.mark.parametrize("signals", RUNS)
def test_a_run_that_is_stopped_ends_with_the_same_numbers(signals: list[str], tmp_path: Path) -> None:
    stops = stopped(tmp_path, signals, seed=len(signals))
    assert len(stops) == len(signals)
    for folder in sorted({folder for folder, _ in stops}):
        # 3 models with log and ledger, 2 cells with predictions, ledger, scores and 2 statistics
        assert compare(tmp_path / "results-whole", tmp_path / f"results-{folder}") == 3 * 3 + 2 * 5
