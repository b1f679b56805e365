"""The log of a training on disk: JSON lines as they were written, or packed where they are published."""

import gzip
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.storage.stored import LogLine, misshapen, shaped

LOG, PACKED = "log.jsonl", "log.jsonl.gz"
LARGEST = 2**28
"""Bytes of an unpacked log."""


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of the log in the folder of a training or a warm start; none where it has no log.

    Raises:
        CorruptError: It can't be read.
    """
    path = folder / PACKED if (folder / PACKED).is_file() else folder / LOG
    if not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in _content(path).decode("utf-8").splitlines()]
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise misshapen(path, str(error)) from error
    for line in lines:
        shaped(line, LogLine, path)
    return lines


def write_packed_log(folder: Path, lines: Sequence[Any]) -> None:
    """Write lines that :func:`read_log` gives back; without a time, so that equal lines are equal bytes."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / PACKED).write_bytes(gzip.compress(text.encode(), mtime=0))


def _content(path: Path) -> bytes:
    if path.name == LOG:
        return path.read_bytes()
    with gzip.open(path) as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it unpacks to more than {LARGEST} bytes")
    return content
