"""The keys of ``decode`` through the command line, on the tiny plugin task."""

from pathlib import Path

import pyarrow.parquet as pq

from command import Done, invoke
from plugin_files import write_plugins


def run(place: Path, *arguments: str) -> Done:
    files = write_plugins(place)
    fixed = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "1"]
    fixed += ["--workers", "1", "--out", "out", "--set", "stats.randomizations=99"]
    return invoke(*fixed, *arguments, cwd=place)


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
