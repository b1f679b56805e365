"""Single test examples: what every method wrote for them, after which warmup, and what it is worth.

Pure data made from stored results, for a reader who browses them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from warmup_bench.contracts.metric import FloatArray
from warmup_bench.score.rouge import spaced
from warmup_bench.store.folders import CorruptError
from warmup_bench.store.results import MORE_COLUMNS, Result

Pieces = tuple[str, ...]
"""A text cut at its marks: pieces 0, 2, 4, ... are plain, pieces 1, 3, 5, ... are marked."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one trained model wrote for every example.

    Attributes:
        seed: Its training seed.
        outputs: The hypotheses.
        warmups: Their warmups, the tokens that stand in a reference marked; None where there is none.
        forced: Whether the warmup was cut at its longest length instead of ended by the model.
        finished: Whether the output was ended by the model.
        scores: By metric key: the score of every example by itself, [examples]. A metric that the cell was
            not scored with, or under another signature, is not there.
    """

    seed: int
    outputs: tuple[str, ...]
    warmups: tuple[Pieces | None, ...]
    forced: tuple[bool, ...]
    finished: tuple[bool, ...]
    scores: dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class MethodOutputs:
    """One row of a table, example by example.

    Attributes:
        name: The row's label.
        runs: One a seed, ascending.
        differences: By metric key: the score of every example less the baseline's, mean over the matched
            seeds, [examples]. A metric without a matched seed is not there; the baseline itself has none.
    """

    name: str
    runs: tuple[Run, ...]
    differences: dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class MetricCard:
    """A metric of an example set: its key, its name and its direction."""

    key: str
    name: str
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """A test set, with what the methods of one group wrote for it.

    Attributes:
        title: What it is: subset and group.
        language: ISO 639-1 code of the references and outputs.
        ids, sources: Of the examples.
        references: Every reference of each.
        metrics: In the order of the stored scores.
        start: Key of the metric that tells most examples apart: the one to begin with. A corpus metric such
            as BLEU gives many single sentences an equal 0.
        baseline: Name of the method that the others are compared with; None where it has no result.
        methods: The baseline first.
    """

    title: str
    language: str
    ids: tuple[str, ...]
    sources: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    metrics: tuple[MetricCard, ...]
    start: str
    baseline: str | None
    methods: tuple[MethodOutputs, ...]


def example_set(title: str, methods: Mapping[str, Mapping[int, Result]], baseline: str | None) -> ExampleSet:
    """Read the examples of results that share one test set.

    Args:
        title: What the set is called.
        methods: Results by row label and seed, at least one.
        baseline: Label of the row that the others are compared with.

    Raises:
        CorruptError: A file can't be read, or holds other examples than the others of the same data.
    """
    first = next(result for runs in methods.values() for result in runs.values())
    predictions = first.predictions()
    ids, sources = tuple(predictions["id"]), tuple(predictions["source"])
    references = tuple(tuple(golds) for golds in predictions["references"])
    entries: dict[str, dict[str, Any]] = {}  # by metric, as the first cell that has it was scored
    for result in (first, *(result for by_seed in methods.values() for result in by_seed.values())):
        for entry in result.scores:
            entries.setdefault(entry["key"], entry)
    counts = [token_counts(golds) for golds in references]
    runs = {
        name: tuple(_run(by_seed[seed], ids, counts, entries) for seed in sorted(by_seed))
        for name, by_seed in methods.items()
        if by_seed
    }
    base = runs.get(baseline, ()) if baseline is not None else ()
    names = sorted(runs, key=lambda name: name != baseline)
    return ExampleSet(
        title=title,
        language=first.context.target_language,
        ids=ids,
        sources=sources,
        references=references,
        metrics=tuple(MetricCard(e["key"], e["name"], e["higher_is_better"]) for e in entries.values()),
        start=max(entries, key=lambda key: _distinct(runs.values(), key)),
        baseline=baseline if base else None,
        methods=tuple(
            MethodOutputs(name, runs[name], {} if name == baseline else differences(runs[name], base))
            for name in names
        ),
    )


def differences(runs: Sequence[Run], baseline: Sequence[Run]) -> dict[str, FloatArray]:
    """By metric: score less the baseline's, mean over the seeds that both have scores of."""
    theirs = {run.seed: run.scores for run in baseline}
    by_metric: dict[str, list[FloatArray]] = defaultdict(list)
    for run in runs:
        other = theirs.get(run.seed, {})
        for key in run.scores.keys() & other.keys():
            by_metric[key].append(run.scores[key] - other[key])
    return {key: np.mean(per_seed, axis=0) for key, per_seed in by_metric.items()}


def token_counts(references: Sequence[str]) -> Counter[str]:
    """How often a token stands in the reference that has most of it.

    A token is a run of letters, marks and digits in any case, or one character of a script without spaces
    between words.
    """
    counts: Counter[str] = Counter()
    for reference in references:
        counts |= Counter(reference[start:stop].lower() for start, stop in _tokens(reference))
    return counts


def marked(text: str, counts: Mapping[str, int]) -> Pieces:
    """Cut a text where its tokens stand in a reference, each as often as :func:`token_counts` says.

    Two marks with only space between them are one.
    """
    left = Counter(counts)
    marks: list[tuple[int, int]] = []
    for start, stop in _tokens(text):
        token = text[start:stop].lower()
        if left[token] == 0:
            continue
        left[token] -= 1
        joins = marks and not text[marks[-1][1] : start].strip()
        marks[-1:] = [(marks[-1][0], stop)] if joins else [*marks[-1:], (start, stop)]
    edges = [0, *(edge for mark in marks for edge in mark), len(text)]
    return tuple(text[start:stop] for start, stop in pairwise(edges))


def _tokens(text: str) -> list[tuple[int, int]]:
    """Where the tokens of a text begin and end."""
    tokens: list[tuple[int, int]] = []
    inside = False  # a word that the next letter goes on with
    for i, char in enumerate(text):
        kind = spaced(char)
        letter = kind == char and not char.isspace()
        if letter and inside:
            tokens[-1] = (tokens[-1][0], i + 1)
        elif kind.strip():
            tokens.append((i, i + 1))
        inside = letter
    return tokens


def _run(
    result: Result,
    ids: tuple[str, ...],
    counts: Sequence[Mapping[str, int]],
    entries: Mapping[str, Mapping[str, Any]],
) -> Run:
    predictions = result.predictions(*MORE_COLUMNS)
    count = len(predictions["id"])
    stored_ids = [predictions["id"]]
    scores = {}
    for entry in result.scores:
        key = entry["key"]
        if entry["signature"] == entries[key]["signature"]:
            scored, statistics = result.statistics(key)
            stored_ids.append(scored)
            scores[key] = np.asarray(result.metric(key).aggregate(statistics), dtype=np.float64)
    if any(tuple(other) != ids for other in stored_ids):
        raise CorruptError(
            f"stored cell {result.place} holds other examples than the others of data {result.cell.data}",
            hint="Move it away to have it made again.",
        )
    return Run(
        seed=result.cell.seed,
        outputs=tuple(predictions["hypothesis"]),
        warmups=tuple(
            None if warmup is None else marked(warmup, known)
            for warmup, known in zip(predictions.get("warmup", [None] * count), counts, strict=True)
        ),
        forced=tuple(predictions.get("warmup_forced", [False] * count)),
        finished=tuple(predictions.get("finished", [True] * count)),
        scores=scores,
    )


def _distinct(methods: Iterable[Sequence[Run]], key: str) -> int:
    """How many values the scores of single examples take, over all runs."""
    scores = [run.scores[key] for runs in methods for run in runs if key in run.scores]
    return len(np.unique(np.concatenate(scores)))
