"""What the stages of a cell hand to one another, run in this process on a tiny task."""

from pathlib import Path
from typing import Any

import pytest
from plugin_files import planned

from harness.planning.plan import Plan
from harness.runner import execute, outstanding
from harness.training import diagnostics

SMALL = {
    "seeds": [0],
    "methods": ["warmup"],
    "workers": 1,
    "limit": {"train": 24, "validation": 7, "test": 4},
    "warm_start": {"steps": 2},
    "budget": {"steps": 2},
}


def run(plan: Plan) -> dict[str, str]:
    """Do what is outstanding; the failures by step."""
    failures = execute(plan, outstanding(plan), lambda event: None)
    return {key: failure.message for key, failure in failures.items()}


def test_an_evaluation_takes_the_micro_batch_of_its_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, real = [], diagnostics.collate

    def collate(part: list[Any], *arguments: Any) -> Any:
        sizes.append(len(part))
        return real(part, *arguments)

    monkeypatch.setattr(diagnostics, "collate", collate)
    assert run(planned(tmp_path, **SMALL, train={"micro_batch_size": 3})) == {}
    # Seven validation inputs at the first and the last step, each met once more with others' warmups.
    assert sizes == [3, 3, 1] * 2 * 2
