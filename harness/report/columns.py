"""The columns of a table, and the stored scores that belong to each."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from warmup_bench.report.sheets import Sheet
from warmup_bench.report.table import Column
from warmup_bench.store.results import Result

AVERAGE = "average"


def stored_metrics(results: Iterable[Result]) -> list[tuple[str, str]]:
    """(key, metric) of every score, in the order in which they appear."""
    return list(dict.fromkeys((s["key"], base_metric(s)) for result in results for s in result.scores))


def base_metric(entry: Mapping[str, Any]) -> str:
    """The metric of a score whose key may carry settings too."""
    return str(entry.get("metric", entry["key"]))


def make_columns(
    sheet: Sheet, subsets: Sequence[str], metrics: Sequence[str], *, by_subset: bool
) -> tuple[Column, ...]:
    """One a subset or metric, with the signature that most of its cells have; the average last."""
    columns = []
    for subset in subsets:
        for metric in metrics:
            cells = [r for r in sheet.results if r.cell.subset == subset and score_entry(r, metric)]
            known = cells or [r for r in sheet.results if score_entry(r, metric)]
            entries = [score_entry(result, metric) for result in known]
            signature, _ = Counter(str(entry["signature"]) for entry in entries).most_common(1)[0]
            entry = next(entry for entry in entries if entry["signature"] == signature)
            columns.append(
                Column(
                    key=subset if by_subset else metric,
                    name=subset if by_subset else entry["name"],
                    subset=subset,
                    metric=metric,
                    base=base_metric(entry),
                    metric_name=entry["name"],
                    signature=signature if cells else "",
                    higher_is_better=entry["higher_is_better"],
                    data=sheet.fingerprints.get(subset, ""),
                    examples=len(cells[0].statistics(metric)[0]) if cells else 0,
                )
            )
    if by_subset and len(columns) > 1:
        examples = sum(column.examples for column in columns)
        average = replace(columns[-1], key=AVERAGE, name=AVERAGE, subset=None, signature="", data="")
        columns.append(replace(average, examples=examples))
    return tuple(columns)


def score_entry(result: Result, metric: str) -> dict[str, Any]:
    """The stored score of one key; empty where the cell was not scored with it."""
    return next((score for score in result.scores if score["key"] == metric), {})


def said_by_metrics(results: Sequence[Result], columns: Sequence[Column]) -> list[str]:
    """What metrics say of their scores, with the number of cells that it holds for."""
    names = {column.metric: column.metric_name for column in columns}
    counts = Counter(
        f"{names[score['key']]}: {note}"
        for result in results
        for score in result.scores
        if score["key"] in names
        for note in score.get("notes", ())
    )
    return [f"{note} (in {cells} of {len(results)} cells)." for note, cells in counts.items()]


def said_of_data(results: Sequence[Result], columns: Sequence[Column]) -> list[str]:
    """What tasks told of the data of a table, with the subsets that it holds for."""
    shown = {column.subset for column in columns}
    subsets: dict[str, dict[str, None]] = {}
    for result in results:
        if result.cell.subset in shown:
            for note in result.data_notes:
                subsets.setdefault(note, {})[result.cell.subset] = None
    return [f"Data of {', '.join(of)}: {note}" for note, of in subsets.items()]


def subsets_of(column: Column, columns: Sequence[Column]) -> list[str]:
    """The subset of a column, or those that its average is over."""
    if column.subset is not None:
        return [column.subset]
    return [c.subset for c in columns if c.subset is not None]
