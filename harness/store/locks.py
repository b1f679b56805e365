"""Locks between processes, on one machine or on several that share a folder: leases of the library filelock.

A lock is a file that says who holds it. The holder touches it every ``BEAT`` seconds. A dead holder's lock is
taken over: on its own machine as soon as its process is gone, from another machine once it has been seen
untouched for ``STALE`` seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import SoftFileLease, Timeout

from warmup_bench.store.folders import make_folder, unwritable

BEAT = 10.0
"""Seconds between two touches."""
STALE = 180.0
"""Seconds without one after which a holder on another machine is dead; well above what NFS caches."""
_watched: dict[Path, SoftFileLease] = {}
"""Locks that others held when they were last tried: each remembers since when it has not been touched."""


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Try to hold a lock; yields whether it is ours. It is given back at the end.

    Raises:
        UserError: The lock's folder can't be written.
    """
    make_folder(path.parent)
    lease = _watched.pop(path, None) or _lease(path)
    try:
        lock = lease.acquire(blocking=False)
    except Timeout:
        _watched[path] = lease
        yield False
        return
    except OSError as error:
        raise unwritable(path, error) from error
    with lock:
        yield True


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for whoever has it: for work of a moment.

    Raises:
        UserError: As :func:`claim`.
    """
    make_folder(path.parent)
    try:
        lock = _lease(path).acquire(poll_interval=0.1)
    except OSError as error:
        raise unwritable(path, error) from error
    with lock:
        yield


def sweep(folder: Path) -> None:
    """Remove the locks of dead holders."""
    for path in folder.glob("*.lock"):
        with suppress(OSError), claim(path):
            pass


def token_of(path: Path) -> str | None:
    """What tells the present holding of a lock from every other; None where nobody holds it."""
    owner = _lease(path).owner
    return None if owner is None else owner.token


def _lease(path: Path) -> SoftFileLease:
    return SoftFileLease(path, lease_duration=STALE, heartbeat_interval=BEAT, thread_local=False)
