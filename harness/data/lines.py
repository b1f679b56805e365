"""Lines of text files, packed or not; damage is an error that names the file and the line.

The datasets library's reader of text ends a line at a lone carriage return too, so that two files of
translations would fall out of step: plain text is read here, tables by :mod:`warmup_bench.data.tables`.
"""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError

AGAIN = "Fetch it again."
OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def damaged(path: Path, problem: str, hint: str = AGAIN) -> UserError:
    """The error of a file that holds something else than it should."""
    return UserError(f"{path.name} {problem}", origin=str(path), hint=hint)


def content_of(path: Path) -> bytes:
    """The bytes of a file, unpacked.

    Raises:
        UserError: It can't be read.
    """
    try:
        with OPENERS.get(path.suffix, Path.open)(path, "rb") as file:
            content: bytes = file.read()
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise damaged(path, f"can't be read: {getattr(error, 'strerror', None) or error}") from error
    return content


def text_of(path: Path) -> str:
    """The UTF-8 text of a file, without a byte order mark.

    Raises:
        UserError: It can't be read.
    """
    content = content_of(path)
    if (zero := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise damaged(path, f"can't be read: line {line} holds a zero byte")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise damaged(path, f"can't be read: line {line} is not UTF-8 text") from error


def text_lines(path: Path) -> list[str]:
    r"""Lines without white space at their ends.

    Only \n ends a line: a sentence may hold characters that ``str.splitlines`` would break at.

    Raises:
        UserError: The file can't be read.
    """
    return [line.strip() for line in text_of(path).removesuffix("\n").split("\n")]


def paired_lines(source: Path, target: Path) -> list[tuple[str, str]]:
    """Line by line pairs of two files.

    Raises:
        UserError: They don't have the same number of lines, or a line is empty: then they were damaged or
            shifted.
    """
    sides = text_lines(source), text_lines(target)
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"{source.name} has {len(sides[0])} lines and {target.name} has {len(sides[1])}",
            origin=str(source.parent),
            hint="The two must be line by line translations: fetch both again.",
        )
    for path, lines in zip((source, target), sides, strict=True):
        if "" in lines:
            raise damaged(path, f"has an empty line, {lines.index('') + 1}")
    return list(zip(*sides, strict=True))
