import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.store import locks
from warmup_bench.store.locks import claim, hold, sweep, token_of


def owned_by(path: Path, **changes: object) -> None:
    """A lock file as another holder would have left it."""
    with claim(path):
        lines = path.read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines[1:]) | {
        key: str(value) for key, value in changes.items()
    }
    path.write_text("\n".join([lines[0], *(f"{key}={value}" for key, value in fields.items())]) + "\n")


def gone() -> int:
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_says_who_holds_it_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    with claim(path) as ours:
        assert ours
        text = path.read_text()
        assert socket.gethostname() in text and str(os.getpid()) in text
        token = token_of(path)
        assert token is not None and token in text
        with claim(path) as again:
            assert not again
        assert path.exists()  # who did not get it does not give it back
        with claim(tmp_path / "locks" / "b.lock") as other:
            assert other
    assert token_of(path) is None
    with claim(path) as later:
        assert later
        assert token_of(path) not in (None, token)


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claim(tmp_path / "a.lock"):
        raise ZeroDivisionError
    assert not (tmp_path / "a.lock").exists()


def test_the_lock_of_a_process_that_is_gone_is_taken_over_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    owned_by(path, pid=gone())
    with claim(path) as ours:
        assert ours


def test_a_process_number_that_is_used_again_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    owned_by(path, start=1)  # this process has the number, and began later
    with claim(path) as ours:
        assert ours


def test_a_holder_elsewhere_is_dead_once_it_was_seen_untouched_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STALE", 0.5)
    monkeypatch.setattr(locks, "BEAT", 0.1)
    path = tmp_path / "a.lock"
    owned_by(path, host="elsewhere", pid=1)
    with claim(path) as ours:
        assert not ours
    time.sleep(0.3)
    os.utime(path)  # it lives
    with claim(path) as ours:
        assert not ours
    time.sleep(0.3)
    with claim(path) as ours:
        assert not ours
    time.sleep(0.4)
    with claim(path) as ours:
        assert ours


def test_the_holder_touches_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.02)
    path = tmp_path / "a.lock"
    with claim(path):
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_one_of_many_takes_over_a_dead_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    owned_by(path, pid=gone())
    inside, most = [], []
    barrier = threading.Barrier(12)

    def attempt() -> None:
        barrier.wait()
        with claim(path) as ours:
            if ours:
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.05)
                inside.pop()

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_hold_waits(tmp_path: Path) -> None:
    path, order = tmp_path / "a.lock", []

    def second() -> None:
        with hold(path):
            order.append("second")

    with hold(path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.15)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_sweep_removes_the_locks_of_the_dead_only(tmp_path: Path) -> None:
    owned_by(tmp_path / "dead.lock", pid=gone())
    owned_by(tmp_path / "elsewhere.lock", host="elsewhere")
    with claim(tmp_path / "ours.lock"):
        sweep(tmp_path)
        assert {p.name for p in tmp_path.glob("*.lock")} == {"elsewhere.lock", "ours.lock"}


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")
    with pytest.raises(UserError, match="locks"), claim(tmp_path / "locks" / "a.lock"):
        pass
