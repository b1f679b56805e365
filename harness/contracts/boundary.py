"""The boundary between ours and a plugin's code: what comes back is checked here, with the plugin's name.

A plugin may return anything. Types, shapes, lengths and values are seen to before anything is computed or
stored from them; what an error says is one line that names the plugin, and of a task the example.
"""

import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from warmup_bench.contracts.errors import UserError, said_by
from warmup_bench.contracts.method import Coefficients, Giving, Method, Rollout
from warmup_bench.contracts.metric import FloatArray, Metric
from warmup_bench.contracts.task import Example, LoadRequest, Splits

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 1e40
"""What a statistic or a score may be at most."""


def coefficients_of(method: Method, rollout: Rollout) -> Coefficients:
    """A method's coefficients of a rollout, each [batch, samples].

    Whether they are finite is seen to by the training, which may skip a step: here it would make the
    processor wait for the device.

    Raises:
        UserError: They are something else: another shape would be broadcast without a word.
    """
    found: object = method.coefficients(rollout)
    if not isinstance(found, Coefficients):
        raise _of_method(method, f"returned {_kind(found)}, not warmup_bench.Coefficients")
    for name, value in (("a", found.a), ("b", found.b)):
        if problem := _unlike(value, rollout.ly):
            raise _of_method(method, f"returned coefficients {name} {problem}")
    return found


def _unlike(value: Any, ly: "Tensor") -> str:
    from torch import Tensor

    if not isinstance(value, Tensor):
        return f"that are {_kind(value)}, not a tensor"
    if value.shape != ly.shape:
        return f"of shape {list(value.shape)}, not {list(ly.shape)} (batch, samples)"
    if not value.is_floating_point():
        return f"of {value.dtype}, not of a floating-point type"
    return "" if value.device == ly.device else f"on {value.device}, not on {ly.device} as the rollout"


def given_by(method: Method, giving: Giving, vocabulary: int) -> list[list[int]]:
    """The warmups that a method gives, as ids of a vocabulary of so many tokens, one an example.

    Raises:
        UserError: They are something else.
    """
    assert method.give is not None  # resolve_method has checked it
    given: object = method.give(giving)
    count = len(giving.sources)
    if not isinstance(given, list | tuple) or len(given) != count:
        what = f"{len(given)} warmups" if isinstance(given, list | tuple) else _kind(given)
        raise _of_method(method, f"gave {what} for {count} examples")
    for number, ids in enumerate(given):
        if not isinstance(ids, list | tuple) or not all(
            isinstance(token, int) and 0 <= token < vocabulary for token in ids
        ):
            known = f"ids from 0 to {vocabulary - 1}"
            raise _of_method(method, f"gave {_shown(ids)} to example {number}, no list of {known}")
    return [list(ids) for ids in given]


def statistics_of(
    metric: Metric, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
) -> FloatArray:
    """A metric's statistics, [examples, k], finite.

    Raises:
        UserError: They are something else.
    """
    return checked_statistics(
        metric, metric.segment_statistics(hypotheses, references, sources), len(hypotheses)
    )


def checked_statistics(metric: Metric, found: object, examples: int) -> FloatArray:
    """What a metric says are its statistics of so many examples.

    Raises:
        UserError: They are none.
    """
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        what = f"an array of {found.dtype}" if isinstance(found, np.ndarray) else _kind(found)
        raise _of_metric(metric, f"gave {what}, not an array of numbers")
    if found.ndim != 2 or len(found) != examples or not found.shape[1]:
        raise _of_metric(metric, f"gave statistics of shape {list(found.shape)}, not [{examples}, k]")
    bad = ~(np.abs(found) <= LARGEST)  # NaN is none of these
    if bad.any():
        row, place = np.argwhere(bad)[0].tolist()
        raise _of_metric(metric, f"gave {found[row, place]} as statistic {place} of example {row}")
    return found


def score_of(metric: Metric, statistics: FloatArray) -> float:
    """A metric's score of a test set from the statistics of its examples, [examples, k].

    Raises:
        UserError: It is no finite number, or the metric does not take several sums at once, which every test
            and interval needs.
    """
    total = statistics.sum(axis=0)
    score = np.asarray(metric.aggregate(total))
    if score.shape != () or score.dtype.kind not in "fiu" or not abs(float(score)) <= LARGEST:
        raise _of_metric(metric, f"aggregates statistics of shape {list(total.shape)} to {_shown(score)}")
    several = np.asarray(metric.aggregate(np.stack([total, total])))
    if several.shape != (2,):
        shapes = f"[2, {len(total)}] to {list(several.shape)}, not to [2]"
        raise _of_metric(metric, f"aggregates statistics of shape {shapes}")
    return float(score)


def described(metric: Metric) -> dict[str, Any]:
    """Name, direction and signature of a metric.

    Raises:
        UserError: One is of another type.
    """
    facts: dict[str, Any] = {
        "name": metric.name,
        "higher_is_better": metric.higher_is_better,
        "signature": metric.signature(),
    }
    for key, value in facts.items():
        wanted = bool if key == "higher_is_better" else str
        if not isinstance(value, wanted) or (isinstance(value, str) and not _encodes(value)):
            raise _of_metric(metric, f"has {_shown(value)} for its {key}, no {wanted.__name__}")
    return facts


def splits_of(name: str, origin: str, load: Callable[[LoadRequest], Splits], request: LoadRequest) -> Splits:
    """The examples that a task loads.

    Raises:
        UserError: The loader raised something, or gave something else; the first such example is named.
    """
    try:
        splits: object = load(request)
        problem = splits_problem(splits)
    except UserError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"task '{name}' could not load its examples: {type(error).__name__}: {said_by(error)}",
            origin=origin,
            hint=f"Mend {last.filename}, line {last.lineno}.",
        ) from error
    if problem or not isinstance(splits, Splits):
        raise UserError(f"task '{name}' {problem}", origin=origin, hint="Mend its loader.")
    return splits


def splits_problem(splits: object) -> str:
    """What is wrong with what a loader has returned, in words; empty where nothing is."""
    if not isinstance(splits, Splits):
        return f"returned {_kind(splits)}, no Splits"
    for name, split in splits.named().items():
        if isinstance(split, str) or not (hasattr(split, "__len__") and hasattr(split, "__getitem__")):
            return f"has {_kind(split)} for its split '{name}', no list of examples"
        for number, example in enumerate(split):
            if problem := _no_example(example):
                ident = getattr(example, "id", None)
                known = f" (id {_shown(ident)})" if isinstance(ident, str) else ""
                return f"has in split '{name}' an example {number}{known} {problem}"
    return ""


def _no_example(example: object) -> str:
    if not isinstance(example, Example):
        return f"that is {_kind(example)}, no Example"
    for key in ("id", "source", "target", "group"):
        value = getattr(example, key)
        if not (_encodes(value) or (key == "group" and value is None)):
            return f"whose {key} is {_no_text(value)}"
    for key in ("references", "options"):
        values = getattr(example, key)
        if not isinstance(values, tuple | list):
            return f"whose {key} are {_kind(values)}, no tuple of texts"
        for value in values:
            if not _encodes(value):
                return f"with one of its {key} {_no_text(value)}"
    return ""


def _no_text(value: object) -> str:
    broken = isinstance(value, str)
    return f"{_shown(value)}, which can't be written as UTF-8" if broken else f"{_shown(value)}, no text"


def _encodes(value: object) -> bool:
    """Whether a value is a text that can be stored: one with a lone surrogate can't."""
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def _shown(value: object) -> str:
    try:
        text = ascii(value) if isinstance(value, str) else str(value)
    except Exception:  # a plugin's own __str__
        return _kind(value)
    return " ".join(text.split())[:80]


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _of_method(method: Method, problem: str) -> UserError:
    return UserError(f"method '{method.name}' {problem}", origin=method.source, hint="Mend that method.")


def _of_metric(metric: Metric, problem: str) -> UserError:
    name = metric.name if isinstance(metric.name, str) else type(metric).__name__
    return UserError(f"metric '{name}' {problem}", hint="Mend that metric.")
