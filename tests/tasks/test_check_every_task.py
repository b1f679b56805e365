"""``warmup-bench check task`` over every registered task, on local files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import write

from warmup_bench.check.card import check_card
from warmup_bench.check.task import CHECKS, check_splits
from warmup_bench.contracts.task import LoadRequest, Splits
from warmup_bench.data.registry import tasks


@pytest.mark.parametrize("name", tasks().names())
def test_the_check_finds_no_failure(name: str, mini: Callable[[str, str], Splits], tmp_path: Path) -> None:
    task = tasks().load(name).value
    subset = next(iter(task.card.subsets))
    if "mini" in task.card.scales:
        request = LoadRequest(subset, "mini", offline=True)
        splits = mini(name, subset)
    else:
        write(name, tmp_path)
        request = LoadRequest(subset, next(iter(task.card.scales)), tmp_path, offline=True)
        splits = task.load(request)
    # A second process would load the data again; test_every_task has one that loads them all.
    checks = [(what, check) for what, check in CHECKS if what != "a second process"]
    findings = [*check_card(task.card, request.scale), *check_splits(name, request, splits, checks=checks)]
    assert [finding for finding in findings if finding.state == "failed"] == []
    checked = {finding.check for finding in findings}
    assert {"card", "languages", "revision", "data", "ids", "fields", "documents", "train/test"} <= checked
    assert {"near duplicates", "lengths", "5-step run"} <= checked
    assert {f"metric {key}" for key in task.card.metrics} <= checked
