"""The tables of a results folder."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.build import build_tables
from warmup_bench.report.failed import Failed, failed_cells
from warmup_bench.report.layouts import layout, metric_keys
from warmup_bench.report.planned import planned_of, read_planned
from warmup_bench.report.table import Table
from warmup_bench.store.failures import Failure
from warmup_bench.store.results import Result, read_results
from warmup_bench.store.specs import newest_spec

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from warmup_bench.plan.plan import Plan


def tables_of(
    folder: Path,
    results: Sequence[Result],
    baseline: str | None = None,
    table: str = "auto",
    metrics: Sequence[str] = (),
    failed: Sequence[Failed] | None = None,
) -> list[Table]:
    """The tables of a results folder.

    Args:
        folder: Results folder of a run, or a published study.
        results: Its finished cells, in the order of the tables.
        baseline: Method that the others are compared with; None: that of the newest spec that ran there.
        table: Layout, by name.
        metrics: Metrics to show, by key or name, in any case; commas separate too. None: all.
        failed: Cells that are not there, with their reasons; None: those that the folder tells of.

    Raises:
        UserError: Unknown table, metric or baseline.
        CorruptError: A stored file is damaged.
    """
    shape = layout(table)
    stats = stored_stats(folder)
    if baseline is not None:
        known = sorted({result.cell.label for result in results})
        if baseline not in known:
            raise UserError(
                f"no stored cell of method '{baseline}'",
                origin="--baseline",
                hint=f"Stored: {', '.join(known)}.",
            )
        stats = stats.model_copy(update={"baseline": baseline})
    wanted = [name.strip() for given in metrics for name in given.split(",") if name.strip()]
    stored = dict.fromkeys((score["key"], score["name"]) for result in results for score in result.scores)
    keys = metric_keys(wanted, stored)
    planned = read_planned(folder, results, failed_cells(folder) if failed is None else failed)
    return build_tables(results, stats, layout=shape, metrics=keys, planned=planned)


def stored_stats(folder: Path) -> Stats:
    """The statistics settings of the newest spec that ran in a folder; the defaults where there is none."""
    spec = newest_spec(folder)
    if spec is None:
        _log.warning(
            "%s holds no spec: the baseline and the settings of the statistics are the defaults", folder
        )
    return Stats() if spec is None else spec.stats


def tables_of_run(plan: "Plan", failures: Mapping[str, Failure]) -> list[Table]:
    """The tables of the cells of a plan that are finished, in its order; those that failed are missing.

    Args:
        plan: The plan.
        failures: By cell id.
    """
    missing = [
        planned_of(cell, f"failed: {failures[cell.id].message.strip().splitlines()[-1]}")
        for cell in plan.cells
        if cell.id in failures
    ]
    order = {cell.id: place for place, cell in enumerate(plan.cells) if cell.id not in failures}
    results = sorted(read_results(plan.out, order), key=lambda result: order[result.cell.id])
    return build_tables(results, plan.spec.stats, planned=missing)
