"""Logs of other harnesses: which one has written a file, and what it holds an example."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.inputs import read_column, split_column
from warmup_bench.data.lines import text_of
from warmup_bench.data.logs import comet_log, inspect_log, lm_eval
from warmup_bench.data.logs.log import Log, digest, number
from warmup_bench.data.tables import column_names, table_format


def read_logs(place: str) -> list[Log] | None:
    """The logs of a file, of a folder (of each task the newest), or a column of numbers.

    Args:
        place: A path; ``FILE:COLUMN`` of a table with a number an example; ``FILE:SYSTEM`` of COMET's.

    Returns:
        One a task, system and epoch; None where it is no log.

    Raises:
        UserError: It is one that can't be read, or has no number of any example.
    """
    path, part = split_column(place)
    if path.is_dir():
        return None if part else _of_folder(path)
    if not path.is_file():
        return None
    if path.suffix == ".eval":
        return inspect_log.read_eval(path)
    form = table_format(path)
    if form != "json":
        return None if form is None else _of_column(path, part)
    text = text_of(path)
    first = _parsed(text.lstrip().partition("\n")[0])
    if lm_eval.is_samples(first):
        return lm_eval.read_samples(path, text)
    content = _parsed(text)
    logs = _of_json(path, content)
    if logs is None:
        _refuse_summary(path, content)
        return _of_column(path, part)
    if not part:
        return logs
    chosen = [log for log in logs if log.system == part]
    if not chosen:
        raise UserError(
            f"{path} has no system '{part}'", hint=f"Its systems: {', '.join(log.system for log in logs)}."
        )
    return chosen


def _of_json(path: Path, content: Any) -> list[Log] | None:
    if inspect_log.is_log(content):
        return inspect_log.read_log(path, content)
    if comet_log.is_score(content):
        return comet_log.read_score(path, content)
    if comet_log.is_comparison(content):
        return comet_log.read_comparison(path, content)
    return None


def _refuse_summary(path: Path, content: Any) -> None:
    """See that a file is none of those that hold scores of test sets alone.

    Raises:
        UserError: It is.
    """
    rows = content if isinstance(content, list) else [content]
    if isinstance(content, dict) and {"results", "configs"} <= set(content):
        hint = "Evaluate with --log_samples, and name the samples_*.jsonl beside it, or their folder."
    elif rows and all(map(_is_sacrebleu, rows)):
        hint = "sacreBLEU's JSON has no more: name the files of outputs, with --ref."
    else:
        return
    raise UserError(f"{path} holds scores of whole test sets, none of an example", hint=hint)


def _is_sacrebleu(row: Any) -> bool:
    """A score of ``sacrebleu``, or a system of its paired tests."""
    if not isinstance(row, dict):
        return False
    table = "system" in row and any(key.startswith(("BLEU", "chrF", "TER")) for key in row)
    return table or {"name", "score", "signature"} <= set(row)


def _of_folder(folder: Path) -> list[Log] | None:
    """The newest log of every task below a folder; None where there is none, or stored cells are."""
    if (folder / "cells").is_dir() or (folder / "scores").is_dir():
        return None
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    logs: dict[str, list[tuple[str, list[Log]]]] = {}
    for path in files:
        if path.name.startswith("samples_") and ".jsonl" in path.suffixes:
            task, date = lm_eval.task_and_date(path)
            logs.setdefault(task, []).append((date, read_logs(str(path)) or []))
        elif path.suffix == ".eval" or (path.suffix == ".json" and _may_be_inspect(path)):
            of_file = read_logs(str(path)) or []
            logs.setdefault(of_file[0].task, []).append((path.name, of_file))
    newest = []
    for task, dated in logs.items():
        folders = sorted({str(of[0].path.parent) for _, of in dated if of})
        if len(folders) > 1:
            hint = f"Name one of the folders: {', '.join(folders)}."
            raise UserError(f"{folder} holds logs of task '{task}' in several folders", hint=hint)
        dated.sort(key=lambda pair: pair[0])
        note = f"{folder} has {len(dated)} logs of {task}: the newest is read, {dated[-1][1][0].path.name}"
        newest += [_noted(log, note) if len(dated) > 1 else log for log in dated[-1][1]]
    return newest or None


def _may_be_inspect(path: Path) -> bool:
    """Whether a JSON file begins like one of its logs, so that it is worth reading."""
    with path.open("rb") as file:
        begin = file.read(64)
    return b'"version"' in begin and inspect_log.is_log(_parsed(text_of(path)))


def _noted(log: Log, note: str) -> Log:
    return replace(log, notes=(*log.notes, note))


def _of_column(path: Path, column: str) -> list[Log] | None:
    """A column of numbers as a log, an example a row.

    Raises:
        UserError: No column is named, or it holds something else.
    """
    if not column:
        names = ", ".join(column_names(path))
        raise UserError(
            f"{path} is a table, and no column of it is named",
            hint=f"Its columns: {names}. Name one of outputs with --ref, or one of scores.",
        )
    values = read_column(path, column, table_format(path))
    numbers = [number(_as_number(value)) for value in values]
    if None in numbers:
        row = numbers.index(None)
        raise UserError(
            f"row {row + 1} of {path}:{column} holds {values[row]!r:.40} and not a number",
            hint="Texts need --ref; scores are a number a row.",
        )
    ids = tuple(f"row {i}" for i in range(1, len(values) + 1))
    return [Log("table", path, ids, tuple(map(digest, ids)), {column: numbers})]


def _as_number(value: Any) -> Any:
    """What a cell of CSV holds."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
