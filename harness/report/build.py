"""Tables from stored results: sheets, comparisons, correction, words. Nothing is trained or scored here."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from warmup_bench.comparison import Comparison, holm
from warmup_bench.comparison.align import Comparer, matched_seeds
from warmup_bench.comparison.paper import paper_tables, smaller_tables
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.columns import make_columns, said_by_metrics, score_entry, stored_metrics, subsets_of
from warmup_bench.report.costs import row_cost
from warmup_bench.report.layouts import LAYOUTS, Layout
from warmup_bench.report.planned import Planned
from warmup_bench.report.published import with_published
from warmup_bench.report.sheets import Block, MethodRuns, Sheet, sheets, slug
from warmup_bench.report.table import Column, Gain, Group, MeanScore, Missing, Row, Table
from warmup_bench.report.wording import findings, notes, scope
from warmup_bench.store.results import Result


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
        stats: Baseline, resamples, level.
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
        for subsets, shown in shapes:
            columns = make_columns(sheet, subsets, shown, by_subset=by_subset)
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
    """A row on its way: its line and what it is compared with."""

    line: MethodRuns
    baseline: MethodRuns | None
    comparisons: dict[str, Comparison | Missing]


def _table(
    sheet: Sheet, columns: tuple[Column, ...], stats: Stats, comparer: Comparer, *, by_subset: bool
) -> Table:
    drafts: list[tuple[Block, list[_Draft]]] = []
    for block in sheet.blocks:
        base = block.lines.get(stats.baseline)
        lines = sorted(block.lines.values(), key=lambda line: line is not base)
        shown = [line for line in lines if any(_touches(line, column, columns) for column in columns)]
        drafts.append((block, [_draft(line, base, columns, comparer) for line in shown]))
    drafts = [(block, rows) for block, rows in drafts if rows]
    corrected = _corrected(
        {
            (b, r, key): (comparison, column.metric)
            for b, (_, rows) in enumerate(drafts)
            for r, draft in enumerate(rows)
            for key, comparison in draft.comparisons.items()
            for column in columns
            if column.key == key and isinstance(comparison, Comparison)
        }
    )
    groups = tuple(
        Group(
            block.name,
            block.backbone,
            tuple(
                _row(
                    draft,
                    columns,
                    {key: p for (bb, rr, key), p in corrected.items() if (bb, rr) == (b, r)},
                    stats,
                )
                for r, draft in enumerate(rows)
            ),
        )
        for b, (block, rows) in enumerate(drafts)
    )
    what = columns[0].metric_name if by_subset else columns[0].subset
    title = f"{sheet.task}, {what}" if by_subset else f"{sheet.task} {what}"
    part = () if sheet.split == "test" else (sheet.split,)
    blocks = [block for block, _ in drafts]
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
        notes=notes(groups, columns, stats, blocks, said_by_metrics(sheet.results, columns)),
        split=sheet.split,
    )
    return with_published(table, paper_tables(), smaller_tables(), [block.settings for block in blocks])


def _touches(line: MethodRuns, column: Column, columns: Sequence[Column]) -> bool:
    """Whether a row has, or should have, something in a column."""
    return any(line.results.get(s) or line.reasons.get(s) for s in subsets_of(column, columns))


def _draft(
    line: MethodRuns, base: MethodRuns | None, columns: Sequence[Column], comparer: Comparer
) -> _Draft:
    draft = _Draft(line, base, {})
    if line is base:
        return draft
    for column in columns:
        subsets = subsets_of(column, columns)
        own = _runs(line, subsets, column, columns)
        if isinstance(own, Missing):
            continue
        if base is None:
            draft.comparisons[column.key] = Missing("no baseline")
            continue
        other = _runs(base, subsets, column, columns)
        if isinstance(other, Missing):
            draft.comparisons[column.key] = Missing(f"{base.method}: {other.reason}")
            continue
        comparison = comparer.compare(other, own, subsets, column.metric)
        draft.comparisons[column.key] = comparison or Missing("no matched seed")
    return draft


def _runs(
    line: MethodRuns, subsets: Sequence[str], column: Column, columns: Sequence[Column]
) -> Mapping[str, Mapping[int, Result]] | Missing:
    """The cells of a row that a column shows, or why there is none."""
    runs: dict[str, dict[int, Result]] = {}
    signatures = {c.subset: c.signature for c in columns if c.metric == column.metric}
    for subset in subsets:
        found = line.results.get(subset, {})
        scored = {seed: r for seed, r in found.items() if score_entry(r, column.metric)}
        same = {
            seed: r
            for seed, r in scored.items()
            if score_entry(r, column.metric)["signature"] == signatures[subset]
        }
        if not same:
            if scored:
                reason = f"scored with another signature{_mend(column)}"
            elif found:
                reason = f"not scored with {column.metric_name}{_mend(column)}"
            else:
                told = list(line.reasons.get(subset, {}).values())
                reason = told[0] if told else "not asked for by any spec that ran here"
            return Missing(f"{subset}: {reason}" if len(subsets) > 1 else reason)
        runs[subset] = same
    if not matched_seeds([runs], subsets):
        return Missing("no seed is finished in every column")
    return runs


def _mend(column: Column) -> str:
    return f"; 'warmup-bench score FOLDER --metrics {column.base}' scores all alike"


def _corrected(found: Mapping[Any, tuple[Comparison | Missing, str]]) -> dict[Any, float]:
    """Holm within the family of one metric: every comparison of it in the table."""
    families: dict[str, list[Any]] = defaultdict(list)
    for key, (_, metric) in found.items():
        families[metric].append(key)
    corrected = {}
    for keys in families.values():
        raw = [c.p_value for key in keys if isinstance(c := found[key][0], Comparison)]
        corrected.update({key: float(p) for key, p in zip(keys, holm(raw), strict=True)})
    return corrected


def _row(draft: _Draft, columns: Sequence[Column], corrected: Mapping[str, float], stats: Stats) -> Row:
    line = draft.line
    cells: dict[str, MeanScore | Missing] = {}
    for column in columns:
        subsets = subsets_of(column, columns)
        runs = _runs(line, subsets, column, columns)
        if isinstance(runs, Missing):
            cells[column.key] = runs
            continue
        seeds = tuple(matched_seeds([runs], subsets))
        values = tuple(
            float(np.mean([score_entry(runs[s][seed], column.metric)["score"] for s in subsets]))
            for seed in seeds
        )
        found = draft.comparisons.get(column.key)
        gain: Gain | Missing | None = found if not isinstance(found, Comparison) else None
        if isinstance(found, Comparison):
            p, difference = corrected[column.key], found.difference
            better = None if difference == 0 else (difference > 0) == column.higher_is_better
            gain = Gain(found, p, p <= 1 - stats.confidence, better)
        cells[column.key] = MeanScore(seeds, values, gain)
    shown = {c.subset for c in columns if c.subset is not None}
    own = [r for s, seeds in line.results.items() if s in shown for r in seeds.values()]
    base = (
        []
        if draft.baseline is None
        else [r for s, seeds in draft.baseline.results.items() if s in shown for r in seeds.values()]
    )
    return Row(line.method, line is draft.baseline, cells, row_cost(own, base))


def _named_apart(tables: Sequence[Table]) -> list[Table]:
    """Give tables of one name (other data) a number."""
    seen: Counter[str] = Counter()
    named = []
    for table in tables:
        seen[table.name] += 1
        again = seen[table.name]
        named.append(replace(table, name=f"{table.name}-{again}") if again > 1 else table)
    return named
