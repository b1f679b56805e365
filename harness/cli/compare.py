"""``warmup-bench compare``: systems against the first one, from stored cells or plain text files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.cli.formats import check_format
from harness.cli.systems import System, make_metrics, matched, read_stored_system, read_text_systems
from harness.errors import UserError
from harness.stats import Comparison, compare, holm
from harness.stats.compat import SCORERS, CompatResult, compat_signature, sacrebleu_paired_test
from harness.stats.influence import influences

FORMATS = ("text", "md", "csv", "json")
TEXT_METRICS = ("bleu", "chrf++")
"""Metrics of text files where none are named."""


@dataclass(frozen=True)
class Line:
    """One metric of one system against the first one."""

    key: str
    metric: str
    signature: str
    higher_is_better: bool
    baseline: str
    system: str
    comparison: Comparison
    corrected_p: float


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
class Outcome:
    """All that a comparison found.

    Attributes:
        lines: By metric, then system.
        moved: Examples of the first metric by system, the best gains first, then the worst losses.
        notes: Footnotes.
    """

    lines: tuple[Line, ...]
    moved: tuple[Moved, ...]
    notes: tuple[str, ...]


def compare_command(
    names: Sequence[str],
    options: Mapping[str, Any],
    *,
    compat: str | None,
    format_: str,
) -> None:
    """Compare and print.

    Raises:
        UserError: A request that can't be met, or systems that can't be paired.
    """
    from harness.cli.compare_view import print_compat, print_outcome

    check_format(format_, FORMATS)
    if len(names) < 2:
        raise UserError("one system is nothing to compare", hint="Name the baseline and another system.")
    if compat not in (None, "sacrebleu", "sacrebleu-bs"):
        raise UserError(f"unknown mode '{compat}'", origin="--compat", hint="Modes: sacrebleu, sacrebleu-bs.")
    systems = read_systems(names, options)
    if compat is not None:
        print_compat(*compat_results(systems, options, "bs" if compat.endswith("bs") else "ar"), format_)
        return
    print_outcome(compare_systems(systems, options), format_)


def read_systems(names: Sequence[str], options: Mapping[str, Any]) -> list[System]:
    """The systems of a command line, the baseline first.

    Raises:
        UserError: As :mod:`harness.cli.systems`.
    """
    keys = [key for item in options["metrics"] for key in item.split(",") if key]
    references: Sequence[Path] = options["references"]
    if references:
        if options["where"]:
            raise UserError("--where chooses among stored cells", hint="Text files are named one by one.")
        labels = [label for label in (options["labels"] or "").split(",") if label]
        metrics = make_metrics(keys or TEXT_METRICS, options["language"], labels, len(references))
        return read_text_systems(names, references, options["source"], options["groups"], metrics)
    for option in ("source", "groups", "labels"):
        if options[option]:
            raise UserError(
                f"--{option} is for text files; stored cells know their own", hint="Text files need --ref."
            )
    return [read_stored_system(name, keys or None, options["where"]) for name in names]


def compare_systems(systems: Sequence[System], options: Mapping[str, Any]) -> Outcome:
    """Compare every system with the first one on their common runs and examples.

    Raises:
        UserError: Systems that can't be paired.
    """
    pairs, notes = [], []
    for other in systems[1:]:
        a, b, dropped = matched(systems[0], other, intersect=options["intersect"])
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
    lines = [line for key in keys for line in _lines(key, pairs, options)]
    notes += _shared_notes(lines)
    moved = [example for a, b in pairs for example in _moved(a, b, keys[0], options["examples"])]
    if moved and any(system.outputs is None for system in systems):
        notes.append("the examples are named without their texts: published cells hold numbers only")
    return Outcome(tuple(lines), tuple(moved), tuple(dict.fromkeys(notes)))


def _lines(key: str, pairs: Sequence[tuple[System, System]], options: Mapping[str, Any]) -> list[Line]:
    """One metric of every pair; Holm's family is the pairs."""
    found = []
    for a, b in pairs:
        metric = a.metrics[key]
        if metric.signature() != b.metrics[key].signature():
            raise UserError(
                f"{a.name} and {b.name} were scored differently: {metric.name} {metric.signature()} and "
                f"{b.metrics[key].signature()}",
                hint="Score both the same way.",
            )
        comparison = compare(
            a.statistics[key],
            b.statistics[key],
            metric.aggregate,
            ids=a.ids,
            groups=a.groups,
            randomizations=options["randomizations"],
            resamples=options["resamples"],
            seed=options["seed"],
            confidence=options["confidence"],
        )
        found.append((metric, a.name, b.name, comparison))
    corrected = holm([comparison.p_value for *_, comparison in found])
    return [
        Line(key, m.name, m.signature(), m.higher_is_better, base, name, comparison, float(p))
        for (m, base, name, comparison), p in zip(found, corrected, strict=True)
    ]


def _shared_notes(lines: Sequence[Line]) -> list[str]:
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


def compat_results(
    systems: Sequence[System], options: Mapping[str, Any], test: str
) -> tuple[list[str], dict[str, tuple[str, str, list[CompatResult]]]]:
    """sacreBLEU's numbers: names of the systems, and by metric key its name, signature and results.

    Raises:
        UserError: Several runs, different examples, or no metric of sacreBLEU's.
    """
    for other in systems[1:]:
        matched(systems[0], other, intersect=False)
    many = next((system for system in systems if len(system.runs) > 1), None)
    if many is not None:
        raise UserError(
            f"{many.name} has {len(many.runs)} runs",
            origin="--compat",
            hint="sacreBLEU compares single runs.",
        )
    keys = [key for key in systems[0].metrics if key in SCORERS]
    if not keys:
        raise UserError(
            "none of the metrics is sacreBLEU's", origin="--compat", hint=f"It has {', '.join(SCORERS)}."
        )
    rounds, resamples, seed = options["randomizations"], options["resamples"], options["seed"]
    kind: Any = test
    found = {}
    for key in keys:
        statistics = [system.part(systems[0].runs, systems[0].ids).statistics[key][0] for system in systems]
        results = sacrebleu_paired_test(
            statistics, SCORERS[key], test=kind, rounds=rounds, resamples=resamples, seed=seed
        )
        metric = systems[0].metrics[key]
        signature = compat_signature(metric.signature(), test, rounds, resamples, seed)
        found[key] = (metric.name, signature, results)
    return [system.name for system in systems], found
