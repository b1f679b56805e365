"""Stored cells, read back: what a report knows. No model and no task is needed."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import is_learned
from warmup_bench.contracts.metric import FloatArray, Metric, MetricContext
from warmup_bench.contracts.registry import metrics
from warmup_bench.spec.cell import Cell
from warmup_bench.store.failures import read_failures
from warmup_bench.store.folders import CorruptError, check, is_number, is_whole, read_json, read_table
from warmup_bench.store.models import RECORDS
from warmup_bench.store.specs import ComparedRows, read_comparisons
from warmup_bench.store.stored import (
    DIGEST,
    EXAMPLE,
    PREDICTIONS,
    Facts,
    Kind,
    ScoreFile,
    check_file_name,
    column,
    counted,
    is_scored_at_all,
    misshapen,
    references_digest,
    shaped,
    statistics,
    stored_scores,
    task_facts_of,
)
from warmup_bench.store.study import StudyFiles, is_published
from warmup_bench.store.training_log import checked_lines, read_log

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


@dataclass(frozen=True, eq=False)
class Result(ABC):
    """One finished cell, in a run's folder or in a published study.

    Attributes:
        place: Where it is stored, by its cell's id: a folder of a run; of a published study the name in it.
        has_texts: Whether the predictions are stored; of a published cell only their numbers are.
        cell: Its coordinates and settings.
        ledger: What it spent (training and decoding).
        scores: One entry a metric, as it is stored: key, metric, name, score, signature, higher_is_better;
            those of the task's card first, in its order.
        context: What its metrics were made with.
        provenance: Machine and versions.
        compared: What the specs of its folder compare although training settings differ.
        data_notes: What its task told of the data, a sentence each.
    """

    has_texts: ClassVar[bool]
    place: Path
    cell: Cell
    ledger: dict[str, Any]
    scores: tuple[dict[str, Any], ...]
    context: MetricContext
    provenance: dict[str, Any]
    compared: tuple[ComparedRows, ...]
    data_notes: tuple[str, ...] = field(default=(), kw_only=True)

    @abstractmethod
    def table(self) -> tuple[Any, Path]:
        """What is stored of its examples as an arrow table, and its file.

        Raises:
            CorruptError: The file can't be read.
        """

    @abstractmethod
    def statistics(self, key: str) -> tuple[list[str], FloatArray]:
        """Ids and per-example statistics [examples, k] of one metric.

        Raises:
            CorruptError: The file can't be read.
        """

    @abstractmethod
    def training_log(self) -> list[dict[str, Any]]:
        """The lines of the training's log: losses, and under ``validation`` what each evaluation found.

        Raises:
            CorruptError: It can't be read.
        """

    def predictions(self, *more: str) -> dict[str, list[Any]]:
        """The columns of the predictions that every cell has, and those named that this one has.

        Raises:
            UserError: The cell holds numbers only.
            CorruptError: The file can't be read.
        """
        if not self.has_texts:
            raise UserError(
                f"{self.place} is published: it holds numbers, without source, reference and output texts",
                hint="What reads texts needs the folder of the run itself.",
            )
        table, path = self.table()
        wanted = {**COLUMNS, **{name: MORE_COLUMNS[name] for name in more if name in table.column_names}}
        return _examples(table, wanted, path)

    def examples(self) -> dict[str, list[Any]]:
        """Of every example its ``id``, its ``group`` (document, or None) and :func:`references_digest`.

        Raises:
            CorruptError: The file can't be read.
        """
        if not self.has_texts:
            table, path = self.table()
            return _examples(table, EXAMPLE, path)
        predictions = self.predictions()
        digests = [references_digest(texts) for texts in predictions["references"]]
        return {"id": predictions["id"], "group": predictions["group"], DIGEST: digests}

    def numbers(self) -> dict[str, list[Any]]:
        """The columns with one number or truth an example, such as ``warmup_tokens``.

        Raises:
            CorruptError: The file can't be read.
        """
        import pyarrow as pa

        table, _ = self.table()
        return {
            name: table.column(name).to_pylist()
            for name, kind in zip(table.column_names, table.schema.types, strict=True)
            if name not in EXAMPLE and (is_number(kind) or pa.types.is_boolean(kind))
        }

    def groups(self) -> list[str] | None:
        """The document of every example, or None where the task gives none."""
        groups: list[str] = self.examples()["group"]
        return None if any(group is None for group in groups) else groups

    def metric(self, key: str) -> Metric:
        """The metric, made as it was for scoring.

        Raises:
            CorruptError: What is stored under the key says that it is another metric's.
        """
        reference = next(score["metric"] for score in self.scores if score["key"] == key)
        entry = metrics().load_stored(reference)
        metric: Metric = entry.value(self.context)
        # That of a learned one names its model, which only the spec that it was scored with knows.
        if not is_learned(metric) and key != entry.name:
            raise misshapen(self.place / "scores" / key / "score.json", f"it is the score of {reference}")
        return metric


class RunResult(Result):
    """A cell in the results folder of a run."""

    has_texts = True

    def table(self) -> tuple[Any, Path]:
        """Its predictions, and their file."""
        path = self.place / "decode" / PREDICTIONS
        return read_table(path), path

    def statistics(self, key: str) -> tuple[list[str], FloatArray]:
        """As :meth:`Result.statistics`."""
        path = self.place / "scores" / key / "statistics.parquet"
        return statistics(read_table(path), path)

    def training_log(self) -> list[dict[str, Any]]:
        """As :meth:`Result.training_log`."""
        return read_log(training_folder(self.place, self.cell))


@dataclass(frozen=True, eq=False)
class StudyResult(Result):
    """A cell of a published study.

    Attributes:
        study: The study's files.
    """

    has_texts = False
    study: StudyFiles

    def table(self) -> tuple[Any, Path]:
        """The numbers of its examples, and their file."""
        return self.study.examples(self.place.name), self.study.examples_file

    def statistics(self, key: str) -> tuple[list[str], FloatArray]:
        """As :meth:`Result.statistics`."""
        table, path = self.table()
        return column(table, "id", "text", path), self.study.statistics(self.place.name, key)

    def training_log(self) -> list[dict[str, Any]]:
        """As :meth:`Result.training_log`."""
        lines = self.study.logs.get(self.cell.training_id, [])
        return checked_lines(lines, self.study.folder / "logs.parquet")


def training_folder(folder: Path, cell: Cell) -> Path:
    """Where the training of a run's cell is stored."""
    return folder.parent.parent / "trainings" / cell.training_id


def _examples(table: Any, wanted: Mapping[str, Kind], path: Path) -> dict[str, list[Any]]:
    """Columns of a stored table of examples.

    Raises:
        CorruptError: One is missing or misshapen, or there is no example, or one twice.
    """
    examples = {name: column(table, name, kind, path) for name, kind in wanted.items()}
    if not examples["id"] or len(set(examples["id"])) < len(examples["id"]):
        raise misshapen(path, "it holds no example, or one twice")
    return examples


def read_result(folder: Path, compared: tuple[ComparedRows, ...] = ()) -> Result:
    """Read one finished cell of a run, every file that a report reads checked against its manifest.

    Raises:
        CorruptError: A stored file is damaged; it is named, not used and not deleted.
    """
    check(folder / "decode")
    facts = task_facts_of(folder)
    cell = read_cell(folder)
    training = check(training_folder(folder, cell), only=RECORDS)
    trained, decoded = (read_json(of / "ledger.json") for of in (training, folder / "decode"))
    ledger = _ledger(trained, decoded, training / "ledger.json")
    scores = _in_order(stored_scores(folder), facts.metrics)
    provenance = read_json(training / "provenance.json")
    told = tuple(facts.notes)
    return RunResult(folder, cell, ledger, scores, facts.context(), provenance, compared, data_notes=told)


def read_cell(folder: Path) -> Cell:
    """The coordinates and settings of a decoded cell.

    Raises:
        CorruptError: They can't be read, or are those of another cell than the folder is named for.
    """
    path = folder / "decode" / "cell.json"
    cell = shaped(read_json(path), Cell, path)
    if cell.id != folder.name:
        raise misshapen(path, f"it is the cell {cell.id}")
    return cell


def read_results(
    out: Path, only: Iterable[str] | None = None, damaged: dict[str, CorruptError] | None = None
) -> list[Result]:
    """Every finished cell of a results folder (or those of the given ids), in the order of their names.

    Args:
        out: The folder.
        only: Ids of cells.
        damaged: Is filled with the cells that are left out since they are damaged; None: the first one is
            raised.

    Raises:
        UserError: No such folder, or no finished cell in it.
        CorruptError: As :func:`read_result`; all are damaged.
    """
    wanted = None if only is None else set(only)
    if is_published(out):
        return _read_published(out, wanted)
    root = out / "cells"
    if not root.is_dir():
        raise UserError(
            f"{out} is not a results folder (it has no 'cells')",
            hint="Give the folder that 'warmup-bench run' printed.",
        )
    folders = sorted(p for p in root.iterdir() if p.is_dir() and (wanted is None or p.name in wanted))
    results, found = list[Result](), dict[str, CorruptError]()
    compared = read_comparisons(out)
    for folder in folders:
        try:
            if is_whole(folder / "decode") and is_scored_at_all(folder):
                results.append(read_result(folder, compared))
        except CorruptError as error:
            if damaged is None:
                raise
            found[folder.name] = error
    if damaged is not None:
        damaged |= found
    if not results and found:
        raise next(iter(found.values()))
    if not results:
        failed = [f"{name}: {why.stage} failed: {why.line}" for name, why in read_failures(out).items()]
        first = f" ({len(failed)} failed; the first, {failed[0]})" if failed else ""
        raise UserError(f"{out} holds no finished cell{first}", hint="Run 'warmup-bench run' to its end.")
    return results


def _read_published(out: Path, wanted: set[str] | None) -> list[Result]:
    study, compared = StudyFiles(out), read_comparisons(out)
    path = study.folder / "cells.parquet"
    results: list[Result] = []
    for name in sorted(name for name in study.cells if wanted is None or name in wanted):
        record = study.cells[name]
        coordinates = {key: value for key, value in record.items() if key not in ("ledger", "facts")}
        cell = shaped(coordinates, Cell, path)
        facts = shaped(record.get("facts"), Facts, path)
        training = study.trainings.get(cell.training_id, {})
        if not (training and name in study.scores):
            raise misshapen(path, f"{name} has no training or no score")
        ledger = _ledger(training.get("ledger"), record.get("ledger"), path)
        scores = [_score(entry, study.folder / "scores.parquet") for entry in study.scores[name]]
        ordered = _in_order(scores, facts.metrics)
        provenance = training.get("provenance", {})
        place = out / "cells" / name
        results.append(
            StudyResult(
                *(place, cell, ledger, ordered, facts.context(), provenance, compared, study),
                data_notes=tuple(facts.notes),
            )
        )
    if not study.cells:
        raise misshapen(path, "it holds no cell")
    if not results:
        raise UserError(f"{out} holds no such cell", hint="'warmup-bench report' shows what it holds.")
    return results


def _score(entry: dict[str, Any], path: Path) -> dict[str, Any]:
    check_file_name(shaped(entry, ScoreFile, path).key, "metric", path)
    return entry


def _in_order(scores: Iterable[dict[str, Any]], order: Iterable[str]) -> tuple[dict[str, Any], ...]:
    """Scores with those of a task's card first."""
    place = {metric: number for number, metric in enumerate(order)}
    return tuple(sorted(scores, key=lambda s: (place.get(s["metric"], len(place)), s["key"])))


def _ledger(training: Any, decoding: Any, path: Path) -> dict[str, Any]:
    """What training and decoding spent together."""
    try:
        together = {**training, **decoding, "truncated": training["truncated"] + decoding["truncated"]}
    except (KeyError, TypeError) as error:
        raise misshapen(path, f"truncated: {error}") from error
    return counted(together, path)
