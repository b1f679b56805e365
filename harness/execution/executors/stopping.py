"""Ctrl-C and SIGTERM: the first asks the running steps to stop where they can go on, the second insists."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether the user has asked to stop, and by which signal."""

    def __init__(self, tell: Callable[[], None] = lambda: None) -> None:
        """``tell`` passes the wish on to other processes."""
        self.by: int | None = None
        self._tell = tell

    def __call__(self) -> bool:
        """Whether to stop."""
        return self.by is not None

    def error(self) -> KeyboardInterrupt:
        """What to raise once everything has stopped; it carries the signal's number."""
        return KeyboardInterrupt(self.by or signal.SIGINT)

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Ask for it; whoever asks twice does not want to wait."""
        if self.by is not None:
            raise KeyboardInterrupt(number)
        self.by = number
        self._tell()


@contextmanager
def listening(stop: Stop) -> Iterator[None]:
    """While in here, the two signals ask ``stop``. Outside of the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deaf_children(signals: Sequence[signal.Signals] = (signal.SIGINT,)) -> Iterator[None]:
    """Processes that are started in here never see Ctrl-C, or other signals: their parent tells them.

    A terminal sends it to children too, and one that dies of it can't write its checkpoint.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
