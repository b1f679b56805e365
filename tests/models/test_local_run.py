"""Checkpoint folders through a run: models of a run that are trained further, two folders of one name."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from plugin_files import planned, run_here
from warmup_bench.contracts.errors import UserError
from warmup_bench.plan.plan import Plan
from warmup_bench.store.folders import read_json
from warmup_bench.store.results import read_results

FURTHER: dict[str, Any] = {
    "train": {"batch_size": 8, "learning_rate": 0.01, "optimizer": "adafactor"},
    "budget": {"steps": 2},
    "warmup": {"samples": 2, "max_tokens": 2},
    "decode": {"max_tokens": 6},
    "seeds": [0],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of sft and warmup of one seed."""
    folder = tmp_path_factory.mktemp("local")
    run_here(planned(folder, seeds=[0]))
    return folder


def models(place: Path) -> list[Path]:
    return sorted((place / "out" / "trainings").glob("*/model"))


def further(place: Path, *folders: Path) -> Plan:
    backbones = [str(folder) for folder in folders]
    return planned(place, backbones=backbones, methods=["sft"], out=str(place / "more"), **FURTHER)


def test_trained_models_are_trained_further_each_in_cells_of_its_own(place: Path) -> None:
    first, second = models(place)
    assert first.name == second.name == "model"
    whole = ["warm start", "training", "cell"]
    assert run_here(further(place, first)) == whole
    assert run_here(further(place, second)) == whole  # not taken for done
    assert run_here(further(place, first)) == run_here(further(place, second)) == []
    results = read_results(place / "more")
    assert [result.cell.backbone for result in results] == ["model", "model"]
    assert len({result.cell.warm_start_id for result in results}) == 2
    starts = (place / "more" / "warm-starts").iterdir()
    assert len({(start / "model.safetensors").read_bytes() for start in starts}) == 2
    for result in results:
        assert read_json(result.place / "decode" / "cell.json")["code"] == result.cell.code


def test_a_folder_is_the_same_backbone_wherever_it_stands(place: Path, tmp_path: Path) -> None:
    first, second = models(place)
    moved = shutil.copytree(first, tmp_path / "elsewhere" / "model")
    (cell,), (copy,), (other,) = (further(place, folder).cells for folder in (first, moved, second))
    assert copy.id == cell.id
    for name in ("id", "training_id", "warm_start_id"):
        assert getattr(other, name) != getattr(cell, name)


def test_two_folders_of_one_name_are_refused(place: Path) -> None:
    first, second = models(place)
    with pytest.raises(UserError, match="two backbones have one name") as caught:
        further(place, first, second)
    assert str(first) in caught.value.problem
    assert str(second) in caught.value.problem
