import json
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
from warmup_bench.store.locks import claim, hold, read_owner, sweep


def owned_by(path: Path, **changes: object) -> None:
    """A lock file as another holder would have left it."""
    with claim(path):
        owner = json.loads(path.read_text())
    path.write_text(json.dumps(owner | changes))


def test_a_lock_says_who_holds_it_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    with claim(path) as ours:
        assert ours
        owner = read_owner(path)
        assert owner is not None
        assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())
        with claim(path) as again:
            assert not again
        assert path.exists()  # who did not get it does not give it back
        with claim(tmp_path / "locks" / "b.lock") as other:
            assert other
    assert read_owner(path) is None
    with claim(path) as later:
        assert later


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claim(tmp_path / "a.lock"):
        raise ZeroDivisionError
    assert not (tmp_path / "a.lock").exists()


def test_the_lock_of_a_process_that_is_gone_is_taken_over_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    owned_by(path, pid=gone.pid)
    with claim(path) as ours:
        assert ours


def test_a_process_number_that_is_used_again_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    owned_by(path, started="1")  # this process has the number, and began later
    with claim(path) as ours:
        assert ours
    owned_by(path)
    with claim(path) as ours:
        assert not ours


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "\xff"], ids=["foreign", "empty", "torn", "list", "bytes"]
)
def test_a_holder_elsewhere_is_dead_once_it_has_not_touched_its_lock_for_long(
    content: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "a.lock"
    owned_by(path, machine="elsewhere", pid=1)
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with claim(path) as ours:
        assert not ours
    long_ago = time.time() - locks.STALE - 5
    os.utime(path, (long_ago, long_ago))
    with claim(path) as ours:
        assert ours
    assert [p.name for p in tmp_path.iterdir()] == [".guard"]


def test_the_holder_touches_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT", 0.02)
    path = tmp_path / "a.lock"
    with claim(path):
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 10
        while path.stat().st_mtime == 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_who_lost_its_lock_leaves_it_to_the_new_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with claim(path):
        path.write_text(json.dumps({"token": "another"}))
    assert path.exists()


def test_one_of_many_takes_over_a_dead_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    owned_by(path, pid=2**22 + 1)
    inside, most, count = [], [], [0]
    barrier = threading.Barrier(12)

    def attempt() -> None:
        barrier.wait()
        with claim(path) as ours:
            if ours:
                inside.append(1)
                most.append(len(inside))
                count[0] += 1
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
    owned_by(tmp_path / "dead.lock", pid=2**22 + 1)
    owned_by(tmp_path / "elsewhere.lock", machine="elsewhere")
    with claim(tmp_path / "ours.lock"):
        sweep(tmp_path)
        assert {p.name for p in tmp_path.glob("*.lock")} == {"elsewhere.lock", "ours.lock"}


def test_without_room_for_its_content_there_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.lock"
    with monkeypatch.context() as patched:
        patched.setattr(locks.json, "dumps", full)
        with pytest.raises(UserError, match="no space is left"), claim(path):
            pass
    assert [p.name for p in tmp_path.iterdir()] == [".guard"]
    with claim(path) as ours:
        assert ours


@pytest.mark.parametrize("number", [1, 95])
def test_a_file_system_without_links_has_locks_too(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with claim(tmp_path / "a.lock") as ours:
        assert ours
        with claim(tmp_path / "a.lock") as again:
            assert not again


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")
    with pytest.raises(UserError, match="locks"), claim(tmp_path / "locks" / "a.lock"):
        pass
