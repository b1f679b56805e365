"""Cells that were stored by older versions, as the readers of today want them. Nothing on disk is changed.

Schema 1, at first: every metric of a cell in one folder ``score/``, ``scores.json`` with what they were made
with, and a parquet file of statistics each. Schema 2: one folder ``scores/<metric>/`` each, and what scoring
needs to know of the task beside the predictions. (Folders between the two have the layout of 2 and say 1.)
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.storage.store import CorruptError, check, is_done, read_json
from harness.storage.stored import ScoreFile, named, read_score, shaped


@dataclass(frozen=True, slots=True)
class StoredScore:
    """One metric of a cell: its score with signature and key, and the file of its statistics."""

    score: dict[str, Any]
    statistics: Path


def read_facts_file(cell: Path) -> dict[str, Any]:
    """What scoring needs to know of a cell's task: target_language, labels, references, metrics.

    Raises:
        CorruptError: It can't be read.
    """
    path = cell / "decode" / "task.json"
    if path.is_file() or not is_done(cell / "score"):
        return read_json(path)
    old = _schema_1(cell)
    return {**old["context"], "metrics": [score["key"] for score in old["metrics"]]}


def stored_scores(cell: Path) -> list[StoredScore]:
    """Every finished score of a cell, checked against its manifest; the layout of today wins.

    Raises:
        CorruptError: One is damaged.
    """
    found: dict[str, StoredScore] = {}
    if is_done(cell / "score"):
        for score in _schema_1(cell)["metrics"]:
            path = cell / "score" / "scores.json"
            content = {"metric": score["key"], "code": "", "notes": [], **score}
            key = named(shaped(content, ScoreFile, path).key, path)
            found[key] = StoredScore(content, cell / "score" / f"{key}.parquet")
    for folder in sorted((cell / "scores").glob("[!.]*")):
        if is_done(folder):
            score = read_score(check(folder))
            found[score["key"]] = StoredScore(score, folder / "statistics.parquet")
    return list(found.values())


def is_scored_at_all(cell: Path) -> bool:
    """Whether a cell has any finished score."""
    return is_done(cell / "score") or any(is_done(f) for f in (cell / "scores").glob("[!.]*"))


def _schema_1(cell: Path) -> dict[str, Any]:
    content = read_json(check(cell / "score") / "scores.json")
    try:
        context = {key: content["context"][key] for key in ("target_language", "labels", "references")}
        return {
            "context": context,
            "metrics": [dict(score, key=score["key"]) for score in content["metrics"]],
        }
    except (KeyError, TypeError) as error:
        raise CorruptError(
            f"stored cell {cell} is not readable ({error})", hint="Move it away to have it made again."
        ) from error
