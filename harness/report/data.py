"""Tables as CSV and JSON, every number at full precision."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar

from warmup_bench.report.failed import Failed
from warmup_bench.report.table import Column, Cost, Gain, Group, MeanScore, Missing, Row, Table

T = TypeVar("T")
SCHEMA_VERSION = 1
COSTS = tuple(field.name for field in fields(Cost))
COLUMNS = (
    *("table", "task", "scale", "group", "backbone", "method", "is_baseline"),
    *("column", "subset", "metric", "higher_is_better", "examples"),
    *("seeds", "score", "score_sd", "scores", "missing"),
    *("baseline", "matched_seeds", "difference", "ci_low", "ci_high", "confidence"),
    *("test", "p", "p_corrected", "survives_correction", "p_seeds"),
    *("p_joint", "p_joint_corrected", "holds_for_other_seeds", "randomizations", "not_compared"),
    *("claim", "published_gain", "published_power", "verdict"),
    *("signature", "data", *COSTS),
)
"""Of the CSV: one line a row and column of a table; ``p_seeds``: over seeds on these
examples, ``p_joint``: over seeds and examples; the costs are the row's."""


def records(tables: Sequence[Table]) -> Iterator[dict[str, Any]]:
    """A record for each row and column, with those of :data:`COLUMNS` that exist."""
    for table in tables:
        for group in table.groups:
            for row in group.rows:
                for column in table.columns:
                    yield _record(table, group, row, column)


def csv_text(tables: Sequence[Table], failed: Sequence[Failed] = ()) -> str:
    """One line for each row and column; an empty field is a number that does not exist, never 0.

    Cells that failed have no line of their own; ``missing`` tells of one where nothing else is there.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records(tables))
    return out.getvalue()


def json_text(tables: Sequence[Table], failed: Sequence[Failed] = ()) -> str:
    """The whole model: tables, groups, rows, cells, costs, findings and footnotes; the cells that failed."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "tables": [_table(table) for table in tables],
        "failed": [{"name": f.name, "cell": f.what, "stage": f.stage, "reason": f.reason} for f in failed],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _record(table: Table, group: Group, row: Row, column: Column) -> dict[str, Any]:
    cell = row.cells[column.key]
    record: dict[str, Any] = {
        "table": table.name,
        "task": table.task,
        "scale": table.scale,
        "group": group.name,
        "backbone": group.backbone,
        "method": row.method,
        "is_baseline": row.baseline,
        "column": column.key,
        "subset": column.subset or "",
        "metric": column.metric,
        "higher_is_better": column.higher_is_better,
        "examples": column.examples,
        "signature": column.signature,
        "data": column.data,
    }
    if row.cost is not None:
        record |= {key: _blank(value) for key, value in asdict(row.cost).items()}
    for published in table.published:
        if (published.group, published.method, published.column) == (group.name, row.method, column.key):
            record |= {"claim": published.claim.name, "published_gain": published.claim.gain}
            if (judgement := published.judgement) is not None:
                record |= {"published_power": judgement.power, "verdict": judgement.verdict}
    if isinstance(cell, Missing):
        return record | {"missing": cell.reason}
    record |= {
        "seeds": " ".join(map(str, cell.seeds)),
        "score": cell.mean,
        "score_sd": _blank(cell.spread),
        "scores": " ".join(map(repr, cell.values)),
    }
    if isinstance(cell.gain, Missing):
        record["not_compared"] = cell.gain.reason
    elif cell.gain is not None:
        c = cell.gain.comparison
        record |= {
            "baseline": table.baseline,
            "matched_seeds": c.seeds,
            "difference": c.difference,
            "ci_low": _blank(c.low),
            "ci_high": _blank(c.high),
            "confidence": c.confidence,
            "test": c.test,
            "p": c.p_value,
            "p_corrected": cell.gain.corrected_p,
            "survives_correction": cell.gain.finding.these_models,
            "p_seeds": _blank(c.seed_p_value),
            "p_joint": _blank(c.joint_p_value),
            "p_joint_corrected": _blank(cell.gain.finding.corrected_joint_p),
            "holds_for_other_seeds": cell.gain.finding.other_seeds,
            "randomizations": c.randomizations,
        }
    return record


def _blank(value: float | None) -> float | str:
    return "" if value is None else value


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "task": table.task,
        "scale": table.scale,
        "split": table.split,
        "baseline": table.baseline,
        "confidence": table.confidence,
        "columns": [asdict(column) for column in table.columns],
        "groups": [
            {
                "name": group.name,
                "backbone": group.backbone,
                "rows": [
                    {
                        "method": row.method,
                        "is_baseline": row.baseline,
                        "cost": None if row.cost is None else asdict(row.cost),
                        "cells": {key: _missing_or(cell, _cell) for key, cell in row.cells.items()},
                    }
                    for row in group.rows
                ],
            }
            for group in table.groups
        ],
        "published": [
            asdict(published) | {"measured": _missing_or(published.measured, asdict)}
            for published in table.published
        ],
        "findings": table.findings,
        "scope": table.scope,
        "notes": asdict(table.notes),
    }


def _cell(cell: MeanScore) -> dict[str, Any]:
    return {
        "seeds": cell.seeds,
        "scores": cell.values,
        "mean": cell.mean,
        "sd": cell.spread,
        "gain": None if cell.gain is None else _missing_or(cell.gain, _gain),
    }


def _gain(gain: Gain) -> dict[str, Any]:
    return {
        "comparison": asdict(gain.comparison),
        "corrected_p": gain.corrected_p,
        "survives_correction": gain.finding.these_models,
        "corrected_joint_p": gain.finding.corrected_joint_p,
        "holds_for_other_seeds": gain.finding.other_seeds,
        "better": gain.better,
    }


def _missing_or(value: T | Missing, content: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
    return {"missing": value.reason} if isinstance(value, Missing) else content(value)
