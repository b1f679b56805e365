"""What every built-in task promises, whatever it is about."""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import SIZES, WRITERS, write

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import LoadRequest, Splits, Task

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
TASKS = ENTRY_POINTS["warmup_bench.tasks"]
MINI = ("wmt", "xsum", "logiqa")


def _task(name: str) -> Task:
    module, variable = TASKS[name].split(":")
    return getattr(importlib.import_module(module), variable)


def _every_subset() -> list[tuple[str, str]]:
    return [(name, subset) for name in TASKS for subset in _task(name).card.subsets]


def _check(task: Task, splits: Splits, size: int = 1) -> None:
    parts = (splits.train, splits.validation, splits.test)
    for split in parts:
        assert len({e.id for e in split}) == len(split) >= size
        for e in split:
            assert e.source.strip() == e.source != ""
            assert e.target.strip() == e.target != ""
            assert e.golds[0] == e.target and all(e.golds)
            assert bool(e.options) == bool(task.card.labels)
            if e.options:
                assert e.options == task.card.labels[: len(e.options)]
                assert e.target in e.options
    seen = {(e.source, e.target) for e in (*splits.train, *splits.validation)}
    assert not seen & {(e.source, e.target) for e in splits.test}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every task in their published layout, in one data folder."""
    folder = tmp_path_factory.mktemp("data")
    for name in WRITERS:
        write(name, folder)
    return folder


@pytest.mark.parametrize("name", TASKS)
def test_card(name: str) -> None:
    card = _task(name).card
    assert card.name == name
    assert set(card.metrics) <= set(ENTRY_POINTS["warmup_bench.metrics"])
    assert card.citation
    for scale in card.scales:
        assert card.licence_of(scale)
        limits = card.scales[scale].settings.get("limit", {})
        sizes = dict(zip(("train", "validation", "test"), card.scales[scale].sizes, strict=True))
        assert all(sizes[split] == limit for split, limit in limits.items())
    assert ("paper" in card.scales) and ("small" in card.scales)
    assert (next(iter(card.scales)) == "mini") == (name in MINI)


@pytest.mark.parametrize("name", TASKS)
def test_the_settings_of_every_scale_are_valid(name: str) -> None:
    from warmup_bench.spec.spec import make_settings

    for card in _task(name).card.scales.values():
        make_settings(name, card.settings)


@pytest.mark.parametrize(("name", "subset"), _every_subset())
@pytest.mark.parametrize("scale", ["small", "paper"])
def test_published_files_load(name: str, subset: str, scale: str, data_dir: Path) -> None:
    task = _task(name)
    request = LoadRequest(subset, scale, data_dir, offline=True)
    assert task.missing is not None and list(task.missing(request)) == []
    splits = task.load(request)
    _check(task, splits)
    if (name, subset) != ("logiqa2", "dev-as-train") and name not in ("libreoffice-help", "reclor"):
        assert len(splits.test) == SIZES["test"]
    assert task.load(request).fingerprint() == splits.fingerprint()


@pytest.mark.parametrize("name", TASKS)
def test_what_is_missing_is_told_and_named(name: str, tmp_path: Path) -> None:
    task = _task(name)
    subset = next(iter(task.card.subsets))
    request = LoadRequest(subset, "paper", tmp_path, offline=True)
    assert task.missing is not None
    absent = task.missing(request)
    assert absent
    with pytest.raises(UserError, match="data folder lacks ") as caught:
        task.load(request)
    assert any(file in caught.value.problem for file in absent)
    assert caught.value.origin == str(tmp_path)
    assert caught.value.hint


@pytest.mark.parametrize("name", TASKS)
def test_offline_without_files_is_an_error_that_names_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("WARMUP_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    task = _task(name)
    request = LoadRequest(next(iter(task.card.subsets)), "paper", None, offline=True)
    assert task.missing is not None and task.missing(request)
    with pytest.raises(UserError) as caught:
        task.load(request)
    assert "--data-dir" in caught.value.hint


@pytest.mark.parametrize("name", MINI)
def test_mini_examples(name: str, mini: Callable[[str, str], Splits]) -> None:
    task = _task(name)
    subset = next(iter(task.card.subsets))
    assert task.missing is not None and list(task.missing(LoadRequest(subset, "mini"))) == []
    splits = mini(name, subset)
    _check(task, splits)
    if task.card.labels:
        assert {e.target for e in splits.test} == set(task.card.labels)
    train, validation, test = task.card.scales["mini"].sizes
    assert (len(splits.validation), len(splits.test)) == (validation, test)
    assert train / 2 < len(splits.train) <= train  # xsum takes what docstrings are installed
    assert 500 <= len(splits.test) <= 600
    assert 300 <= len(splits.validation) <= 500
    assert 3000 <= len(splits.train) <= 8000


@pytest.mark.slow
def test_a_second_process_makes_the_same_data(mini: Callable[[str, str], Splits]) -> None:
    # Another hash seed: an order taken from a set of strings would show.
    code = (
        "import importlib, json, sys\n"
        "from warmup_bench.contracts.task import LoadRequest\n"
        "found = {}\n"
        "for name, subset in json.loads(sys.argv[1]).items():\n"
        "    task = importlib.import_module(f'tasks.{name}').TASK\n"
        "    found[name] = task.load(LoadRequest(subset, 'mini')).fingerprint()\n"
        "print(json.dumps(found))\n"
    )
    wanted = {"wmt": "de-en", "xsum": "en", "logiqa": "en"}
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(wanted)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    here = {name: mini(name, subset).fingerprint() for name, subset in wanted.items()}
    assert json.loads(done.stdout) == here


def test_importing_the_tasks_imports_nothing_heavy() -> None:
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1].split():\n"
        "    importlib.import_module(name)\n"
        "print(sorted(set(sys.argv[2].split()) & set(sys.modules)))\n"
    )
    heavy = "torch datasets pyarrow babel reasoning_gym pandas transformers huggingface_hub"
    done = subprocess.run(
        [sys.executable, "-c", code, " ".join(value.split(":")[0] for value in TASKS.values()), heavy],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
