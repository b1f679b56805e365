"""Stored cells, read back: what a report knows. No model and no task is needed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cell import Cell
from harness.errors import UserError
from harness.failures import read_failures
from harness.metrics.base import FloatArray, Metric, MetricContext
from harness.migrations import is_scored_at_all, stored_scores
from harness.registry import metrics
from harness.scoring import read_facts
from harness.store import check, is_done, read_json, read_table
from harness.stored import Kind, LogLine, column, counted, misshapen, shaped, statistics

COLUMNS: dict[str, Kind] = {
    "id": "text",
    "group": "text or none",
    "source": "text",
    "references": "texts",
    "hypothesis": "text",
}
"""Of every file of predictions."""
MORE_COLUMNS: dict[str, Kind] = {"warmup": "text or none", "warmup_forced": "truth", "finished": "truth"}
"""Of those that a run has written."""


READ = ("ledger.json", "provenance.json", "log.jsonl")
"""Files of a training that a report reads."""


@dataclass(frozen=True)
class Result:
    """One finished cell.

    Attributes:
        cell: Its coordinates and settings.
        folder: Where it is stored.
        ledger: What it spent (training and decoding).
        scores: One entry a metric, as it is stored: key, metric, name, score, signature, higher_is_better;
            those of the task's card first, in its order.
        context: What its metrics were made with.
        provenance: Machine and versions.
        files: The statistics of each metric, by its key; checked when the cell was read.
    """

    cell: Cell
    folder: Path
    ledger: dict[str, Any]
    scores: tuple[dict[str, Any], ...]
    context: MetricContext
    provenance: dict[str, Any]
    files: dict[str, Path]

    def statistics(self, key: str) -> tuple[list[str], FloatArray]:
        """Ids and per-example statistics [examples, k] of one metric.

        Raises:
            CorruptError: The file can't be read.
        """
        path = self.files[key]
        return statistics(read_table(path), path)

    def predictions(self, *more: str) -> dict[str, list[Any]]:
        """The columns of the predictions that every cell has, and those named that this one has.

        Raises:
            CorruptError: The file can't be read.
        """
        path = self.folder / "decode" / "predictions.parquet"
        table = read_table(path)
        wanted = {**COLUMNS, **{name: MORE_COLUMNS[name] for name in more if name in table.column_names}}
        found = {name: column(table, name, kind, path) for name, kind in wanted.items()}
        if not found["id"] or len(set(found["id"])) < len(found["id"]):
            raise misshapen(path, "it holds no example, or one twice")
        return found

    def groups(self) -> list[str] | None:
        """The document of every example, or None where the task gives none."""
        groups: list[str] = self.predictions()["group"]
        return None if any(group is None for group in groups) else groups

    def training_log(self) -> list[dict[str, Any]]:
        """The lines of the training's log: losses, and under ``validation`` what each evaluation found.

        Raises:
            CorruptError: It can't be read.
        """
        path = self.folder.parent.parent / "trainings" / self.cell.training_id / "log.jsonl"
        if not path.is_file():
            return []
        try:
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError, RecursionError) as error:
            raise misshapen(path, str(error)) from error
        for line in lines:
            shaped(line, LogLine, path)
        return lines

    def metric(self, key: str) -> Metric:
        """The metric, made as it was for scoring."""
        reference = next(score["metric"] for score in self.scores if score["key"] == key)
        entry = metrics().load_stored(reference)
        metric: Metric = entry.value(self.context)
        return metric


def read_result(folder: Path) -> Result:
    """Read one finished cell, every file that a report reads checked against its manifest.

    Raises:
        CorruptError: A stored file is damaged; it is named, not used and not deleted.
    """
    check(folder / "decode")
    context, order = read_facts(folder)
    cell = read_cell(folder)
    scores = stored_scores(folder)
    stored = [found.score for found in scores]
    place = {metric: number for number, metric in enumerate(order)}
    entries = tuple(sorted(stored, key=lambda s: (place.get(s["metric"], len(place)), s["key"])))
    training = check(folder.parent.parent / "trainings" / cell.training_id, only=READ)
    ledger = read_json(training / "ledger.json")
    decode = read_json(folder / "decode" / "ledger.json")
    try:
        ledger |= {**decode, "truncated": ledger["truncated"] + decode["truncated"]}
    except (KeyError, TypeError) as error:
        raise misshapen(training / "ledger.json", f"truncated: {error}") from error
    ledger = counted(ledger, training / "ledger.json")
    files = {found.score["key"]: found.statistics for found in scores}
    return Result(cell, folder, ledger, entries, context, read_json(training / "provenance.json"), files)


def read_cell(folder: Path) -> Cell:
    """The coordinates and settings of a decoded cell.

    Raises:
        CorruptError: They can't be read.
    """
    path = folder / "decode" / "cell.json"
    return shaped(read_json(path), Cell, path)


def read_results(out: Path, only: Iterable[str] | None = None) -> list[Result]:
    """Every finished cell of a results folder (or those of the given ids), in the order of their names.

    Raises:
        UserError: No such folder, or no finished cell in it.
        CorruptError: As :func:`read_result`.
    """
    root = out / "cells"
    if not root.is_dir():
        raise UserError(
            f"{out} is no results folder (it has no 'cells')",
            hint="Give the folder that 'warmup-bench run' printed.",
        )
    wanted = None if only is None else set(only)
    folders = sorted(p for p in root.iterdir() if p.is_dir() and (wanted is None or p.name in wanted))
    finished = [folder for folder in folders if is_done(folder / "decode") and is_scored_at_all(folder)]
    if not finished:
        told = [
            f"{name}: {failure.stage} failed: {failure.line}" for name, failure in read_failures(out).items()
        ]
        first = f" ({len(told)} failed; the first, {told[0]})" if told else ""
        raise UserError(f"{out} holds no finished cell{first}", hint="Run 'warmup-bench run' to its end.")
    return [read_result(folder) for folder in finished]
