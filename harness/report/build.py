"""Tables from stored results: sheets, comparisons, correction, words. Nothing is trained or scored here."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from warmup_bench.comparison import Comparison, Finding, find
from warmup_bench.comparison.align import Comparer, matched_seeds
from warmup_bench.comparison.paper import paper_tables, smaller_tables
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.columns import (
    make_columns,
    said_by_metrics,
    said_of_data,
    score_entry,
    stored_metrics,
    subsets_of,
)
from warmup_bench.report.costs import row_cost
from warmup_bench.report.layouts import LAYOUTS, Layout
from warmup_bench.report.planned import Planned
from warmup_bench.report.published import with_published
from warmup_bench.report.sheets import Block, MethodRuns, Sheet, sheets, slug
from warmup_bench.report.table import Column, Gain, Group, MeanScore, Missing, Row, Table
from warmup_bench.report.wording import findings, notes, scope
from warmup_bench.store.results import Result

Runs = Mapping[str, Mapping[int, Result]]
"""Cells by subset, then seed."""


def build_tables(
    results: Sequence[Result],
    stats: Stats,
    *,
    layout: Layout = LAYOUTS["auto"],
    metrics: Sequence[str] = (),
    planned: Sequence[Planned] = (),
) -> list[Table]:
    """Every table of a set of results.

    Args:
        results: Finished cells, of one folder or of several.
        stats: Baseline, swaps, level.
        layout: What stands in columns.
        metrics: Registry keys of the metrics to show; none: all of the layout.
        planned: Cells that were asked for and are not finished: they stand as missing, with their reason.

    Raises:
        UserError: No result has a metric that the layout and ``metrics`` leave.
    """
    comparer = Comparer(stats)
    tables = []
    for sheet in sheets(results, planned):
        keys = layout.choose(stored_metrics(sheet.results), metrics)
        by_subset = layout.columns == "subsets" or (layout.columns == "auto" and len(sheet.subsets) > 1)
        shapes = (
            [(sheet.subsets, (key,)) for key in keys]
            if by_subset
            else [((subset,), keys) for subset in sheet.subsets if keys]
        )
        for subsets, metrics_of_table in shapes:
            columns = make_columns(sheet, subsets, metrics_of_table, by_subset=by_subset)
            if columns:
                tables.append(_table(sheet, columns, stats, comparer, by_subset=by_subset))
    if not tables:
        stored = sorted({key for key, _ in stored_metrics(results)})
        wanted = ", ".join(metrics or layout.metrics)
        raise UserError(
            f"no stored cell has a score of {wanted}",
            origin="--table and --metric",
            hint=f"Stored: {', '.join(stored)}.",
        )
    return _named_apart(tables)


@dataclass
class _Draft:
    """A row on its way: its line and what it is compared with; comparisons and what they show by column."""

    line: MethodRuns
    baseline: MethodRuns | None
    comparisons: dict[str, Comparison | Missing]
    findings: dict[str, Finding] = field(default_factory=dict)


def _table(
    sheet: Sheet, columns: tuple[Column, ...], stats: Stats, comparer: Comparer, *, by_subset: bool
) -> Table:
    drafts: list[tuple[Block, list[_Draft]]] = []
    most = max((sum(c.metric == column.metric for c in columns) for column in columns), default=0)
    family = most * sum(len(block.lines) for block in sheet.blocks)  # no fewer than there are
    for block in sheet.blocks:
        base = block.lines.get(stats.baseline)
        lines = sorted(block.lines.values(), key=lambda line: line is not base)
        with_content = [line for line in lines if any(_touches(line, column, columns) for column in columns)]
        if with_content:
            drafts.append((block, [_draft(line, base, columns, comparer, family) for line in with_content]))
    _find([draft for _, rows in drafts for draft in rows], columns, stats)
    groups = tuple(
        Group(block.name, block.backbone, tuple(_row(draft, columns) for draft in rows))
        for block, rows in drafts
    )
    what = columns[0].metric_name if by_subset else columns[0].subset
    title = f"{sheet.task}, {what}" if by_subset else f"{sheet.task} {what}"
    part = () if sheet.split == "test" else (sheet.split,)
    blocks = [block for block, _ in drafts]
    said = [*said_of_data(sheet.results, columns), *said_by_metrics(sheet.results, columns)]
    table = Table(
        name=slug(sheet.task, sheet.scale, *part, columns[0].metric if by_subset else str(what)),
        title=f"{title}, {groups[0].name}" if len(groups) == 1 else title,
        task=sheet.task,
        scale=sheet.scale,
        baseline=stats.baseline,
        columns=columns,
        groups=groups,
        confidence=stats.confidence,
        findings=findings(groups, columns, stats),
        scope=scope(groups, columns, sheet.scale),
        notes=notes(groups, columns, stats, blocks, said),
        split=sheet.split,
    )
    return with_published(table, paper_tables(), smaller_tables(), [block.settings for block in blocks])


def _touches(line: MethodRuns, column: Column, columns: Sequence[Column]) -> bool:
    """Whether a row has, or should have, something in a column."""
    return any(line.results.get(s) or line.reasons.get(s) for s in subsets_of(column, columns))


def _draft(
    line: MethodRuns, base: MethodRuns | None, columns: Sequence[Column], comparer: Comparer, family: int
) -> _Draft:
    draft = _Draft(line, base, {})
    for column in columns:
        own = _runs(line, column, columns)
        if line is base or isinstance(own, Missing):
            continue
        draft.comparisons[column.key] = _compare(own, base, column, columns, comparer, family)
    return draft


def _compare(
    own: Runs,
    base: MethodRuns | None,
    column: Column,
    columns: Sequence[Column],
    comparer: Comparer,
    family: int,
) -> Comparison | Missing:
    if base is None:
        return Missing("no baseline")
    other = _runs(base, column, columns)
    if isinstance(other, Missing):
        return Missing(f"{base.method}: {other.reason}")
    subsets = subsets_of(column, columns)
    return comparer.compare(other, own, subsets, column.metric, family) or Missing("no matched seed")


def _runs(line: MethodRuns, column: Column, columns: Sequence[Column]) -> Runs | Missing:
    """The cells of a row that a column shows, or why there is none."""
    runs: dict[str, dict[int, Result]] = {}
    subsets = subsets_of(column, columns)
    signatures = {c.subset: c.signature for c in columns if c.metric == column.metric}
    for subset in subsets:
        finished = line.results.get(subset, {})
        entries = {seed: score_entry(result, column.metric) for seed, result in finished.items()}
        runs[subset] = {
            seed: result
            for seed, result in finished.items()
            if entries[seed].get("signature") == signatures[subset]
        }
        if not runs[subset]:
            if any(entries.values()):
                reason = f"scored with another signature{_mend(column)}"
            elif finished:
                reason = f"not scored with {column.metric_name}{_mend(column)}"
            else:
                reasons = line.reasons.get(subset, {}).values()
                reason = next(iter(reasons), "not asked for by any spec that ran here")
            return Missing(f"{subset}: {reason}" if len(subsets) > 1 else reason)
    if not matched_seeds([runs], subsets):
        return Missing("no seed is finished in every column")
    return runs


def _mend(column: Column) -> str:
    return f"; 'warmup-bench score FOLDER --metrics {column.base}' scores all alike"


def _find(drafts: Sequence[_Draft], columns: Sequence[Column], stats: Stats) -> None:
    """What the comparisons show; a family is those of one metric in the table."""
    families: dict[str, list[tuple[_Draft, str, Comparison]]] = defaultdict(list)
    for draft in drafts:
        for column in columns:
            comparison = draft.comparisons.get(column.key)
            if isinstance(comparison, Comparison):
                families[column.metric].append((draft, column.key, comparison))
    for family in families.values():
        found = find([comparison for _, _, comparison in family], 1 - stats.confidence, stats.margin)
        for (draft, key, _), finding in zip(family, found, strict=True):
            draft.findings[key] = finding


def _row(draft: _Draft, columns: Sequence[Column]) -> Row:
    line = draft.line
    cells: dict[str, MeanScore | Missing] = {}
    for column in columns:
        runs = _runs(line, column, columns)
        if isinstance(runs, Missing):
            cells[column.key] = runs
            continue
        subsets = subsets_of(column, columns)
        seeds = tuple(matched_seeds([runs], subsets))
        values = tuple(
            float(np.mean([score_entry(runs[s][seed], column.metric)["score"] for s in subsets]))
            for seed in seeds
        )
        compared = draft.comparisons.get(column.key)
        gain: Gain | Missing | None
        if isinstance(compared, Comparison):
            difference = compared.difference
            better = None if difference == 0 else (difference > 0) == column.higher_is_better
            gain = Gain(compared, draft.findings[column.key], better)
        else:
            gain = compared
        cells[column.key] = MeanScore(seeds, values, gain)
    cost = row_cost(_results(line, columns), _results(draft.baseline, columns))
    return Row(line.method, line is draft.baseline, cells, cost)


def _results(line: MethodRuns | None, columns: Sequence[Column]) -> list[Result]:
    """The cells of a row in all its columns."""
    if line is None:
        return []
    subsets = {column.subset for column in columns}
    return [r for name, seeds in line.results.items() if name in subsets for r in seeds.values()]


def _named_apart(tables: Sequence[Table]) -> list[Table]:
    """Give tables of one name (other data) a number."""
    seen: Counter[str] = Counter()
    named = []
    for table in tables:
        seen[table.name] += 1
        again = seen[table.name]
        named.append(replace(table, name=f"{table.name}-{again}") if again > 1 else table)
    return named
