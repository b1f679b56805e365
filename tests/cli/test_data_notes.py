"""What a task tells of its data: in the plan, in the stored cells, in every report, and in no number."""

import json
from pathlib import Path

import pytest

from command import invoke
from plugin_files import planned, write_plugins
from warmup_bench.report.render import RENDERERS

NOTE = "train.txt: not as published in GitHub repository a/b_c, commit 0123 (a part, or changed)."


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a task that tells something of its data, and its run in ``out``."""
    folder = tmp_path_factory.mktemp("notes")
    files = write_plugins(folder)
    task = Path(files["task"])
    told = task.read_text(encoding="utf-8").replace("pairs[20:60]))", f"pairs[20:60]), notes=({NOTE!r},))")
    task.write_text(told, encoding="utf-8")
    run = ["run", "--task", files["task"], "--backbone", files["backbone"], "--method", "sft", "--seeds", "1"]
    run += ["--budget", "steps=2", "--set", "warm_start.steps=2", "--workers", "1", "--out", "out"]
    done = invoke(*run, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    before_the_work, _, after = done.words.partition(" cells to run")
    assert NOTE in before_the_work
    assert f"Data of all: {NOTE}" in after
    assert invoke("publish", "out", "study", cwd=folder).returncode == 0
    return folder


@pytest.mark.parametrize("folder", ["out", "study"])
@pytest.mark.parametrize("form", ["text", *sorted(set(RENDERERS) - {"csv"})])
def test_a_report_tells_it(place: Path, folder: str, form: str) -> None:
    done = invoke("report", folder, "--format", form, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "not as published in GitHub repository" in done.words


def test_it_is_stored_beside_the_predictions_and_only_there(place: Path) -> None:
    (cell,) = (place / "out" / "cells").iterdir()
    assert json.loads((cell / "decode" / "task.json").read_text())["notes"] == [NOTE]
    assert "notes" not in json.loads((cell / "decode" / "cell.json").read_text())


def test_no_fingerprint_reads_it(tmp_path: Path) -> None:
    (tmp_path / "told").mkdir()
    plan, told = planned(tmp_path), planned(tmp_path / "told")
    (splits,) = told.data.values()
    object.__setattr__(splits, "notes", (NOTE,))
    assert told.data_notes == [NOTE] and plan.data_notes == []
    assert splits.fingerprint() == plan.fingerprints["all"]
    assert splits.training_fingerprint() == plan.data["all"].training_fingerprint()
