"""Locks between processes, on one machine or on several that share a folder.

A lock is a file that says who holds it: user, host, process. The holder touches it every ``BEAT`` seconds.
A dead holder's lock is taken over: on its own machine as soon as its process is gone, from another machine
once it has not been touched for ``STALE`` seconds by the clock of the file system (so that clocks which
differ do not matter).
"""

import errno
import fcntl
import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from warmup_bench.store.folders import make_folder, unwritable

BEAT = 10.0
"""Seconds between two touches."""
STALE = 180.0
"""Seconds without one after which a holder on another machine is dead; well above what NFS caches."""


@contextmanager
def claim(path: Path) -> Iterator[bool]:
    """Try to hold a lock; yields whether it is ours. It is given back at the end.

    Raises:
        UserError: The lock's folder can't be written.
    """
    make_folder(path.parent)
    owner = {
        "user": _user(),
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "token": uuid.uuid4().hex,
    }
    try:
        ours = _acquire(path, owner)
    except OSError as error:
        raise unwritable(path, error) from error
    if not ours:
        yield False
        return
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(path, owner["token"], over), daemon=True)
    thread.start()
    try:
        yield True
    finally:
        over.set()
        thread.join()
        with suppress(OSError), _guard(path.parent):
            if (read_owner(path) or {}).get("token") == owner["token"]:
                path.unlink()


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Hold a lock, waiting for whoever has it: for work of a moment.

    Raises:
        UserError: As :func:`claim`.
    """
    while True:
        with claim(path) as ours:
            if ours:
                yield
                return
        time.sleep(0.1)


def sweep(folder: Path) -> None:
    """Remove the locks of dead holders, and what was left of locks that never came to be."""
    if not folder.is_dir():
        return
    with suppress(OSError), _guard(folder):
        for left in folder.glob(".*.tmp"):
            left.unlink(missing_ok=True)
    for path in folder.glob("*.lock"):
        with suppress(OSError), _guard(folder):
            holder = read_owner(path)
            if holder is not None and not _alive(path, holder):
                path.unlink(missing_ok=True)


def read_owner(path: Path) -> dict[str, Any] | None:
    """Who holds a lock: user, host, pid; {} where the file says nothing, None where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _acquire(path: Path, owner: dict[str, Any]) -> bool:
    """Make the lock unless somebody alive has it; a dead holder's is replaced.

    The file appears with its content (by a link): a process that is killed in between leaves none of it.
    """
    candidate = path.with_name(f".{path.name}.{owner['token']}.tmp")
    with _guard(path.parent):
        holder = read_owner(path)
        if holder is not None:
            if _alive(path, holder):
                return False
            path.unlink(missing_ok=True)
        try:
            candidate.write_text(json.dumps(owner), encoding="utf-8")
            path.hardlink_to(candidate)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            candidate.replace(path)  # a file system without links: the guard alone keeps others out
        finally:
            candidate.unlink(missing_ok=True)
    return True


def _alive(path: Path, holder: dict[str, Any]) -> bool:
    if holder.get("machine") == _machine() and isinstance(holder.get("pid"), int):
        return _started(holder["pid"]) == holder.get("started") and _exists(holder["pid"])
    probe = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        probe.touch()  # what the file system's clock says now
        age = probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return True  # just given back: the next try finds out
    finally:
        probe.unlink(missing_ok=True)
    return age < STALE


def _beat(path: Path, token: str, over: threading.Event) -> None:
    while not over.wait(BEAT):
        if (read_owner(path) or {}).get("token") != token:
            return  # taken over, after this process had slept for long
        with suppress(OSError):
            os.utime(path)


@contextmanager
def _guard(folder: Path) -> Iterator[None]:
    """Only one process at a time, of those that share the folder; the system frees it when one dies."""
    with (folder / ".guard").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            # Some network file systems have none; then two may take over one dead lock, and the store
            # still keeps the first result only.
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield


@cache
def _machine() -> str:
    """One boot of one system and its process numbers (containers have their own)."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no entry in the user database
        return str(os.getuid())


def _started(pid: int) -> str | None:
    """When a process began, in ticks since boot, to tell a number that is used again; None: unknown."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]  # a zombie is gone


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
