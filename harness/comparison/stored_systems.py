"""Systems of a comparison from stored cells: those of a run or of a published study."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from warmup_bench.comparison.systems import System
from warmup_bench.comparison.where import choose, telling_apart
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray, Metric
from warmup_bench.store.stored import DIGEST

if TYPE_CHECKING:
    from warmup_bench.store.results import Result


def read_stored_system(
    name: str, keys: Sequence[str] | None, where: Sequence[str] = (), shown: str = ""
) -> System:
    """One system from stored cells: ``DIR:METHOD`` (every seed), or cell folders separated by commas.

    Args:
        name: As above; METHOD is a row name of ``warmup-bench report``.
        keys: Metrics by key; None: all that are stored.
        where: ``KEY=VALUE`` of the cells that are meant.
        shown: What tables call it; "": the method's name, or the folders'.

    Raises:
        UserError: Nothing is stored there, cells that do not belong together, a metric that is not stored.
        CorruptError: A stored file is damaged.
    """
    results = _results(name)
    cells = choose([result.cell for result in results], where, name)
    results = [result for result in results if result.cell in cells]
    first = results[0]
    seeds = [cell.seed for cell in cells]
    if len(set(seeds)) < len(seeds):
        raise UserError(
            f"{name} means several cells of one seed",
            hint=telling_apart(cells)
            or "Name the cell folders of one version of the code, separated by commas.",
        )
    stored = [entry["key"] for entry in first.scores]
    for key in keys or ():
        if key not in stored:
            raise UserError(
                f"{first.place} has no scores of metric '{key}'", hint=f"Stored: {', '.join(stored)}."
            )
    tables = [result.examples() for result in results]
    ids = tables[0]["id"]
    texts = [r.predictions() for r in results] if all(r.has_texts for r in results) else []
    for result in results:
        if absent := set(keys or stored) - {entry["key"] for entry in result.scores}:
            raise UserError(
                f"{result.place} has no scores of metric '{min(absent)}'",
                hint="'warmup-bench score' makes them, or leave it out with --metric.",
            )
    metrics = {key: first.metric(key) for key in keys or stored}
    statistics, by_key = {}, {}
    for key, metric in metrics.items():
        scored = [result.statistics(key) for result in results]
        if any(names != ids for names in (*(names for names, _ in scored), *(t["id"] for t in tables))):
            raise UserError(f"the cells of {name} hold different examples", hint="Compare them one by one.")
        signatures = {entry["signature"] for r in results for entry in r.scores if entry["key"] == key}
        statistics[key] = np.stack([values for _, values in scored])
        entries = [entry for result in results for entry in result.scores if entry["key"] == key]
        if len(signatures) > 1 or not (
            signatures == {metric.signature()} or _are_read_alike(metric, statistics[key], entries)
        ):
            raise UserError(
                f"{metric.name} of {name} was scored with other settings: {' and '.join(signatures)}",
                hint="Score the cells again with this version.",
            )
        by_key[key] = signatures.pop()
    groups = tables[0]["group"]
    return System(
        name=shown or (first.cell.label if ":" in name else name),
        runs=tuple(map(str, seeds)),
        ids=tuple(ids),
        groups=None if all(group is None for group in groups) else tuple(groups),
        sources=tuple(texts[0]["source"]) if texts else None,
        references=tuple(map(tuple, texts[0]["references"])) if texts else None,
        references_digests=tuple(tables[0][DIGEST]),
        outputs=tuple(tuple(run["hypothesis"]) for run in texts) if texts else None,
        metrics=metrics,
        statistics=statistics,
        warm_starts={str(cell.seed): cell.warm_start_id for cell in cells},
        signatures=by_key,
    )


def _are_read_alike(metric: Metric, statistics: FloatArray, entries: Sequence[dict[str, Any]]) -> bool:
    """Whether this version makes the stored scores of the stored statistics, under whatever signature.

    A version of a metric may read texts otherwise; what an older one has read is as good as ever.
    """
    try:
        scores = metric.aggregate(statistics.sum(axis=1))
    except (IndexError, ValueError):
        return False
    return bool(np.allclose(scores, [entry["score"] for entry in entries], rtol=1e-9, atol=1e-9))


def _results(name: str) -> "list[Result]":
    from warmup_bench.store.results import read_results

    folder, _, label = name.rpartition(":")
    if folder and not Path(name).exists():
        stored = read_results(Path(folder))
        results = [result for result in stored if result.cell.label == label]
        if not results:
            labels = ", ".join(sorted({result.cell.label for result in stored}))
            raise UserError(f"no stored cell of method '{label}' in {folder}", hint=f"Stored: {labels}.")
    else:
        results = [_cell_at(Path(part)) for part in name.split(",")]
    return sorted(results, key=lambda result: result.cell.seed)


def _cell_at(path: Path) -> "Result":
    """The cell of a run in its folder, or that of a published study by the same name."""
    from warmup_bench.store.results import read_result, read_results
    from warmup_bench.store.study import is_published

    if is_published(path.parent.parent) and path.parent.name == "cells":
        return read_results(path.parent.parent, [path.name])[0]
    if path.is_file():
        raise UserError(f"{path} is a text file", hint="Name its references with --ref.")
    if not (path / "scores").is_dir():
        raise UserError(
            f"{path} is not a stored cell",
            hint="Name a folder under cells/, or all seeds of a method as DIR:METHOD.",
        )
    return read_result(path)
