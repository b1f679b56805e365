"""Which step this process is in, for whoever watches it; and those in which a process before it has ended."""

import os
from collections import defaultdict
from contextlib import suppress

_pipe: list[int] = []
_ends: dict[str, list[str]] = defaultdict(list)
MOST = 2
"""Times that a step may take its process with it."""
SILENCE = 6 * 3600.0
"""Seconds in which nothing is heard of a step after which its process is ended: it will not come back. Every
training step and every batch is heard, so that this bounds what a plugin can hold up."""


def write_to(pipe: int) -> None:
    """Tell on a pipe from here on."""
    _pipe[:] = [pipe]


def tell(*words: str) -> None:
    """Tell ``start KEY``, ``going KEY``, ``end`` or ``over``; nobody may listen."""
    with suppress(OSError):  # whoever listened is gone, and this process goes too
        if _pipe:
            os.write(_pipe[0], (" ".join(words) + "\n").encode())


def read(said: bytes) -> tuple[str | None, bool]:
    """The step that was begun and not ended, and whether all was over."""
    step: str | None = None
    over = False
    for line in said.decode(errors="replace").splitlines():
        word, _, key = line.partition(" ")
        step = key if word in ("start", "going") else None
        over = word == "over"
    return step, over


def note(step: str, how: str) -> None:
    """A process has ended in a step."""
    _ends[step].append(how)


def in_words(seconds: float) -> str:
    """That nothing was heard for so long."""
    return f"was ended, since nothing was heard of it for {seconds / 3600:g} hours"


def given_up(step: str) -> str | None:
    """Why a step is not tried any more, in words; None where it is."""
    ends = _ends[step]
    return f"its process {ends[-1]}, {len(ends)} times (out of memory?)" if len(ends) >= MOST else None
