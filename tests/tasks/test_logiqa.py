import re
from collections import Counter
from collections.abc import Callable

import pytest
from logic_solver import parts, solve

from warmup_bench.contracts.task import Splits
from warmup_bench.tasks import logiqa

KINDS = {
    "syllogism": re.compile(r"(All|No|Some) "),
    "roles": re.compile(r".* lies\. "),
    "propositions": re.compile(r"(not |\(|[P-S]\b)"),
}


@pytest.fixture(scope="module")
def splits(mini: Callable[[str, str], Splits]) -> Splits:
    return mini("logiqa", "en")


def _kind(source: str) -> str:
    return next(kind for kind, pattern in KINDS.items() if pattern.match(source))


def test_sizes_and_kinds(splits: Splits) -> None:
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (4000, 300, 600)
    kinds = Counter(_kind(e.source) for e in splits.test)
    assert kinds == {"syllogism": 240, "propositions": 220, "roles": 140}


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_letter_is_right_equally_often(splits: Splits, split: str) -> None:
    examples = getattr(splits, split)
    assert Counter(e.target for e in examples) == dict.fromkeys("ABCD", len(examples) // 4)


def test_sources_are_short_and_have_four_different_options(splits: Splits) -> None:
    for e in (*splits.train, *splits.validation, *splits.test):
        _, options = parts(e.source)
        assert list(options) == ["A", "B", "C", "D"]
        assert len(set(options.values())) == 4
        assert len(e.source) <= 400


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_the_target_is_right(splits: Splits, kind: str) -> None:
    chosen = [e for e in splits.test if _kind(e.source) == kind][:60]
    assert len(chosen) == 60
    for e in chosen:
        assert solve(e.source) == {e.target}, e.source


def test_no_puzzle_stands_in_two_splits(splits: Splits) -> None:
    # Whatever the options are; for roles, whatever the names and the roles are called, and in either order.
    def puzzle(source: str) -> str:
        text, _ = parts(source)
        if _kind(source) != "roles":
            return text
        said = text.split(" lies. ", 1)[1].rsplit(". ", 1)[0]
        good, bad = re.match(r"An? (\w+) tells the truth, an? (\w+) lies", text).groups()
        said = re.sub(rf"\ban? ({good}|{bad})\b", lambda m: "knight" if m[1] == good else "knave", said)
        names = re.findall(r"(\w+): ", said)
        views = []
        for order in (names, names[::-1]):
            renamed = said
            for name, letter in zip(order, "XY", strict=True):
                renamed = re.sub(rf"\b{name}\b", letter, renamed)
            views.append(" / ".join(sorted(renamed.split(". "))))
        return min(views)

    puzzles = {s: {puzzle(e.source) for e in getattr(splits, s)} for s in ("train", "validation", "test")}
    assert len(puzzles["test"]) == 600
    assert not puzzles["test"] & (puzzles["train"] | puzzles["validation"])
    assert not puzzles["validation"] & puzzles["train"]


def test_the_options_alone_do_not_give_the_answer_away(splits: Splits) -> None:
    # A rule that sees only options, fitted on train: prefer the form that is right most often there.
    def form(option: str) -> str:
        return re.sub(r"\b(?!All|No|Some|are|not|and|or|both|neither)\w+", "x", option)

    right: Counter[str] = Counter()
    offered: Counter[str] = Counter()
    for e in splits.train:
        _, options = parts(e.source)
        offered.update(form(option) for option in options.values())
        right[form(options[e.target])] += 1
    hits = 0
    for e in splits.test:
        _, options = parts(e.source)
        best = max(options, key=lambda letter: right[form(options[letter])] / offered[form(options[letter])])
        hits += best == e.target
    # Chance is 150 of 600, standard deviation 10.6. With wrong options made by another rule than the
    # answers, a classifier of options alone reached 270.
    assert hits < 150 + 4 * 10.6


def test_labels_are_the_letters() -> None:
    assert logiqa.TASK.card.labels == ("A", "B", "C", "D")
    metrics = ("accuracy", "macro-f1", "ranked-accuracy", "ranked-macro-f1", "unparsed")
    assert logiqa.TASK.card.metrics == metrics
