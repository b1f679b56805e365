from collections.abc import Callable

import pytest

from warmup_bench.contracts.task import Splits
from warmup_bench.tasks import xsum
from warmup_bench.tasks.mini.docstrings import Documented


@pytest.fixture(scope="module")
def splits(mini: Callable[[str, str], Splits]) -> Splits:
    return mini("xsum", "en")


@pytest.mark.parametrize("field", ["group", "source", "target"])
def test_neither_file_nor_text_stands_in_two_splits(splits: Splits, field: str) -> None:
    parts = (splits.train, splits.validation, splits.test)
    train, validation, test = ({getattr(e, field).casefold() for e in split} for split in parts)
    assert len(test) == len(splits.test) or field == "group"
    assert not (test & train or test & validation or validation & train)


def test_summaries_are_short_and_do_not_stand_in_the_source(splits: Splits) -> None:
    for e in (*splits.train, *splits.validation, *splits.test):
        assert 4 <= len(e.target.split()) <= 25
        assert 15 <= len(e.source.split()) <= 60
        assert e.target.rstrip(".").casefold() not in e.source.casefold()
        assert "\n" not in e.source + e.target


def test_several_packages_are_in_every_split(splits: Splits) -> None:
    for split in (splits.train, splits.validation, splits.test):
        assert {e.group.split("/")[0] for e in split} >= {"python", "numpy", "pandas", "torch"}


def test_near_copies_of_held_out_bodies_are_dropped() -> None:
    words = [f"w{i}" for i in range(40)]
    held_out = Documented("m.py", "Held out.", " ".join(words))
    copy = Documented("n.py", "A copy.", " ".join(["other", *words[1:39], "end"]))
    half = Documented("o.py", "Half of it.", " ".join([*words[:20], *(f"v{i}" for i in range(20))]))
    assert xsum._without_copies([copy, half], [held_out]) == [half]
