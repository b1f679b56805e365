"""The tests of a table: statistics of stored cells, paired by example and seed, also for an average."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from warmup_bench.comparison import Comparison, compare
from warmup_bench.contracts.metric import FloatArray
from warmup_bench.contracts.settings import Stats
from warmup_bench.store.folders import CorruptError
from warmup_bench.store.results import Result

APART = "Move one of them away to have it made again."

Runs = Mapping[str, Mapping[int, Result]]
"""Finished cells of one row, by subset, then seed."""


def matched_seeds(runs: Sequence[Runs], subsets: Sequence[str]) -> list[int]:
    """The seeds, ascending, that every one of the rows has in every one of the subsets."""
    held = [set(row.get(subset, {})) for row in runs for subset in subsets]
    return sorted(set.intersection(*held)) if held else []


@dataclass
class Comparer:
    """Compares rows on one metric, each file read once.

    Attributes:
        stats: Resamples, randomisations, level, seed.
    """

    stats: Stats
    _read: dict[tuple[str, str], tuple[list[str], FloatArray]] = field(default_factory=dict)
    _groups: dict[str, list[str] | None] = field(default_factory=dict)

    def compare(self, baseline: Runs, other: Runs, subsets: Sequence[str], metric: str) -> Comparison | None:
        """``other`` against ``baseline``: on one subset, or on the mean of the scores on several.

        None without a matched seed. On several subsets the examples with one id are one unit (a test set
        that is translated in several directions): swapped and resampled together, where ids and groups are
        the same everywhere; else every example of every subset is a unit of its own, and each subset is
        resampled by itself.
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
            randomizations=self.stats.randomizations,
            resamples=self.stats.resamples,
            seed=self.stats.seed,
            confidence=self.stats.confidence,
        )

    def _stacked(
        self, runs: Runs, subsets: Sequence[str], seeds: Sequence[int], metric: str
    ) -> tuple[list[str], list[str | None] | None, list[int], FloatArray]:
        """Ids, groups, sizes of test sets that stand one after the other, and statistics [seeds, examples,
        sum of the subsets' k].
        """
        ids: list[list[str]] = []
        groups: list[list[str] | None] = []
        parts: list[FloatArray] = []
        for subset in subsets:
            loaded = [self._statistics(runs[subset][seed], metric) for seed in seeds]
            if any(found != loaded[0][0] for found, _ in loaded):
                raise CorruptError("stored cells of one data set hold different example ids", hint=APART)
            ids.append(loaded[0][0])
            groups.append(self._groups_of(runs[subset][seeds[0]]))
            parts.append(np.stack([statistics for _, statistics in loaded]))
        if all(found == ids[0] for found in ids) and all(found == groups[0] for found in groups):
            shared: list[str | None] | None = None if groups[0] is None else list(groups[0])
            return ids[0], shared, [len(ids[0])], np.concatenate(parts, axis=2)
        return _side_by_side(subsets, ids, groups, parts)

    def _groups_of(self, result: Result) -> list[str] | None:
        key = str(result.place)
        if key not in self._groups:
            self._groups[key] = result.groups()
        return self._groups[key]

    def _statistics(self, result: Result, metric: str) -> tuple[list[str], FloatArray]:
        key = (str(result.place), metric)
        if key not in self._read:
            self._read[key] = result.statistics(metric)
        return self._read[key]


def _side_by_side(
    subsets: Sequence[str],
    ids: Sequence[list[str]],
    groups: Sequence[list[str] | None],
    parts: Sequence[FloatArray],
) -> tuple[list[str], list[str | None], list[int], FloatArray]:
    """The subsets' examples one after the other, each with its own columns of the statistics."""
    rows, width = sum(p.shape[1] for p in parts), sum(p.shape[2] for p in parts)
    together = np.zeros((parts[0].shape[0], rows, width))
    row = column = 0
    for part in parts:
        _, examples, k = part.shape
        together[:, row : row + examples, column : column + k] = part
        row, column = row + examples, column + k
    named = [f"{s}/{i}" for s, found in zip(subsets, ids, strict=True) for i in found]
    grouped: list[str | None] = []
    for subset, found, own in zip(subsets, groups, ids, strict=True):
        grouped += [None] * len(own) if found is None else [f"{subset}/{group}" for group in found]
    return named, grouped, [len(found) for found in ids], together


def mean_aggregate(
    aggregates: Sequence[Callable[[FloatArray], FloatArray]], widths: Sequence[int]
) -> Callable[[FloatArray], FloatArray]:
    """The mean of several scores as one: each reads its own columns of the summed statistics [..., sum k]."""
    if len(aggregates) == 1:
        return aggregates[0]
    ends = np.cumsum(widths)

    def aggregate(totals: FloatArray) -> FloatArray:
        scores = [
            score(totals[..., end - width : end])
            for score, width, end in zip(aggregates, widths, ends, strict=True)
        ]
        mean: FloatArray = np.mean(scores, axis=0)
        return mean

    return aggregate
