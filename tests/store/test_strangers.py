"""Folders of strangers: what they claim is bounded, and what they say is no command to a terminal."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import invoke
from stored_cells import Written, store
from warmup_bench.contracts.errors import UserError
from warmup_bench.spec.spec import make_spec
from warmup_bench.store.failures import FAILED, Failure, read_failures
from warmup_bench.store.folders import CorruptError, read_json, read_table, write_table
from warmup_bench.store.results import read_result
from warmup_bench.store.stored import statistics


def test_a_file_that_claims_more_rows_than_bytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    write_table(path, {"x": pa.array([7] * 3_000_000, pa.int8())})
    assert path.stat().st_size < 300_000
    with pytest.raises(CorruptError, match=r"claims 3,000,000 rows"):
        read_table(path)


def test_a_file_that_unfolds_into_far_more_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    text = "a" * 3_000_000
    pq.write_table(
        pa.table({"x": [text + str(i) for i in range(120)]}), path, compression="zstd", use_dictionary=False
    )
    assert path.stat().st_size < 1_000_000
    with pytest.raises(CorruptError, match=r"bytes in"):
        read_table(path)


def test_honest_files_of_many_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "honest.parquet"
    write_table(path, {"id": [f"e{i}" for i in range(200_000)], "s0": [1.0] * 200_000})
    assert read_table(path).num_rows == 200_000


@pytest.mark.parametrize("names", [("s1", "s0"), ("s0", "s2"), ("s0", "x"), ("x",), ("s0", "s0")])
def test_statistics_are_read_by_their_names(names: tuple[str, ...]) -> None:
    table = pa.table([pa.array(["a"]), *(pa.array([1.0]) for _ in names)], names=["id", *names])
    with pytest.raises(CorruptError, match="columns are not id, s0, s1"):
        statistics(table, Path("statistics.parquet"))


def test_a_score_that_names_another_metric_is_damage(tmp_path: Path) -> None:
    cell = store(tmp_path, "sft", 0, ["a"], [["x"]], [Written("x")])
    path = cell / "scores" / "bleu" / "score.json"
    result = read_result(cell)
    for score in result.scores:
        score["metric"] = "chrf++"
    with pytest.raises(CorruptError, match=r"it is the score of chrf\+\+"):
        result.metric("bleu")
    assert read_json(path)["metric"] == "bleu"


@pytest.mark.parametrize(
    "spec",
    [
        {"stats": {"randomizations": 10**12}},
        {"budget": {"steps": int("9" * 400)}},
        {"warm_start": {"steps": 10**30}},
        {"train": {"batch_size": 10**30}},
    ],
)
def test_numbers_that_nobody_can_want_are_refused(spec: dict[str, dict[str, int]], tmp_path: Path) -> None:
    (section, value) = next(iter(spec.items()))
    (tmp_path / "s.yaml").write_text(json.dumps({"task": "wmt", section: value}))
    done = invoke("run", "--spec", "s.yaml", "--dry-run", cwd=tmp_path)
    assert done.returncode == 2
    assert next(iter(value)) in done.stderr and len(done.stderr) < 1000
    with pytest.raises(UserError):
        make_spec({"task": "wmt", "stats": {"randomizations": 10**12}}, "x")


def test_what_a_stranger_says_is_no_command_to_a_terminal(tmp_path: Path) -> None:
    out = tmp_path / "out"
    store(out, "sft", 0, ["a"], [["x"]], [Written("x")])
    bad = out / "cells" / "bad"
    bad.mkdir()
    told = Failure("training\x1b[2J", "E\x1b]0;x\x07", "m\x1b[31m HF_TOKEN=abcdefgh123", "t\x9b")
    (bad / FAILED).write_text(
        json.dumps(
            told.__class__.__dict__
            and {
                "stage": told.stage,
                "error": told.error,
                "message": told.message,
                "traceback": told.traceback,
                "diagnostics": {},
                "when": "x",
                "cell": {},
            }
        )
    )
    read = read_failures(out)["bad"]
    for text in (read.stage, read.error, read.message, read.traceback):
        assert "\x1b" not in text and "\x07" not in text and "\x9b" not in text
    assert "abcdefgh123" not in read.message
    for command in (("publish", "out", "study"), ("report", "out"), ("report", "out", "--format", "md")):
        done = invoke(*command, cwd=tmp_path)
        assert "\x1b" not in done.stdout + done.stderr, command
