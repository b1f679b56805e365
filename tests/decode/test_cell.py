"""The keys of ``decode`` through the command line, on the tiny plugin task."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
from plugin_files import write_plugins

MAIN = "import sys; sys.argv[0] = 'warmup-bench'; from harness.cli import main; main()"


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = write_plugins(place)
    fixed = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "1"]
    fixed += ["--workers", "1", "--out", "out", "--set", "stats.randomizations=99"]
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", MAIN, *fixed, *arguments],
        cwd=place,
        env=os.environ | {"PYTHONPATH": root, "COLUMNS": "300", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_stored_predictions_hold_the_warmup_that_was_read(tmp_path: Path) -> None:
    done = run(tmp_path, "--method", "warmup", "--set", "decode.warmup=none", "--set", "decode.beams=2")
    assert done.returncode == 0, done.stdout + done.stderr
    (training,) = (tmp_path / "out" / "trainings").glob("*.warmup.*")
    before = training.stat().st_mtime_ns
    refused = run(tmp_path, "--method", "warmup,filler", "--set", "decode.warmup=sampled")
    assert refused.returncode == 2  # found before the first step
    assert "decode.warmup=sampled makes no sense: method 'filler' gives its own warmups" in refused.stderr
    assert "Traceback" not in refused.stderr
    again = run(tmp_path, "--method", "warmup", "--set", "decode.warmup=sampled")
    assert again.returncode == 0, again.stdout + again.stderr
    # Decoding otherwise trains nothing.
    assert list((tmp_path / "out" / "trainings").glob("*.warmup.*")) == [training]
    assert training.stat().st_mtime_ns == before
    tables = [pq.read_table(f) for f in (tmp_path / "out" / "cells").rglob("predictions.parquet")]
    assert len(tables) == 2
    without, sampled = sorted(tables, key=lambda t: t["warmup"].null_count, reverse=True)
    assert without["warmup"].null_count == 40
    assert set(without["warmup_tokens"].to_pylist()) == {0}
    assert sampled["warmup"].null_count == 0
    assert without.column_names == sampled.column_names
