"""What is missing is found before the first step; every finding against a machine made for it."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

from plugin_files import planned
from warmup_bench.cli.doctor import doctor_command
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.preset import Preset
from warmup_bench.models.presets import MINI_LLAMA
from warmup_bench.plan import preflight
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.preflight import (
    MARGIN,
    Need,
    bytes_needed,
    checkpoint_state,
    count_parameters,
    machine,
    missing_pieces,
    require,
    room,
    writable,
)

HUB = Preset("far", "", "decoder-only", checkpoint="somebody/far", revision="main")


def missing(findings: Sequence[Need]) -> list[str]:
    return [f.what for f in findings if f.state == "missing"]


def test_a_run_that_has_everything_is_let_through(tmp_path: Path) -> None:
    made = planned(tmp_path)
    findings = list(missing_pieces(made, outstanding(made)))
    assert {f.what for f in findings} == {"write permission", "disk"}
    assert missing(findings) == []
    require(made, outstanding(made))
    assert not (tmp_path / "out").exists()  # looking leaves nothing behind


def test_parameters_are_counted_without_weights() -> None:
    # tied embeddings; a layer: four square matrices, three of the MLP, two norms; the last norm
    layer = 4 * 128 * 128 + 3 * 128 * 384 + 2 * 128
    assert count_parameters(MINI_LLAMA, offline=True) == 2000 * 128 + 3 * layer + 128
    terabytes = replace(MINI_LLAMA, vocabulary=10**10)
    assert count_parameters(terabytes, offline=True) == 10**10 * 128 + 3 * layer + 128


def test_the_room_that_is_needed_by_hand(tmp_path: Path) -> None:
    made = planned(tmp_path, seeds=[0, 1], methods=["sft", "warmup"], workers=2)
    work = outstanding(made)
    (reference,) = made.presets
    # 2 warm starts and 4 trainings of 1000 weights; 2 at a time with 3 checkpoints of 3 numbers a weight.
    assert bytes_needed(made, work, {reference: 1000}) == 6 * 4000 + 2 * 3 * 3 * 4000 + MARGIN


@pytest.mark.parametrize(
    ("models", "method", "kept"),
    [
        ("trained", "warmup", 3 + 2),  # every training, and the warm starts of two workers
        ("trained", "draft", 3 + 3),  # decoded with the warm starts, which stay
        ("none", "warmup", 2 + 2),
        ("none", "draft", 2 + 2),
    ],
)
def test_models_that_are_let_go_need_less_room(models: str, method: str, kept: int, tmp_path: Path) -> None:
    made = planned(tmp_path, seeds=[0, 1, 2], methods=[method], store={"models": models}, workers=2)
    (reference,) = made.presets
    running = 2 * 3 * 3 * 4000 + MARGIN
    assert bytes_needed(made, outstanding(made), {reference: 1000}) == kept * 4000 + running


def test_a_disk_without_room_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=MARGIN))
    made = planned(tmp_path)
    with pytest.raises(UserError, match=r"disk: 0\.1 GB free at .*out, about 0\.1 GB needed") as caught:
        require(made, outstanding(made))
    assert caught.value.hint.endswith("--set store.models=none keeps no models.")
    assert room(tmp_path, MARGIN).state == "ok"
    assert room(tmp_path / "not" / "there", MARGIN + 1).state == "missing"


def test_a_folder_that_can_not_be_written_is_found(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        finding = writable(out)
        assert finding.state == "missing"
        assert f"results folder {out} is not writable" in finding.detail
    assert writable(tmp_path / "new" / "folder").state == "ok"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_adapters_need_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planned(tmp_path, lora={"rank": 2}, warm_start={"steps": 0})
    assert missing(list(missing_pieces(made, outstanding(made)))) == []
    monkeypatch.setattr(preflight, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"peft is not installed.*warmup-bench\[lora\]"):
        require(made, outstanding(made))


def test_a_backbone_whose_configuration_is_wrong_is_found(tmp_path: Path) -> None:
    made = planned(tmp_path)
    ((reference, entry),) = made.presets.items()
    entry.value.config["model_type"] = "no-such-model"
    findings = {f.what: f for f in missing_pieces(made, outstanding(made))}
    assert "no-such-model" in findings["backbone nano"].detail
    assert reference in made.presets


def test_a_checkpoint_in_the_cache_a_folder_or_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    from huggingface_hub import file_download

    monkeypatch.setattr(file_download.constants, "HF_HUB_CACHE", str(tmp_path))
    far = checkpoint_state(HUB, offline=True)
    assert (far.state, "not in the cache" in far.detail) == ("missing", True)

    asked = []

    def absent(repo: str, name: str, revision: str) -> bool:
        asked.append((repo, name, revision))
        return False

    monkeypatch.setattr(huggingface_hub, "file_exists", absent)
    assert "no weights in safetensors" in checkpoint_state(HUB, offline=False).detail
    assert asked[0] == ("somebody/far", "model.safetensors", "main")
    monkeypatch.setattr(huggingface_hub, "file_exists", lambda *a, **k: True)
    assert checkpoint_state(HUB, offline=False).state == "ok"

    def unreachable(*arguments: object, **options: object) -> bool:
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(huggingface_hub, "file_exists", unreachable)
    assert checkpoint_state(HUB, offline=False).detail == "somebody/far can't be reached: no route to host"

    repository = tmp_path / "models--somebody--far"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "snapshots" / "abc" / "model.safetensors").write_bytes(b"")
    assert checkpoint_state(HUB, offline=True).state == "ok"

    folder = tmp_path / "local"
    folder.mkdir()
    local = Preset("local", "", "decoder-only", checkpoint=str(folder))
    assert checkpoint_state(local, offline=True).state == "missing"
    (folder / "model.safetensors").write_bytes(b"")
    assert checkpoint_state(local, offline=True).state == "ok"


def test_the_doctor_shows_every_row_and_says_by_its_code_whether_a_run_can_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    monkeypatch.setenv("COLUMNS", "200")
    assert doctor_command(tmp_path) == 0
    shown = capsys.readouterr().out
    release = torch.__version__.partition("+")[0]
    for part in (release, "extra lora", "metric comet", "t5-small", "GB free", "trackers"):
        assert part in shown

    def version(name: str) -> str:
        if name in ("accelerate", "peft"):
            raise PackageNotFoundError(name)
        return "0.0.1"

    monkeypatch.setattr(preflight, "version", version)
    findings = {f.what: f for f in machine(tmp_path)}
    assert findings["accelerate"].state == "missing"
    assert findings["extra lora"].detail == "peft is not installed"
    assert "not >=0.3.13" in findings["extra bertscore"].detail
    assert doctor_command(tmp_path) == 1


def test_a_tracker_that_can_not_be_reached_stops_a_run_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def unreachable(name: str) -> tuple[str, str]:
        asked.append(name)
        return "it is down", "Start it."

    monkeypatch.setattr("warmup_bench.train.tracking.unreachable", unreachable)
    monkeypatch.setattr("warmup_bench.train.tracking.find_spec", lambda name: object())
    made = planned(tmp_path, track=["mlflow"])
    with pytest.raises(UserError, match=r"tracker mlflow: it is down.*Start it"):
        require(made, outstanding(made))
    assert asked == ["mlflow"]
    require(planned(tmp_path), outstanding(planned(tmp_path)))  # it is not asked for
    assert asked == ["mlflow"]
