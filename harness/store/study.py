"""A published study: the numbers of finished cells in a handful of files that pandas opens.

Layout of ``numbers/`` in the study's folder, written whole or not at all::

    cells.parquet        a cell a row: coordinates, settings, what decoding took, facts of its task
    scores.parquet       a score a row: cell, metric, score, signature
    examples.parquet     an example of a cell a row: id, document, numbers of its prediction, statistics of
                         every metric: ``bleu.0``, ``bleu.1``, … (null in a cell without that metric)
    trainings.parquet    a training or warm start a row: ledger, provenance
    logs.parquet         a line of a training's log a row
    study.json           the order of the specs, and what failed
    DONE.json            size and SHA-256 of each

Cells of an example's file stand one after the other, each with its examples in their order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import FloatArray
from warmup_bench.store.folders import (
    DONE,
    check,
    read_json,
    read_table,
    write_json,
    write_small_table,
    writing,
)
from warmup_bench.store.records import read_records, write_records
from warmup_bench.store.stored import EXAMPLE, check_file_name, column, finite, misshapen, shaped

NUMBERS = "numbers"
"""The folder of a study with all that ``publish`` writes but the specs."""
INDEX = "study.json"
VERSION = 2
"""Of the layout."""


class Index(BaseModel):
    """``study.json``: the names of the specs without their ending, the oldest first; failures by cell; by the
    names of specs the hashes of their texts (none in what 0.1.0 has published).
    """

    model_config = ConfigDict(strict=True, frozen=True)
    version: int
    specs: list[str]
    failures: dict[str, dict[str, Any]]
    digests: dict[str, str] = {}


@dataclass
class Study:
    """What a published study holds.

    Attributes:
        cells: Record by cell id: its coordinates and settings, ``ledger`` of decoding, ``facts`` of its task.
        examples: Columns of a cell's examples by its id: lists of equal length.
        scores: Record by (cell id, metric): what scoring stored.
        statistics: By the same, [examples, k].
        trainings: Record by id of the training or warm start: ``ledger``, ``provenance``, ``log``.
        failures: Of cells that are not finished, as they were stored, by cell id.
    """

    cells: dict[str, dict[str, Any]] = field(default_factory=dict)
    examples: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    scores: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    statistics: dict[tuple[str, str], FloatArray] = field(default_factory=dict)
    trainings: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, dict[str, Any]] = field(default_factory=dict)


def is_published(out: Path) -> bool:
    """Whether a results folder holds the numbers of a run elsewhere, not a run of its own."""
    return (out / NUMBERS / DONE).is_file()


def refuse_published(out: Path, what: str) -> None:
    """Stop what needs a run's own folder.

    Raises:
        UserError: ``out`` holds published numbers; ``what`` can't be done there.
    """
    if is_published(out):
        raise UserError(
            f"{out} holds published numbers, without texts and models: {what}",
            hint="Use the run's own folder, then 'warmup-bench publish' it again. Without that folder: "
            f"'warmup-bench run --spec {out}/specs/NAME.yaml --out FOLDER' makes one.",
        )


def read_index(out: Path) -> Index:
    """What ``study.json`` says.

    Raises:
        UserError: A later version wrote it.
        CorruptError: It can't be read, or names what can't be a file.
    """
    path = out / NUMBERS / INDEX
    index = shaped(read_json(path), Index, path)
    if index.version != VERSION:
        raise UserError(
            f"{out} was published by another version: {index.version}, not {VERSION}",
            hint="Use the version of warmup-bench that wrote it, or publish its run again.",
        )
    for name in index.specs:
        check_file_name(name, "spec", path)
    return index


def write_study(out: Path, study: Study, specs: list[str], digests: Mapping[str, str] | None = None) -> None:
    """Write the numbers of a study in the place of older ones, with the order and the hashes of its specs.

    Raises:
        UserError: The place can't be written.
    """
    with writing(out / NUMBERS, replace=True) as folder:
        rows: dict[str, list[dict[str, Any]]] = {
            "cells": [{"id": name, **record} for name, record in study.cells.items()],
            "scores": [{"cell": name, **record} for (name, _), record in study.scores.items()],
            "trainings": [
                {"id": name} | {key: value for key, value in record.items() if key != "log"}
                for name, record in study.trainings.items()
            ],
            "logs": [
                {**line, "training_id": name}
                for name, record in study.trainings.items()
                for line in record.get("log", ())
            ],
        }
        for name, records in rows.items():
            write_records(folder / f"{name}.parquet", records)
        write_small_table(folder / "examples.parquet", _examples(study))
        index = {
            "version": VERSION,
            "specs": specs,
            "failures": study.failures,
            "digests": dict(digests or {}),
        }
        write_json(folder / INDEX, index)


def _examples(study: Study) -> Any:
    import pyarrow as pa

    tables = []
    for cell, columns in study.examples.items():
        named = {"cell": [cell] * len(columns["id"]), **columns}
        for (of, metric), values in study.statistics.items():
            if of == cell:
                named |= {f"{metric}.{i}": part for i, part in enumerate(values.T)}
        tables.append(pa.table(named))
    return pa.concat_tables(tables, promote_options="permissive")


class StudyFiles:
    """The files of a published study, each read when it is asked for and once.

    Attributes:
        folder: Where they are.
        examples_file: The one of the examples.

    Raises:
        CorruptError: A file is damaged: on making one; or it is not what it should be: on reading it.
    """

    def __init__(self, out: Path) -> None:
        self.folder = check(out / NUMBERS)
        self.examples_file = self.folder / "examples.parquet"

    @cached_property
    def cells(self) -> dict[str, dict[str, Any]]:
        """Record by cell id."""
        return _by_id(self.folder / "cells.parquet")

    @cached_property
    def trainings(self) -> dict[str, dict[str, Any]]:
        """Record by id of the training or warm start, without their logs."""
        return _by_id(self.folder / "trainings.parquet")

    @cached_property
    def logs(self) -> dict[str, list[dict[str, Any]]]:
        """Lines by id of the training or warm start."""
        return _grouped(self.folder / "logs.parquet", "training_id")

    @cached_property
    def scores(self) -> dict[str, list[dict[str, Any]]]:
        """Records by cell id."""
        path = self.folder / "scores.parquet"
        scores = _grouped(path, "cell")
        for one, other in (pair for records in scores.values() for pair in combinations(records, 2)):
            if one.get("key") == other.get("key"):
                raise misshapen(path, f"the score {one.get('key')} of a cell is there twice")
        return scores

    @cached_property
    def _table(self) -> Any:
        return read_table(self.examples_file)

    @cached_property
    def _rows(self) -> dict[str, slice]:
        """The rows of every cell."""
        names: NDArray[Any] = np.array(column(self._table, "cell", "text", self.examples_file), dtype=object)
        starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist()][: len(names)]
        rows = {names[a]: slice(a, b) for a, b in pairwise([*starts, len(names)])}
        if len(rows) < len(starts) or set(rows) != set(self.cells):
            raise misshapen(self.examples_file, "it holds other cells than cells.parquet")
        return rows

    def _part(self, cell: str) -> Any:
        """The rows of a cell, with the columns of all."""
        rows = self._rows[cell]
        return self._table.slice(rows.start, rows.stop - rows.start)

    def examples(self, cell: str) -> Any:
        """The columns of a cell's examples that it has, as a table; without statistics of metrics."""
        part = self._part(cell)
        names = [
            name
            for name, values in zip(part.column_names, part.columns, strict=True)
            if name != "cell" and "." not in name and (name in EXAMPLE or values.null_count < len(values))
        ]
        return part.select(names)

    def statistics(self, cell: str, metric: str) -> FloatArray:
        """The statistics [examples, k] of a cell under a metric."""
        part = self._part(cell)
        names = [name for name in part.column_names if name.rpartition(".")[0] == metric]
        if names != [f"{metric}.{i}" for i in range(len(names))] or not names:
            raise misshapen(self.examples_file, f"it has no statistics of {metric}")
        values = np.stack([finite(part, name, self.examples_file) for name in names], axis=1)
        if np.isnan(values).any():
            raise misshapen(self.examples_file, f"it has no statistics of {metric} of {cell}")
        return values


def read_study(out: Path) -> Study:
    """All that a published study holds.

    Raises:
        CorruptError: It is damaged.
    """
    files = StudyFiles(out)
    study = Study(cells=files.cells, failures=read_index(out).failures)
    for id_, record in files.trainings.items():
        log = files.logs.get(id_)
        study.trainings[id_] = record | ({"log": log} if log else {})
    for cell in files.cells:
        study.examples[cell] = files.examples(cell).to_pydict()
        for record in files.scores.get(cell, []):
            study.scores[cell, record["key"]] = record
            study.statistics[cell, record["key"]] = files.statistics(cell, record["key"])
    return study


def _grouped(path: Path, key: str) -> dict[str, list[dict[str, Any]]]:
    """The records of a file by the text that each has under a key, which is taken out of it."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in read_records(path):
        name = record.pop(key, None)
        if not isinstance(name, str):
            raise misshapen(path, f"a row without {key}")
        groups.setdefault(name, []).append(record)
    return groups


def _by_id(path: Path) -> dict[str, dict[str, Any]]:
    groups = _grouped(path, "id")
    for name, records in groups.items():
        if len(records) > 1:
            raise misshapen(path, f"{name[:80]} is there twice")
    return {name: record for name, (record,) in groups.items()}
