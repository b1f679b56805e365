"""Faults injected into a real run in this process: named, never used, never deleted, nothing half-written."""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugin_files import planned
from same_results import assert_same
from warmup_bench.contracts.errors import UserError
from warmup_bench.execution.runner import execute
from warmup_bench.plan.jobs import outstanding
from warmup_bench.store.failures import Failure, read_failures
from warmup_bench.store.folders import DONE, CorruptError, check, writing

SMALL = {
    "seeds": [0],
    "methods": ["sft", "warmup", "draft"],
    "workers": 1,
    "limit": {"train": 16, "validation": 4, "test": 4},
    "warm_start": {"steps": 2},
    "budget": {"steps": 3},
    "train": {"checkpoint_every": 1, "eval_every": 3},
}


def run(folder: Path) -> dict[str, Failure]:
    """Run what is outstanding in ``folder / "out"``; returns the failures of cells."""
    made = planned(folder, **SMALL)
    failures = execute(made, outstanding(made), lambda event: None)
    return {cell.id: failures[cell.id] for cell in made.cells if cell.id in failures}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("whole")
    assert run(place) == {}
    return place / "out"


def flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1 :]


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def blank(content: bytes) -> bytes:
    """Zeros where the last weights stand: a model that loads without a word."""
    return content[:-512] + bytes(512)


# What is damaged, how, and what is taken away so that it is used once more.
USED = [
    ("data/*/train.parquet", flip, ["warm-starts", "trainings", "cells"]),
    ("data/*/DONE.json", truncate, ["warm-starts", "trainings", "cells"]),
    ("warm-starts/*/model.safetensors", flip, ["trainings", "cells"]),
    ("warm-starts/*/tokenizer.json", truncate, ["trainings", "cells"]),
    ("warm-starts/*/model.safetensors", blank, ["cells/*draft*"]),  # it is decoded with the drafts of this
    ("warm-starts/*/tokenizer.json", truncate, ["cells/*draft*"]),
    ("trainings/*sft*/model/model.safetensors", truncate, ["cells"]),
    ("trainings/*sft*/ledger.json", flip, ["cells"]),
    ("cells/*sft*/decode/predictions.parquet", flip, ["cells/*sft*/scores"]),
    ("cells/*sft*/decode/predictions.parquet", truncate, ["cells/*sft*/scores"]),
    ("cells/*sft*/scores/bleu/score.json", flip, []),
    ("cells/*sft*/scores/bleu/DONE.json", truncate, []),
]


@pytest.mark.parametrize(("victim", "damage", "removed"), USED)
def test_what_is_damaged_is_named_never_used_and_never_deleted(
    victim: str, damage: Callable[[bytes], bytes], removed: list[str], whole: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(whole, tmp_path / "out")
    for pattern in removed:
        for folder in out.glob(pattern):
            shutil.rmtree(folder)
    (path,) = out.glob(victim)
    good = path.read_bytes()
    damaged = damage(good)
    path.write_bytes(damaged)
    try:
        failures = run(tmp_path)
    except UserError as error:
        assert str(path.parent) in str(error)  # found before the first step
    else:
        assert failures
        assert all(str(path) in failure.message for failure in failures.values())
        assert set(read_failures(out)) == set(failures)
        if "sft" in victim:  # the other method's cell is none the worse for it
            assert len(failures) == 1
    assert path.read_bytes() == damaged
    if "DONE" not in victim and "scores" not in victim:
        path.write_bytes(good)
        assert run(tmp_path) == {}
        assert read_failures(out) == {}
        assert_same(whole, out)


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file may grow beyond it: every library really fails to write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 700, 5000, 15_000])
def test_a_disk_without_room_is_named_and_the_run_goes_on_later(
    size: int, whole: Path, tmp_path: Path
) -> None:
    made = planned(tmp_path, **SMALL)
    with file_size_limit(size):
        try:
            failures = execute(made, outstanding(made), lambda event: None)
        except UserError as error:
            assert "can't write" in str(error) or "not writable" in str(error)  # before the first step
        else:
            assert failures
            for failure in failures.values():
                assert "can't write" in failure.message
                assert failure.traceback == ""
    for mark in tmp_path.glob(f"out/**/{DONE}"):
        check(mark.parent)
    assert run(tmp_path) == {}
    assert_same(whole, tmp_path / "out")


@pytest.mark.parametrize("when", ["warm start", "training", "decode"])
def test_a_results_folder_that_vanishes_is_named(when: str, tmp_path: Path) -> None:
    def vanish(event: object) -> None:
        if getattr(event, "stage", "") == when and (tmp_path / "out").exists():
            shutil.rmtree(tmp_path / "out")

    made = planned(tmp_path, **SMALL)
    failures = execute(made, outstanding(made), vanish)
    assert failures
    for failure in failures.values():
        assert str(tmp_path / "out") in failure.message
        assert failure.traceback == ""


@settings(max_examples=60)
@given(st.data())
def test_any_damaged_manifest_is_refused_or_says_the_same(tmp_path_factory, data) -> None:  # type: ignore[no-untyped-def]
    """A flipped bit in the manifest is found, unless it says the same (say, another blank)."""
    folder = tmp_path_factory.mktemp("store") / "one"
    with writing(folder) as temporary:
        (temporary / "a.txt").write_text("alpha", encoding="utf-8")
    content = bytearray((folder / DONE).read_bytes())
    before = json.loads(content)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    (folder / DONE).write_bytes(content)
    try:
        check(folder)
    except UserError as error:
        assert str(folder) in str(error)
        assert isinstance(error, CorruptError) or "schema version" in str(error)
    else:
        assert json.loads(content)["files"] == before["files"]
