"""Models are let go and taken in again; whoever is killed in between leaves nothing that is used."""

import logging
import shutil
from pathlib import Path

import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.models.load import resolve_preset
from warmup_bench.store import models
from warmup_bench.store.folders import DONE, CorruptError, check, read_json, writing
from warmup_bench.store.locks import claim
from warmup_bench.store.models import (
    end_removal,
    has_model,
    is_untidy,
    let_go,
    lock_of,
    reading,
    require_model,
    writing_model,
)

RECORDS = {DONE, "ledger.json", "log.jsonl"}


def fill(folder: Path, weights: str = "weights", spent: str = "1") -> None:
    (folder / "ledger.json").write_text(spent, encoding="utf-8")
    (folder / "log.jsonl").write_text("{}\n", encoding="utf-8")
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}", encoding="utf-8")
    (folder / "model" / "model.safetensors").write_text(weights, encoding="utf-8")


@pytest.fixture
def training(tmp_path: Path) -> Path:
    folder = tmp_path / "trainings" / "one"
    with writing(folder) as temporary:
        fill(temporary)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_model_goes_and_its_records_stay(training: Path) -> None:
    listed = read_json(training / DONE)["files"]
    assert has_model(training)
    let_go(training, "store.models=none")
    assert not has_model(training) and not is_untidy(training)
    assert names(check(training)) == RECORDS
    manifest = read_json(training / DONE)
    assert manifest["files"] | manifest["removed"] == listed  # what went is still told, with its SHA-256
    assert manifest["removed_by"] == "store.models=none"
    let_go(training, "store.models=trained")  # once more changes nothing
    assert read_json(training / DONE) == manifest


def test_who_needs_a_model_later_is_told_what_to_do(training: Path) -> None:
    with reading(training), claim(lock_of(training)) as ours:
        assert not ours  # nobody lets it go meanwhile
    let_go(training, "store.models=none")
    said = rf"the model of {training} was not kept \(store.models=none\)"
    with pytest.raises(UserError, match=said) as caught, reading(training):
        pass
    assert "'warmup-bench run' trains it again" in caught.value.hint
    assert "--set store.models=all" in caught.value.hint
    for reference in (training / "model", training):
        with pytest.raises(UserError, match=said):
            resolve_preset(str(reference))
    require_model(training.parent / "other")  # what is not there is for others to name


def test_a_process_that_is_killed_while_it_removes_leaves_what_the_next_one_removes(
    training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments: object, **options: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(SystemExit):
            let_go(training, "store.models=none")
    assert (training / "model" / "model.safetensors").exists()
    assert not has_model(training) and is_untidy(training)
    check(training)
    end_removal(training)
    assert names(training) == RECORDS and not is_untidy(training)


def test_a_damaged_record_keeps_the_model(training: Path) -> None:
    (training / "ledger.json").write_text("2", encoding="utf-8")
    with pytest.raises(CorruptError, match=r"ledger\.json"):
        let_go(training, "store.models=none")
    assert has_model(training)
    assert (training / "model" / "model.safetensors").exists()


def test_a_model_that_is_made_again_joins_the_first_records(
    training: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = read_json(training / DONE)
    let_go(training, "store.models=none")
    with caplog.at_level(logging.WARNING), writing_model(training) as folder:
        fill(folder, spent="other seconds")
    assert has_model(training)
    assert read_json(check(training) / DONE) == before
    assert (training / "ledger.json").read_text(encoding="utf-8") == "1"
    assert names(training) == {*RECORDS, "model"}
    assert caplog.messages == []


def test_other_weights_than_before_are_told(training: Path, caplog: pytest.LogCaptureFixture) -> None:
    let_go(training, "store.models=none")
    with caplog.at_level(logging.WARNING), writing_model(training) as folder:
        fill(folder, weights="rounded otherwise")
    check(training)
    assert [
        message.startswith(f"{training} was made again with other weights") for message in caplog.messages
    ]


@pytest.mark.parametrize("moment", ["before the manifest", "after it"])
def test_a_process_that_is_killed_while_it_takes_a_model_in(
    moment: str, training: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read_json(training / DONE)
    let_go(training, "store.models=none")
    written = models.write_file

    def killed(path: Path, text: str) -> None:
        if moment == "after it":
            written(path, text)
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(models, "write_file", killed)
        with pytest.raises(SystemExit), writing_model(training) as folder:
            fill(folder)
    check(training)
    assert has_model(training) == (moment == "after it")
    assert is_untidy(training) == (moment != "after it")
    end_removal(training)
    assert names(training) == RECORDS | ({"model"} if moment == "after it" else set())
    if moment != "after it":
        with writing_model(training) as folder:
            fill(folder)
    assert read_json(check(training) / DONE) == before
