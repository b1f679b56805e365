"""A command in a process of its own, watched by one that does nothing else: what ends silently is told.

A plugin can end its process (``os._exit``, a fault in a library, the system's out-of-memory killer). With
several workers the pool sees that. With one, the steps run in the command's own process, which saves each run
the seconds in which a worker would import torch; so the command forks before any heavy import, and its parent
waits. Where the child is gone in the middle of a step, the parent starts it anew, and the step is tried once
more; the second time it fails by name, and the others go on.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from warmup_bench.execution.executors import journal

PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
LOOK = 0.5
"""Seconds between two looks at whether the child is still there."""
_state = {"on": False}


def on() -> None:
    """From here on commands are watched: for a process that is all the command's."""
    _state["on"] = hasattr(os, "fork")


def watched(command: Callable[[], int]) -> int:
    """The exit code of a command. Where it is watched only its own process comes back from here."""
    if not _state["on"] or os.environ.get("WORLD_SIZE", "1") != "1":  # a launcher watches its ranks
        return command()
    sys.stdout.flush()
    sys.stderr.flush()
    while (reading := _forked()) is not None:
        _see_to_its_end(*reading)
    try:
        return command()
    finally:
        journal.tell("over")


def _forked() -> tuple[int, int, int] | None:
    """Start a child: its number, a pipe on which it tells, one that ends with this process; None in it."""
    told, tells = os.pipe()
    lives, life = os.pipe()
    child = os.fork()
    if child:
        os.close(tells)
        os.close(lives)
        return child, told, life
    os.close(told)
    os.close(life)
    os.setpgid(0, 0)  # a terminal's Ctrl-C reaches the parent alone, which passes it on once
    journal.write_to(tells)
    threading.Thread(target=_end_with, args=(lives,), daemon=True).start()
    return None


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)
    os._exit(1)


def _see_to_its_end(child: int, told: int, life: int) -> None:
    """Wait for a child; returns where another one should go on, else ends this process as it has ended."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTSTP:
            os.kill(child, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGSTOP)
        else:
            os.kill(child, number)

    numbers = [getattr(signal, name) for name in (*PASSED_ON, "SIGTSTP", "SIGCONT")]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    said, status, silent = _listened(child, told)
    for number, handler in before.items():
        signal.signal(number, handler)
    os.close(told)
    os.close(life)
    code = os.waitstatus_to_exitcode(status)
    step, over = journal.read(said)
    stopped = -code in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    if over or stopped:
        _end_as(code)
    how = f"ended with exit code {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
    if silent:
        how = journal.in_words(journal.SILENCE)
    if step is None:
        print(f"error: the command's process {how} before it was done", file=sys.stderr)  # noqa: T201
        _end_as(code or 1)
    journal.note(step, how)
    print(f"{step}: its process {how}; going on", file=sys.stderr)  # noqa: T201
    sys.stderr.flush()


def _listened(child: int, told: int) -> tuple[bytes, int, bool]:
    """All that a child tells until its end, its status, and whether it was ended since it had gone silent in
    a step. What it has started may hold the pipe for longer than it lives."""
    said, silent, heard = b"", False, time.monotonic()
    while True:
        ready, _, _ = select.select([told], [], [], LOOK)
        part = os.read(told, 65536) if ready else b""
        if part:
            said, heard = said + part, time.monotonic()
        if time.monotonic() - heard > journal.SILENCE and journal.read(said)[0] is not None and not silent:
            silent = True
            os.kill(child, signal.SIGKILL)
        ended, status = os.waitpid(child, 0 if ready and not part else os.WNOHANG)
        if ended and not part:
            return said, status, silent
        if ended:
            return said + b"".join(iter(lambda: _left_in(told), b"")), status, silent


def _left_in(told: int) -> bytes:
    return os.read(told, 65536) if select.select([told], [], [], 0)[0] else b""


def _end_as(code: int) -> NoReturn:
    sys.stderr.flush()
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code % 256)
