"""Locks between processes, on one machine or on several that share a folder: leases of the library filelock.

A lock is a file that says who holds it. The holder touches it every ``BEAT`` seconds. A dead holder's lock is
taken over: on its own machine as soon as its process is gone, from another machine once it has been seen
untouched for ``STALE`` seconds, and so is a lock that nobody can read.

A holder that was asleep for longer (a paused machine, a network file system that hung) has lost its lock to
another one without being asked. It finds that out before whatever it would store next (:func:`guarding`).
"""

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import SoftFileLease, Timeout

from warmup_bench.contracts.redact import visible
from warmup_bench.store.folders import guarded, make_folder, unwritable

BEAT = 10.0
"""Seconds between two touches."""
STALE = 180.0
"""Seconds without one after which a holder on another machine is dead; well above what NFS caches."""
POLL = 0.1
"""Seconds between two tries to get a lock that is waited for."""
PATIENCE = 5.0
"""Seconds of waiting after which it is told for whom."""
_log = logging.getLogger(__name__)


class LostError(Exception):
    """The lock was lost to another process while its holder slept; what it was making is the other's now."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A try to hold a lock: true where it is ours.

    Attributes:
        path: The lock's file.
        token: What tells this holding from every other; None where it is somebody else's.
        lease: Of this process; None where another one holds the lock for it.
    """

    path: Path
    token: str | None
    lease: SoftFileLease | None = None

    def __bool__(self) -> bool:
        return self.token is not None

    def noticed(self) -> bool:
        """Whether this process knows by now that the lock was lost; asks no file."""
        return self.lease is not None and self.lease.compromise is not None

    def require(self) -> None:
        """See in the lock's file that it is still ours.

        Raises:
            LostError: It is not.
        """
        if token_of(self.path) != self.token:
            raise LostError(f"{self.path} was taken over by another process")


@dataclass(slots=True)
class _Watched:
    """A lock that somebody else held when it was last tried.

    Attributes:
        lease: It remembers since when a lock that it can read has not been touched.
        state: Of the file, as it was last seen: inode and times.
        since: When it was first seen so (``time.monotonic``).
    """

    lease: SoftFileLease
    state: tuple[int, int, int] | None = None
    since: float = field(default_factory=time.monotonic)

    def untouched(self, path: Path) -> float:
        """Seconds for which the file is known to be as it is now."""
        with suppress(OSError):
            status = path.lstat()
            state = status.st_ino, status.st_mtime_ns, status.st_ctime_ns
            if state != self.state:
                self.state, self.since = state, time.monotonic()
            return time.monotonic() - self.since
        return 0.0


_watched: dict[Path, _Watched] = {}


@contextmanager
def claim(path: Path) -> Iterator[Claim]:
    """Try to hold a lock; yields a :class:`Claim`. It is given back at the end.

    Raises:
        UserError: The lock's folder can't be written.
    """
    make_folder(path.parent)
    watched = _watched.pop(path, None) or _Watched(_lease(path))
    try:
        lock = _acquired(watched, path)
    except OSError as error:
        raise unwritable(path, error) from error
    if lock is None:
        _watched[path] = watched
        yield Claim(path, None)
        return
    with lock:
        yield Claim(path, watched.lease.token, watched.lease)


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for whoever has it: for work of a moment. A longer wait is told.

    Raises:
        UserError: As :func:`claim`.
    """
    started, told = time.monotonic(), False
    while True:
        with claim(path) as ours:
            if ours:
                yield
                return
        if not told and time.monotonic() - started > PATIENCE:
            told = True
            _log.warning("waiting for %s, held by %s", path, holder(path))
        time.sleep(POLL)


@contextmanager
def guarding(ours: Claim) -> Iterator[None]:
    """In here nothing is stored once the lock is lost: what would store it raises :class:`LostError`."""
    with guarded(ours.require) if ours else nullcontext():
        yield


def holder(path: Path) -> str:
    """Who holds a lock, in words."""
    owner = _lease(path).owner
    if owner is None:
        return f"nobody that can be told; if nothing runs there, remove it, or wait {STALE:.0f} seconds"
    return visible(f"process {owner.pid} on {owner.hostname.partition('?')[0][:80]}")


def sweep(folder: Path) -> None:
    """Remove the locks of dead holders."""
    for path in folder.glob("*.lock"):
        with suppress(OSError), claim(path):
            pass


def token_of(path: Path) -> str | None:
    """What tells the present holding of a lock from every other; None where nobody holds it."""
    owner = _lease(path).owner
    return None if owner is None else owner.token


def _acquired(watched: _Watched, path: Path) -> Any:
    """What gives the lock back, or None where somebody else has it."""
    for _ in range(2):
        try:
            return watched.lease.acquire(blocking=False)
        except Timeout:
            owner = watched.lease.owner
            foreign = owner is None or owner.mode != "lease"
        except ValueError:  # leased for another time, by a release with other times
            foreign = True
        # What filelock can read and agrees with it judges itself.
        if not (foreign and watched.untouched(path) >= STALE and _moved_away(path, watched)):
            break
    return None


def _moved_away(path: Path, watched: _Watched) -> bool:
    """Take a lock out of the way that is as it was seen; one that is another by now comes back."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.dead")
    with suppress(OSError):
        path.rename(aside)
        same = watched.state is not None and aside.lstat().st_ino == watched.state[0]
        if not same:
            os.link(aside, path)
        aside.unlink()
        return same
    return False


def _lease(path: Path) -> SoftFileLease:
    return SoftFileLease(path, lease_duration=STALE, heartbeat_interval=BEAT, thread_local=False)
