"""Stored cells, read back: what a report knows. No model and no task is needed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.cell import Cell
from harness.errors import UserError
from harness.metrics.base import FloatArray, Metric, MetricContext
from harness.registry import metrics
from harness.scoring import read_facts
from harness.storage.asked import Asked, read_asked
from harness.storage.failures import read_failures
from harness.storage.migrations import is_scored_at_all, stored_scores
from harness.storage.store import check, is_done, read_json, read_table
from harness.storage.stored import (
    DIGEST,
    NUMBERS,
    Kind,
    column,
    counted,
    holds_texts,
    misshapen,
    predictions_file,
    references_digest,
    shaped,
    statistics,
)
from harness.storage.training_log import read_log

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
NUMBER_COLUMNS: dict[str, Kind] = {"id": "text", "group": "text or none", DIGEST: "number"}
"""Of what a published cell holds in the place of its predictions."""


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
        asked: What the specs of its folder compare although training settings differ.
        files: The statistics of each metric, by its key; checked when the cell was read.
    """

    cell: Cell
    folder: Path
    ledger: dict[str, Any]
    scores: tuple[dict[str, Any], ...]
    context: MetricContext
    provenance: dict[str, Any]
    files: dict[str, Path]
    asked: tuple[Asked, ...] = ()

    def statistics(self, key: str) -> tuple[list[str], FloatArray]:
        """Ids and per-example statistics [examples, k] of one metric.

        Raises:
            CorruptError: The file can't be read.
        """
        path = self.files[key]
        return statistics(read_table(path), path)

    @property
    def has_texts(self) -> bool:
        """Whether the predictions are stored; of a published cell only their numbers are."""
        return holds_texts(self.folder)

    def predictions(self, *more: str) -> dict[str, list[Any]]:
        """The columns of the predictions that every cell has, and those named that this one has.

        Raises:
            UserError: The cell holds numbers only.
            CorruptError: The file can't be read.
        """
        path = predictions_file(self.folder)
        table = read_table(path)
        wanted = {**COLUMNS, **{name: MORE_COLUMNS[name] for name in more if name in table.column_names}}
        return _examples(table, wanted, path)

    def examples(self) -> dict[str, list[Any]]:
        """Of every example its ``id``, its ``group`` (document, or None) and :func:`references_digest`.

        Raises:
            CorruptError: The file can't be read.
        """
        if self.has_texts:
            found = self.predictions()
            digests = [references_digest(texts) for texts in found["references"]]
            return {"id": found["id"], "group": found["group"], DIGEST: digests}
        path = self.folder / "decode" / NUMBERS
        return _examples(read_table(path), NUMBER_COLUMNS, path)

    def groups(self) -> list[str] | None:
        """The document of every example, or None where the task gives none."""
        groups: list[str] = self.examples()["group"]
        return None if any(group is None for group in groups) else groups

    def training_log(self) -> list[dict[str, Any]]:
        """The lines of the training's log: losses, and under ``validation`` what each evaluation found.

        Raises:
            CorruptError: It can't be read.
        """
        return read_log(self.folder.parent.parent / "trainings" / self.cell.training_id)

    def metric(self, key: str) -> Metric:
        """The metric, made as it was for scoring."""
        reference = next(score["metric"] for score in self.scores if score["key"] == key)
        entry = metrics().load_stored(reference)
        metric: Metric = entry.value(self.context)
        return metric


def _examples(table: Any, wanted: Mapping[str, Kind], path: Path) -> dict[str, list[Any]]:
    """Columns of a stored table of examples.

    Raises:
        CorruptError: One is missing or misshapen, or there is no example, or one twice.
    """
    found = {name: column(table, name, kind, path) for name, kind in wanted.items()}
    if not found["id"] or len(set(found["id"])) < len(found["id"]):
        raise misshapen(path, "it holds no example, or one twice")
    return found


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
    asked = read_asked(out)
    return [replace(read_result(folder), asked=asked) for folder in finished]
