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
from warmup_bench.store.folders import write_file, writing
from warmup_bench.store.locks import LostError, claim, guarding, hold, sweep, token_of


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


@pytest.mark.parametrize(
    "content",
    ["", "[" * 100_000, "filelock/2\npid=1180591620717411303424\nhost=x\nmode=lease\n", "garbage\n"],
    ids=["empty", "deep", "absurd-pid", "garbage"],
)
def test_a_lock_that_nobody_can_read_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """Whoever was killed, or had no room, as it wrote its lock left one that says nothing."""
    monkeypatch.setattr(locks, "STALE", 0.3)
    monkeypatch.setattr(locks, "BEAT", 0.1)
    path = tmp_path / "a.lock"
    path.write_text(content)
    os.utime(path, (2e10, 2e10))  # in the future
    with claim(path) as ours:
        assert not ours
    time.sleep(0.35)
    with claim(path) as ours:
        assert ours
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_another_release_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "STALE", 0.3)
    monkeypatch.setattr(locks, "BEAT", 0.1)
    path = tmp_path / "a.lock"
    owned_by(path, host="elsewhere", duration=77)
    for _ in range(2):
        with claim(path) as ours:
            assert not ours
        time.sleep(0.2)
    os.utime(path)  # it lives
    with claim(path) as ours:
        assert not ours
    time.sleep(0.35)
    with claim(path) as ours:
        assert ours


def test_waiting_is_told_with_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    path = tmp_path / "a.lock"
    owned_by(path, host="far-away\x1b[2J", pid=4242)
    waiting = threading.Event()
    monkeypatch.setattr(
        locks.time, "sleep", lambda seconds: waiting.set() or path.unlink() if caplog.text else None
    )
    with hold(path):
        pass
    assert "waiting for" in caplog.text and "process 4242 on far-away" in caplog.text
    assert "\x1b" not in caplog.text
    assert waiting.is_set()


def test_who_has_lost_a_lock_stores_nothing(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    with claim(path) as ours, guarding(ours):
        write_file(tmp_path / "before", "x")
        path.unlink()
        owned_by(path, host="elsewhere")
        with pytest.raises(LostError):
            write_file(tmp_path / "after", "x")
        with pytest.raises(LostError), writing(tmp_path / "folder") as folder:
            (folder / "file").write_text("x")
        other = path.read_text()
    assert path.read_text() == other  # what is another one's is not given back
    write_file(tmp_path / "later", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["before", "later", "locks"]
