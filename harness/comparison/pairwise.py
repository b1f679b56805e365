"""Systems against the first one, on the runs and examples that they share: stored cells, texts, lists."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from warmup_bench.comparison import Comparison, Finding, compare, find
from warmup_bench.comparison.align import test_settings
from warmup_bench.comparison.influence import influences
from warmup_bench.comparison.systems import System, matched
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Stats


@dataclass(frozen=True)
class SystemGain:
    """One metric of one system against the first one; ``digits``: decimals that a table shows."""

    key: str
    metric: str
    signature: str
    higher_is_better: bool
    baseline: str
    system: str
    comparison: Comparison
    finding: Finding
    digits: int = 2


@dataclass(frozen=True)
class Moved:
    """An example that moves the difference of the main metric: its texts in the first common run, None where
    a cell holds numbers only.
    """

    system: str
    id: str
    influence: float
    source: str | None
    references: tuple[str, ...] | None
    baseline_output: str | None
    system_output: str | None


@dataclass(frozen=True)
class SystemsCompared:
    """All that a comparison found.

    Attributes:
        lines: By metric, then system.
        moved: Examples of the first metric by system, the best gains first, then the worst losses.
        notes: Footnotes.
        task: Name of the task, where logs tell it.
    """

    lines: tuple[SystemGain, ...]
    moved: tuple[Moved, ...]
    notes: tuple[str, ...]
    task: str = ""


def require_two(systems: Sequence[object]) -> None:
    """See that there is something to compare.

    Raises:
        UserError: There is not.
    """
    if len(systems) < 2:
        raise UserError("one system is nothing to compare", hint="Name the baseline and another system.")


def compare_systems(
    systems: Sequence[System],
    stats: Stats,
    *,
    intersect: bool = False,
    examples: int = 0,
    task: str = "",
) -> SystemsCompared:
    """Compare every system with the first one on their common runs and examples.

    Args:
        systems: The baseline, then the others.
        stats: Randomizations, seed and confidence.
        intersect: Compare on the common examples where the systems hold different ones.
        examples: How many that moved most are named, each way.
        task: Its name, where logs tell it.

    Raises:
        UserError: Fewer than two systems, or some that can't be paired.
    """
    require_two(systems)
    pairs, notes = [], told(systems)
    for other in systems[1:]:
        a, b, dropped = matched(systems[0], other, intersect=intersect)
        pairs.append((a, b))
        if dropped:
            notes.append(f"{other.name}: {dropped} examples that stand in one system only were dropped")
        left = sorted(set(systems[0].runs) ^ set(other.runs), key=lambda run: (len(run), run))
        if any(a.warm_starts.get(run) != b.warm_starts.get(run) for run in a.runs):
            notes.append(
                f"{other.name}: its models began from other warm starts than the baseline's (backbone, "
                "settings or data differ): runs of one seed share its number alone"
            )
        if left:
            notes.append(f"{other.name}: seeds without a partner were left out: {', '.join(left)}")
    keys = [key for key in systems[0].metrics if all(key in system.metrics for system in systems)]
    if not keys:
        raise UserError("the systems have no metric in common", hint="Compare cells of one task.")
    lines = [line for key in keys for line in _lines(key, pairs, stats)]
    notes += _shared_notes(lines)
    moved = [example for a, b in pairs for example in _moved(a, b, keys[0], examples)]
    if moved and any(system.outputs is None for system in systems):
        notes.append("the examples are named without their texts: published cells hold numbers only")
    return SystemsCompared(tuple(lines), tuple(moved), tuple(dict.fromkeys(notes)), task)


def told(systems: Sequence[System]) -> list[str]:
    """The notes of all systems: once where they hold for every one, else with the system's name."""
    notes = dict.fromkeys(note for system in systems for note in system.notes)
    shared = {note for note in notes if all(note in system.notes for system in systems)}
    alone = [f"{s.name}: {note}" for s in systems for note in s.notes if note not in shared]
    return [*(note for note in notes if note in shared), *alone]


def _lines(key: str, pairs: Sequence[tuple[System, System]], stats: Stats) -> list[SystemGain]:
    """One metric of every pair; Holm's family is the pairs."""
    metric = pairs[0][0].metrics[key]
    comparisons = []
    for a, b in pairs:
        if a.signature(key) != b.signature(key):
            raise UserError(
                f"{a.name} and {b.name} were scored differently: {metric.name} {a.signature(key)} and "
                f"{b.signature(key)}",
                hint="Score both the same way.",
            )
        comparison = compare(
            a.statistics[key],
            b.statistics[key],
            metric.aggregate,
            ids=a.ids,
            groups=a.groups,
            **test_settings(stats, len(pairs)),
        )
        comparisons.append(comparison)
    found = find(comparisons, 1 - stats.confidence, stats.margin)
    shown = key, metric.name, pairs[0][0].signature(key), metric.higher_is_better
    return [
        SystemGain(*shown, a.name, b.name, comparison, finding, getattr(metric, "digits", 2))
        for (a, b), comparison, finding in zip(pairs, comparisons, found, strict=True)
    ]


def _shared_notes(lines: Sequence[SystemGain]) -> list[str]:
    """The notes of all comparisons: once where they hold for every line, else with the line's name."""
    notes = []
    for note in dict.fromkeys(note for line in lines for note in line.comparison.notes):
        of = [f"{line.metric} of {line.system}" for line in lines if note in line.comparison.notes]
        notes.append(note if len(of) == len(lines) else f"{', '.join(of)}: {note}")
    return notes


def _moved(a: System, b: System, key: str, count: int) -> list[Moved]:
    """The examples with the largest influence for b, then those with the largest against it."""
    metric = a.metrics[key]
    moves = influences(a.statistics[key], b.statistics[key], metric.aggregate)
    good = moves if metric.higher_is_better else -moves
    order = np.argsort(-good, kind="stable")
    ends = [i for i in order[:count] if good[i] > 0] + [i for i in order[::-1][:count] if good[i] < 0]
    return [
        Moved(
            system=b.name,
            id=a.ids[i],
            influence=float(moves[i]),
            source=None if a.sources is None else a.sources[i],
            references=None if a.references is None else a.references[i],
            baseline_output=None if a.outputs is None else a.outputs[0][i],
            system_output=None if b.outputs is None else b.outputs[0][i],
        )
        for i in ends
    ]
