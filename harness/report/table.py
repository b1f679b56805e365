"""The model of a table: pure data made from stored results. Renderers only format it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.cell import content_hash
from harness.errors import UserError
from harness.results import Result
from harness.spec import Stats
from harness.stats import Comparison, compare, holm


@dataclass(frozen=True)
class Figure:
    """One metric of one method.

    Attributes:
        values: Score of every seed, in the order of the row's seeds.
        comparison: Against the baseline on the matched seeds; None for the baseline itself, or without a
            matched seed.
        corrected_p: Holm's p over the table's comparisons of this metric.
    """

    values: tuple[float, ...]
    comparison: Comparison | None
    corrected_p: float | None

    @property
    def mean(self) -> float:
        """Mean over seeds."""
        return float(np.mean(self.values))

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over seeds; None with one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Row:
    """One method: its seeds, its figures by metric key, and its mean cost a seed."""

    method: str
    seeds: tuple[int, ...]
    figures: dict[str, Figure]
    train_flops: float
    train_seconds: float
    decode_seconds: float
    truncated: int


@dataclass(frozen=True)
class Column:
    """One metric: key, name, signature, direction."""

    key: str
    name: str
    signature: str
    higher_is_better: bool


@dataclass(frozen=True)
class Table:
    """One task, subset, scale, backbone and setting; one row a method.

    Attributes:
        title: What was run.
        scale, data: Scale of the artefacts and fingerprint of their data; a table never mixes two.
        baseline: Method that the others are compared with.
        columns, rows: Metrics and methods.
        examples: Size of the test set.
        confidence: Nominal coverage of the intervals.
        verdict: One plain line: what the table shows and what it does not.
        notes: Footnotes: tests, resamples, seeds, correction, ledger.
    """

    title: str
    scale: str
    data: str
    baseline: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    examples: int
    confidence: float
    verdict: str
    notes: tuple[str, ...]


def build_tables(results: Sequence[Result], stats: Stats) -> list[Table]:
    """One table for each set of results that may stand side by side.

    Results share a table when everything but method, seed and decoding is the same: task, version, subset,
    scale, data, backbone, settings.
    """
    together: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        cell = result.cell
        settings = cell.settings.model_dump_json(exclude={"decode"})
        key = (cell.task, str(cell.task_version), cell.subset, cell.backbone, cell.scale, cell.data, settings)
        together["|".join(key)].append(result)
    return [_table(group, stats) for group in together.values()]


def _labels(results: Sequence[Result], stats: Stats) -> list[str]:
    """Row names: method and match; how it was decoded where the baseline was not; the version
    of its code where results of two are stored.
    """
    ours = [r.cell.settings.decode for r in results if r.cell.label == stats.baseline]
    usual = min(ours or [r.cell.settings.decode for r in results], key=lambda d: (len(d.choices()), str(d)))
    named = []
    for result in results:
        other = result.cell.settings.decode
        differs = other.choices() != usual.choices()
        shown = ", ".join(other.choices() or ["greedy"])
        named.append(result.cell.label + (f" · {shown}" if differs else ""))
    versions: dict[str, set[str]] = defaultdict(set)
    for name, result in zip(named, results, strict=True):
        versions[name].add(str(sorted(result.cell.code.items())))
    return [
        f"{name} [code {content_hash(result.cell.code)}]" if len(versions[name]) > 1 else name
        for name, result in zip(named, results, strict=True)
    ]


def _table(results: Sequence[Result], stats: Stats) -> Table:
    by_method: dict[str, dict[int, Result]] = defaultdict(dict)
    named = zip(_labels(results, stats), results, strict=True)
    for name, result in sorted(named, key=lambda pair: pair[1].cell.seed):
        by_method[name][result.cell.seed] = result
    names = sorted(by_method, key=lambda name: (name != stats.baseline, name))
    first = by_method[names[0]][min(by_method[names[0]])]
    columns, left_out = _columns(results, first)
    comparisons: dict[tuple[str, str], Comparison] = {}
    baseline = by_method.get(stats.baseline, {})
    for name in names:
        seeds = sorted(set(by_method[name]) & set(baseline))
        if name == stats.baseline or not seeds:
            continue
        for column in columns:
            comparisons[name, column.key] = _compare(
                [baseline[s] for s in seeds], [by_method[name][s] for s in seeds], column.key, stats
            )
    corrected = _corrected(comparisons, columns)
    rows = tuple(_row(name, by_method[name], columns, comparisons, corrected) for name in names)
    cell = first.cell
    examples = len(first.statistics(columns[0].key)[0])
    return Table(
        title=f"{cell.task} {cell.subset}, {cell.backbone}",
        scale=cell.scale,
        data=cell.data,
        baseline=stats.baseline,
        columns=columns,
        rows=rows,
        examples=examples,
        confidence=stats.confidence,
        verdict=_verdict(rows, columns, stats, cell.scale, examples),
        notes=(*_notes(first, comparisons, stats), *left_out, *_said(results, columns)),
    )


def _columns(results: Sequence[Result], first: Result) -> tuple[tuple[Column, ...], list[str]]:
    """The metrics that every cell was scored with under one signature, and a note on each of the others.

    Raises:
        UserError: There is none.
    """
    names = {s["key"]: s["name"] for result in results for s in result.scores}
    order = [s["key"] for s in first.scores]
    columns, notes = [], []
    for key in [*order, *sorted(set(names) - set(order))]:
        found = [s for result in results for s in result.scores if s["key"] == key]
        if len(found) == len(results) and len({s["signature"] for s in found}) == 1:
            one = found[0]
            columns.append(Column(key, one["name"], one["signature"], one["higher_is_better"]))
            continue
        why = f"scored for {len(found)} of {len(results)} cells only"
        if len(found) == len(results):
            why = "scored with different signatures"
        mend = f"'warmup-bench score FOLDER --metrics {found[0]['metric']}' scores all alike"
        notes.append(f"{names[key]} is left out: {why}; {mend}.")
    if not columns:
        raise UserError(
            "the cells of a table were scored with no metric in common",
            hint="'warmup-bench score FOLDER' scores all of them alike.",
        )
    return tuple(columns), notes


def _said(results: Sequence[Result], columns: Sequence[Column]) -> list[str]:
    """What metrics say of their scores, with the number of cells that it holds for."""
    shown = {column.key: column.name for column in columns}
    said = Counter(
        f"{shown[s['key']]}: {note}"
        for result in results
        for s in result.scores
        if s["key"] in shown
        for note in s.get("notes", ())
    )
    return [f"{note} (in {cells} of {len(results)} cells)." for note, cells in said.items()]


def _compare(baseline: Sequence[Result], others: Sequence[Result], key: str, stats: Stats) -> Comparison:
    sides = []
    ids: list[str] = []
    for side in (baseline, others):
        loaded = [result.statistics(key) for result in side]
        ids = ids or loaded[0][0]
        for found, _ in loaded:
            if found != ids:  # the same data fingerprint makes this a damaged store
                raise AssertionError("stored cells of one data set hold different example ids")
        sides.append(np.stack([statistics for _, statistics in loaded]))
    return compare(
        sides[0],
        sides[1],
        baseline[0].metric(key).aggregate,
        ids=ids,
        groups=baseline[0].groups(),
        randomizations=stats.randomizations,
        resamples=stats.resamples,
        seed=stats.seed,
        confidence=stats.confidence,
    )


def _corrected(
    comparisons: dict[tuple[str, str], Comparison], columns: Sequence[Column]
) -> dict[tuple[str, str], float]:
    """Holm within the family of one metric: all comparisons with the baseline in this table."""
    corrected = {}
    for column in columns:
        keys = [key for key in comparisons if key[1] == column.key]
        adjusted = holm([comparisons[key].p_value for key in keys]) if keys else ()
        corrected.update({key: float(p) for key, p in zip(keys, adjusted, strict=True)})
    return corrected


def _row(
    name: str,
    results: dict[int, Result],
    columns: Sequence[Column],
    comparisons: dict[tuple[str, str], Comparison],
    corrected: dict[tuple[str, str], float],
) -> Row:
    ledgers = [result.ledger for result in results.values()]

    def mean(key: str) -> float:
        return float(np.mean([ledger[key] for ledger in ledgers]))

    scores = [{s["key"]: s["score"] for s in result.scores} for result in results.values()]
    return Row(
        method=name,
        seeds=tuple(results),
        figures={
            c.key: Figure(
                tuple(s[c.key] for s in scores), comparisons.get((name, c.key)), corrected.get((name, c.key))
            )
            for c in columns
        },
        train_flops=mean("train_flops"),
        train_seconds=mean("train_seconds"),
        decode_seconds=mean("decode_seconds"),
        truncated=int(max(ledger["truncated"] for ledger in ledgers)),
    )


def _verdict(rows: Sequence[Row], columns: Sequence[Column], stats: Stats, scale: str, examples: int) -> str:
    base = next((row for row in rows if row.method == stats.baseline), None)
    others = [row for row in rows if row.method != stats.baseline]
    main = columns[0]
    if base is None or not others:
        return f"Nothing is compared here: the table needs '{stats.baseline}' and another method."
    parts = []
    for row in others:
        figure = row.figures[main.key]
        comparison, p = figure.comparison, figure.corrected_p
        if comparison is None or p is None:
            parts.append(f"{row.method} shares no seed with {base.method}")
            continue
        better = (comparison.difference > 0) == main.higher_is_better
        cost = f"at {row.train_flops / base.train_flops:.1f} times its training FLOPs"
        if p > 1 - stats.confidence:
            found = "no difference that this test set can tell from 0"
        else:
            found = f"{'better' if better else 'worse'} by {abs(comparison.difference):.2f} {main.name}"
        parts.append(f"{row.method} against {base.method} {cost}: {found} (p = {format_p(p)})")
    fewest = min(len(row.seeds) for row in rows)
    pairs = "pair" if fewest == 1 else f"{fewest} pairs"
    limits = [f"{'this' if fewest == 1 else 'these'} {pairs} of trained models on these {examples} examples"]
    beyond = "other seeds, other data" if fewest < 6 else "other data"
    matched = any("FLOPs of" in row.method for row in rows)
    limits.append(f"it does not show what holds for {beyond}{'' if matched else ' or at equal compute'}")
    if scale == "mini":
        limits.append("and a mini result says nothing of the paper's setting")
    return "; ".join(parts) + f". This speaks of {limits[0]}; {', '.join(limits[1:])}."


def _notes(first: Result, comparisons: dict[tuple[str, str], Comparison], stats: Stats) -> tuple[str, ...]:
    settings = first.cell.settings
    notes = [
        "Mean over seeds ± standard deviation. FLOPs and seconds: training after the shared warm start "
        f"({settings.warm_start.steps} steps), mean of a seed.",
    ]
    if comparisons:
        level = f"{stats.confidence:.0%}"
        notes.append(
            f"Δ against {stats.baseline} on matched seeds: {level} interval by paired bootstrap "
            f"({stats.resamples:,} resamples, over seeds then examples); p by two-sided paired randomisation "
            f"({stats.randomizations:,} swaps), Holm-corrected over the table's methods; seed {stats.seed}."
        )
        if max(c.seeds for c in comparisons.values()) > 1:
            notes.append(
                "p holds the trained models fixed, the interval draws seeds too: where only p is small, the "
                "difference need not hold for other seeds."
            )
        seen = dict.fromkeys(note for c in comparisons.values() for note in c.notes)
        notes.extend(f"{note[0].upper()}{note[1:]}." for note in seen)
    return tuple(notes)


def format_p(p: float) -> str:
    """Three decimals, or one significant digit below them; never 0."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1g}"
