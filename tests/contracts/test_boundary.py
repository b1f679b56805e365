"""What a plugin may give back: each wrong thing is one line that names the plugin."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from warmup_bench.contracts.boundary import (
    checked_statistics,
    coefficients_of,
    described,
    given_by,
    score_of,
    splits_of,
)
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Coefficients, Giving, Method, Rollout, likelihood
from warmup_bench.contracts.task import Example, LoadRequest, Splits

ROLLOUT = Rollout(*(torch.zeros(2, 3) for _ in range(6)))
REQUEST = LoadRequest("all", "mini")


def method(coefficients: Any = likelihood, give: Any = None) -> Method:
    return Method("mine", "", "a test", "sampled", coefficients, give)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "returned None, not warmup_bench.Coefficients"),
        ((1, 2), "returned a tuple"),
        (Coefficients(torch.zeros(()), torch.zeros(2, 3)), r"coefficients a of shape \[\], not \[2, 3\]"),
        (Coefficients(torch.zeros(2, 3), torch.zeros(3)), r"coefficients b of shape \[3\], not \[2, 3\]"),
        (Coefficients(torch.zeros(2, 3), 0.5), "coefficients b that are a float, not a tensor"),
        (Coefficients(torch.zeros(2, 3).int(), torch.zeros(2, 3)), "coefficients a of torch.int32"),
    ],
)
def test_coefficients_have_the_shape_of_the_rollout(returned: Any, words: str) -> None:
    with pytest.raises(UserError, match=f"method 'mine' returned.*|{words}") as caught:
        coefficients_of(method(lambda rollout: returned), ROLLOUT)
    assert caught.match(words)
    assert coefficients_of(method(), ROLLOUT).b.tolist() == [[pytest.approx(1 / 3)] * 3] * 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "gave None for 2 examples"),
        ([[1]], "gave 1 warmups for 2 examples"),
        ([[1], "ab"], "gave 'ab' to example 1"),
        ([[1], [9]], r"gave \[9\] to example 1, no list of ids from 0 to 8"),
        ([[-1], []], r"gave \[-1\] to example 0"),
        ([[1.0], []], r"gave \[1.0\] to example 0"),
    ],
)
def test_given_warmups_are_ids_one_list_an_example(given: Any, words: str) -> None:
    giving = Giving(["a", "b"], None, [], 4, lambda text: [], lambda: [], 0)
    with pytest.raises(UserError, match=f"method 'mine' {words}"):
        given_by(method(give=lambda giving: given), giving, 9)
    assert given_by(method(give=lambda giving: ([1, 2], [])), giving, 9) == [[1, 2], []]


def metric(aggregate: Any = lambda s: s[..., 0], **facts: Any) -> Any:
    known = {"name": "M", "higher_is_better": True, "signature": lambda: "v:1"}
    return SimpleNamespace(aggregate=aggregate, **known | facts)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (np.array([[1.0], [np.nan]]), "gave nan as statistic 0 of example 1"),
        (np.array([[1.0, np.inf], [0.0, 0.0]]), "gave inf as statistic 1 of example 0"),
        (np.array([[1.0], [-1e300]]), r"gave -1e\+300 as statistic 0 of example 1"),
        (np.zeros((2, 0)), r"gave statistics of shape \[2, 0\], not \[2, k\]"),
        (np.zeros(2), r"of shape \[2\]"),
        (np.zeros((3, 1)), r"of shape \[3, 1\], not \[2, k\]"),
        (np.array([["a"], ["b"]]), "gave an array of <U1, not an array of numbers"),
        ([[1.0], [2.0]], "gave a list"),
        (None, "gave None"),
    ],
)
def test_statistics_are_finite_numbers_of_every_example(found: Any, words: str) -> None:
    with pytest.raises(UserError, match=f"metric 'M' .*{words}|metric 'M' {words}"):
        checked_statistics(metric(), found, 2)
    good = np.array([[1], [2]])
    assert checked_statistics(metric(), good, 2) is good


@pytest.mark.parametrize(
    ("aggregate", "words"),
    [
        (lambda s: np.nan, "to nan"),
        (lambda s: 1e300, r"to 1e\+300"),
        (lambda s: s, r"of shape \[1\] to \[3.\]"),
        (lambda s: None, "to None"),
        (lambda s: float(s.sum()), r"of shape \[2, 1\] to \[\], not to \[2\]"),
    ],
)
def test_a_score_is_a_number_and_several_sums_are_several_scores(aggregate: Any, words: str) -> None:
    with pytest.raises(UserError, match=f"metric 'M' aggregates statistics .*{words}"):
        score_of(metric(aggregate), np.array([[1.0], [2.0]]))
    assert score_of(metric(), np.array([[1.0], [2.0]])) == 3.0


def test_a_metric_is_described_by_texts() -> None:
    assert described(metric()) == {"name": "M", "higher_is_better": True, "signature": "v:1"}
    for key, value in {"name": None, "higher_is_better": 1, "signature": lambda: "\ud800"}.items():
        with pytest.raises(UserError, match=f"for its {key}"):
            described(metric(**{key: value}))


def splits(*train: Any) -> Splits:
    good = [Example("1", "a", "b")]
    return Splits(list(train), good, good)


def loaded(returned: Any) -> Splits:
    return splits_of("mine", "file.py", lambda request: returned, REQUEST)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "returned None, no Splits"),
        (Splits((x for x in ()), [], []), "has a generator for its split 'train'"),  # type: ignore[arg-type]
        (splits("text"), "has in split 'train' an example 0 that is a str, no Example"),
        (
            splits(Example("1", "a", "b"), Example("2", 7, "b")),
            r"example 1 \(id '2'\) whose source is 7, no text",
        ),  # type: ignore[arg-type]
        (splits(Example("1", "a", None)), "whose target is None, no text"),  # type: ignore[arg-type]
        (splits(Example(3, "a", "b")), "an example 0 whose id is 3, no text"),  # type: ignore[arg-type]
        (splits(Example("1", "a", "\ud800")), "whose target is .*, which can't be written as UTF-8"),
        (splits(Example("1", "a", "b", "cd")), "whose references are a str, no tuple of texts"),  # type: ignore[arg-type]
        (splits(Example("1", "a", "b", ("c", 4))), "with one of its references 4, no text"),  # type: ignore[arg-type]
        (splits(Example("1", "a", "b", group=5)), "whose group is 5, no text"),  # type: ignore[arg-type]
        (splits(Example("1", "a", "b", options=("x", None))), "with one of its options None, no text"),  # type: ignore[arg-type]
    ],
)
def test_examples_are_texts(returned: Any, words: str) -> None:
    with pytest.raises(UserError, match=f"task 'mine' {words}|task 'mine' .*{words}") as caught:
        loaded(returned)
    assert caught.value.origin == "file.py" and "\n" not in str(caught.value)


def test_good_examples_pass_as_they_are() -> None:
    good = splits(Example("ä", "\u4e2d", "b", ("c",), "doc", ("x", "y")))
    assert loaded(good) is good


@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(0), BaseException(), ZeroDivisionError()])
def test_a_loader_that_raises_is_named_with_its_line(error: BaseException) -> None:
    def load(request: LoadRequest) -> Splits:
        raise error

    with pytest.raises(UserError, match=f"could not load its examples: {type(error).__name__}") as caught:
        splits_of("mine", "file.py", load, REQUEST)
    assert __file__ in caught.value.hint


def test_a_generator_that_fails_on_the_way_is_named() -> None:
    class Lazy(Sequence[Example]):
        def __len__(self) -> int:
            return 2

        def __getitem__(self, place: Any) -> Any:
            raise OSError("gone")

    with pytest.raises(UserError, match="could not load its examples: OSError: gone"):
        loaded(Splits(Lazy(), [], []))
