"""The tests of a table: statistics of stored cells, paired by example and seed, also for an average."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from warmup_bench.comparison import Comparison, compare
from warmup_bench.comparison.correction import enough_swaps
from warmup_bench.comparison.scoring import Aggregate
from warmup_bench.contracts.metric import FloatArray
from warmup_bench.contracts.settings import Stats
from warmup_bench.store.folders import CorruptError
from warmup_bench.store.results import Result

APART = "Move one of them away to have it made again."

Runs = Mapping[str, Mapping[int, Result]]
"""Finished cells of one row, by subset, then seed."""


def matched_seeds(runs: Sequence[Runs], subsets: Sequence[str]) -> list[int]:
    """The seeds, ascending, that every one of the rows has in every one of the subsets."""
    seeds = [set(row.get(subset, {})) for row in runs for subset in subsets]
    return sorted(set.intersection(*seeds)) if seeds else []


def test_settings(stats: Stats, family: int) -> dict[str, Any]:
    """Swaps, seed and confidence of a test in a family of so many comparisons."""
    swaps = enough_swaps(stats.randomizations, family, 1 - stats.confidence)
    return {"randomizations": swaps, "seed": stats.seed, "confidence": stats.confidence}


class Comparer:
    """Compares rows on one metric, each file read once."""

    def __init__(self, stats: Stats) -> None:
        """``stats``: randomisations, level, seed."""
        self.stats = stats
        self._groups = cache(lambda result: result.groups())
        self._statistics = cache(lambda result, metric: result.statistics(metric))

    def compare(
        self, baseline: Runs, other: Runs, subsets: Sequence[str], metric: str, family: int = 1
    ) -> Comparison | None:
        """``other`` against ``baseline``: on one subset, or on the mean of the scores on several.

        ``family``: how many comparisons are corrected together, for which swaps must be enough.

        None without a matched seed. On several subsets the examples with one id are one unit (a test set
        that is translated in several directions): swapped and counted together, where ids and groups are
        the same everywhere; else every example of every subset is a unit of its own, and the spread
        within each subset counts.
        """
        seeds = matched_seeds([baseline, other], subsets)
        if not seeds:
            return None
        ids, groups, strata, a = self._stacked(baseline, subsets, seeds, metric)
        other_ids, _, _, b = self._stacked(other, subsets, seeds, metric)
        if ids != other_ids:  # the same data fingerprint makes this a damaged store
            raise CorruptError("stored cells of one data set hold different example ids", hint=APART)
        first = [next(iter(baseline[subset].values())) for subset in subsets]
        widths = [self._statistics(result, metric)[1].shape[1] for result in first]
        return compare(
            a,
            b,
            mean_aggregate([result.metric(metric).aggregate for result in first], widths),
            ids=ids,
            groups=groups,
            strata=strata,
            **test_settings(self.stats, family),
        )

    def _stacked(
        self, runs: Runs, subsets: Sequence[str], seeds: Sequence[int], metric: str
    ) -> tuple[list[str], Sequence[str | None] | None, list[int], FloatArray]:
        """Ids, groups, sizes of test sets that stand one after the other, and statistics [seeds, examples,
        sum of the subsets' k].
        """
        ids: list[list[str]] = []
        groups: list[list[str] | None] = []
        parts: list[FloatArray] = []
        for subset in subsets:
            loaded = [self._statistics(runs[subset][seed], metric) for seed in seeds]
            if any(others != loaded[0][0] for others, _ in loaded):
                raise CorruptError("stored cells of one data set hold different example ids", hint=APART)
            ids.append(loaded[0][0])
            groups.append(self._groups(runs[subset][seeds[0]]))
            parts.append(np.stack([statistics for _, statistics in loaded]))
        if all(names == ids[0] for names in ids) and all(documents == groups[0] for documents in groups):
            return ids[0], groups[0], [len(ids[0])], np.concatenate(parts, axis=2)
        return _side_by_side(subsets, ids, groups, parts)


def _side_by_side(
    subsets: Sequence[str],
    ids: Sequence[list[str]],
    groups: Sequence[list[str] | None],
    parts: Sequence[FloatArray],
) -> tuple[list[str], Sequence[str | None], list[int], FloatArray]:
    """The subsets' examples one after the other, each with its own columns of the statistics."""
    rows, width = sum(p.shape[1] for p in parts), sum(p.shape[2] for p in parts)
    together = np.zeros((parts[0].shape[0], rows, width))
    row = column = 0
    for part in parts:
        _, examples, k = part.shape
        together[:, row : row + examples, column : column + k] = part
        row, column = row + examples, column + k
    named: list[str] = []
    grouped: list[str | None] = []
    for subset, names, documents in zip(subsets, ids, groups, strict=True):
        named += [f"{subset}/{name}" for name in names]
        grouped += [f"{subset}/{document}" for document in documents] if documents else [None] * len(names)
    return named, grouped, [len(names) for names in ids], together


def mean_aggregate(aggregates: Sequence[Aggregate], widths: Sequence[int]) -> Aggregate:
    """The mean of several scores as one: each reads its own columns of the summed statistics [..., sum k]."""
    if len(aggregates) == 1:
        return aggregates[0]
    ends = np.cumsum(widths)

    def aggregate(totals: FloatArray) -> FloatArray:
        parts = np.split(totals, ends[:-1], axis=-1)
        scores = [score(part) for score, part in zip(aggregates, parts, strict=True)]
        mean: FloatArray = np.mean(scores, axis=0)
        return mean

    return aggregate
