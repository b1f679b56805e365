"""``warmup-bench check task`` over every registered task, on local files."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.check.card import check_card
from harness.check.task import CHECKS, check_splits
from harness.registry import tasks
from harness.task import LoadRequest, Scale, Splits

WORDS = [
    *("the", "a", "old", "young", "man", "woman", "dog", "cat", "house", "garden", "river", "red"),
    *("sees", "finds", "leaves", "near", "behind"),
]


def multi30k(folder: Path) -> None:
    """Captions in the layout of the repository multi30k/dataset."""
    rng = random.Random(3)
    for stem, size in (("train", 60), ("val", 10), ("test_2016_flickr", 10)):
        for language in ("de", "en"):
            lines = "".join(" ".join(rng.choices(WORDS, k=9)) + f" {language} {i} .\n" for i in range(size))
            (folder / f"{stem}.{language}.gz").write_bytes(gzip.compress(lines.encode()))


FILES: dict[str, tuple[Scale, Callable[[Path], None]]] = {"multi30k": ("small", multi30k)}
"""Tasks without mini data: the scale, and what writes their files in the layout of their source."""


@pytest.mark.parametrize("name", tasks().names())
def test_the_check_finds_no_failure(name: str, mini: Callable[[str, str], Splits], tmp_path: Path) -> None:
    task = tasks().load(name).value
    subset = next(iter(task.card.subsets))
    if "mini" in task.card.scales:
        request = LoadRequest(subset, "mini", offline=True)
        splits = mini(name, subset)
    else:
        scale, write = FILES[name]
        write(tmp_path)
        request = LoadRequest(subset, scale, tmp_path, offline=True)
        splits = task.load(request)
    # A second process would load the data again; test_every_task has one that loads them all.
    checks = [(what, check) for what, check in CHECKS if what != "a second process"]
    findings = [*check_card(task.card, request.scale), *check_splits(name, request, splits, checks=checks)]
    assert [finding for finding in findings if finding.state == "failed"] == []
    asked = {finding.check for finding in findings}
    assert {"card", "languages", "revision", "data", "ids", "fields", "documents", "train/test"} <= asked
    assert {"near duplicates", "lengths", "5-step run"} <= asked
    assert {f"metric {key}" for key in task.card.metrics} <= asked
