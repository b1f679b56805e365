"""What every built-in task promises, whatever it is about."""

import gzip
import importlib
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.task import LoadRequest, Splits, Task

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
TASKS = ENTRY_POINTS["warmup_bench.tasks"]
MINI = ("wmt", "xsum", "logiqa")

Load = Callable[[str], Splits]


def _task(name: str) -> Task:
    module, variable = TASKS[name].split(":")
    return getattr(importlib.import_module(module), variable)


@pytest.fixture
def load(mini: Callable[[str, str], Splits], tmp_path: Path) -> Load:
    """Load a task's default subset at its default scale, from files made here where it needs files."""

    def of(name: str) -> Splits:
        task = _task(name)
        subset = next(iter(task.card.subsets))
        if name in MINI:
            return mini(name, subset)
        for stem, size in (("train", 9), ("val", 3), ("test_2016_flickr", 4)):
            for language in subset.split("-"):
                lines = "".join(f"{language} {stem} {i}\n" for i in range(size))
                (tmp_path / f"{stem}.{language}.gz").write_bytes(gzip.compress(lines.encode()))
        return task.load(LoadRequest(subset=subset, scale="small", data_dir=tmp_path))

    return of


@pytest.mark.parametrize("name", TASKS)
def test_card(name: str) -> None:
    card = _task(name).card
    assert card.name == name
    assert set(card.metrics) <= set(ENTRY_POINTS["warmup_bench.metrics"])
    assert card.licence and card.citation
    if name in MINI:
        assert next(iter(card.scales)) == "mini"


@pytest.mark.parametrize("name", TASKS)
def test_examples(name: str, load: Load) -> None:
    splits = load(name)
    for split in (splits.train, splits.validation, splits.test):
        assert len({e.id for e in split}) == len(split) > 0
        for e in split:
            assert e.source.strip() == e.source != ""
            assert e.target.strip() == e.target != ""
    seen = {(e.source, e.target) for e in (*splits.train, *splits.validation)}
    assert not seen & {(e.source, e.target) for e in splits.test}
    labels = _task(name).card.labels
    if labels:
        assert {e.target for e in (*splits.train, *splits.validation, *splits.test)} == set(labels)


@pytest.mark.parametrize("name", MINI)
def test_mini_sizes(name: str, load: Load) -> None:
    splits = load(name)
    assert 500 <= len(splits.test) <= 600
    assert 300 <= len(splits.validation) <= 500
    assert 3000 <= len(splits.train) <= 8000


def test_a_second_process_makes_the_same_data(mini: Callable[[str, str], Splits]) -> None:
    # Another hash seed: an order taken from a set of strings would show.
    code = (
        "import importlib, json, sys\n"
        "from harness.task import LoadRequest\n"
        "found = {}\n"
        "for name, subset in json.loads(sys.argv[1]).items():\n"
        "    task = importlib.import_module(f'tasks.{name}').TASK\n"
        "    found[name] = task.load(LoadRequest(subset, 'mini')).fingerprint()\n"
        "print(json.dumps(found))\n"
    )
    wanted = {"wmt": "de-en", "xsum": "en", "logiqa": "en"}
    environment = os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)}
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
        "    importlib.import_module(f'tasks.{name}')\n"
        "print(sorted(set(sys.argv[2].split()) & set(sys.modules)))\n"
    )
    heavy = "torch datasets babel reasoning_gym pandas transformers huggingface_hub"
    done = subprocess.run(
        [sys.executable, "-c", code, " ".join(TASKS), heavy],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
