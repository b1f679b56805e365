"""Stored cells, read back: what a report knows. No model and no task is needed."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.cell import Cell
from harness.errors import UserError
from harness.metrics.base import FloatArray, Metric, MetricContext
from harness.migrations import is_scored_at_all, stored_scores
from harness.registry import metrics
from harness.scoring import read_facts
from harness.store import CorruptError, check, is_done, read_json, read_table


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
    """

    cell: Cell
    folder: Path
    ledger: dict[str, Any]
    scores: tuple[dict[str, Any], ...]
    context: MetricContext
    provenance: dict[str, Any]

    def statistics(self, key: str) -> tuple[list[str], FloatArray]:
        """Ids and per-example statistics [examples, k] of one metric.

        Raises:
            CorruptError: The file can't be read.
        """
        files = {stored.score["key"]: stored.statistics for stored in stored_scores(self.folder)}
        table = read_table(files[key])
        columns = [table.column(name).to_numpy() for name in table.column_names if name != "id"]
        return table.column("id").to_pylist(), np.stack(columns, axis=1).astype(np.float64)

    def groups(self) -> list[str] | None:
        """The document of every example, or None where the task gives none."""
        table = read_table(self.folder / "decode" / "predictions.parquet")
        groups: list[str] = table.column("group").to_pylist()
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
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise CorruptError(f"stored file {path} can't be read ({error})") from error

    def metric(self, key: str) -> Metric:
        """The metric, made as it was for scoring."""
        reference = next(score["metric"] for score in self.scores if score["key"] == key)
        metric: Metric = metrics().load(reference).value(self.context)
        return metric


def read_result(folder: Path) -> Result:
    """Read one finished cell, every file checked against its manifest.

    Raises:
        CorruptError: A stored file is damaged; it is named, not used and not deleted.
    """
    check(folder / "decode")
    context, order = read_facts(folder)
    try:
        cell = Cell.model_validate(read_json(folder / "decode" / "cell.json"))
        stored = [found.score for found in stored_scores(folder)]
        place = {metric: number for number, metric in enumerate(order)}
        entries = tuple(sorted(stored, key=lambda s: (place.get(s["metric"], len(place)), s["key"])))
    except (KeyError, ValueError) as error:
        raise CorruptError(
            f"stored cell {folder} is not readable ({error})", hint="Move it away to have it made again."
        ) from error
    training = check(folder.parent.parent / "trainings" / cell.training_id)
    ledger = read_json(training / "ledger.json")
    decode = read_json(folder / "decode" / "ledger.json")
    ledger |= {**decode, "truncated": ledger["truncated"] + decode["truncated"]}
    return Result(cell, folder, ledger, entries, context, read_json(training / "provenance.json"))


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
        raise UserError(f"{out} holds no finished cell", hint="Run 'warmup-bench run' to its end.")
    return [read_result(folder) for folder in finished]
