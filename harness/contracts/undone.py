"""What a plugin may do to its process beside its work, undone for what comes after it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STREAMS = (1, 2)
"""Standard output and error."""


@contextmanager
def undone() -> Iterator[None]:
    """After this the working folder and the standard streams are what they were."""
    folder = Path.cwd()
    streams = sys.stdout, sys.stderr
    kept = {number: os.dup(number) for number in STREAMS if _is_open(number)}
    try:
        yield
    finally:
        with suppress(OSError):  # it is gone
            os.chdir(folder)
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)
        sys.stdout, sys.stderr = (
            open(number, "w", closefd=False, encoding=stream.encoding, errors=stream.errors)  # noqa: SIM115
            if number in kept and getattr(stream, "closed", False)
            else stream
            for number, stream in zip(STREAMS, streams, strict=True)
        )


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
