"""docs/tasks.md names every task and the commits that its files really come from."""

import importlib
import tomllib
from pathlib import Path

import pytest

from warmup_bench.data.hub import Repository

ROOT = Path(__file__).resolve().parents[2]
TASKS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["warmup_bench.tasks"]
PAGE = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TASKS)
def test_every_task_and_its_pinned_repositories_are_named(name: str) -> None:
    assert f"| `{name}` |" in PAGE
    module = importlib.import_module(TASKS[name].split(":")[0])
    repositories = [value for value in vars(module).values() if isinstance(value, Repository)]
    for repository in repositories:
        if repository.revision:
            assert len(repository.revision) == 40 and int(repository.revision, 16)
            assert repository.pinned in PAGE
            assert any(repository.pinned in scale.data for scale in module.TASK.card.scales.values())
        else:
            assert repository.access
