"""The log of a training on disk: JSON lines."""

import json
from pathlib import Path
from typing import Any

from warmup_bench.store.stored import LogLine, misshapen, shaped

LOG = "log.jsonl"


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log in the folder of a training or a warm start; none where it has no log.

    Raises:
        CorruptError: It can't be read.
    """
    path = folder / LOG
    if not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise misshapen(path, str(error)) from error
    return checked_lines(lines, path)


def checked_lines(lines: list[Any], path: Path) -> list[dict[str, Any]]:
    """Lines of a log that have its shape.

    Raises:
        CorruptError: One has another.
    """
    for line in lines:
        shaped(line, LogLine, path)
    return lines
