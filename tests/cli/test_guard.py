"""A command whose process ends without a word, watched from outside."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAD = """
import os, signal, sys, time
from warmup_bench.cli import guard
from warmup_bench.execution.executors import journal
guard.on()
"""
SRC = Path(__file__).parents[2] / "src"


def script(place: Path, body: str, silence: float = 600) -> subprocess.Popen[str]:
    """Start a process that is guarded; ``tries`` counts how often the command has begun."""
    (place / "tries").write_text("")
    text = (
        HEAD
        + f"journal.SILENCE = {silence}\nguard.LOOK = 0.1\n"
        + "def command():\n    open('tries', 'a').write('x')\n"
        + body
        + "\n"
    )
    text += "code = guard.watched(command)\nprint('out', code, flush=True)\nsys.exit(code)\n"
    return subprocess.Popen(
        [sys.executable, "-c", text],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(place: Path, body: str, silence: float = 600) -> tuple[int, str, str, int]:
    """Exit code, standard output and error, and how often it was begun."""
    process = script(place, body, silence)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err, len((place / "tries").read_text())


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: int) -> None:
    assert ended(tmp_path, f"    return {code}") == (code, f"out {code}\n", "", 1)


def test_an_error_is_told_by_the_command_itself(tmp_path: Path) -> None:
    code, out, err, tries = ended(tmp_path, "    raise ValueError('no luck')")
    assert (code, out, tries) == (1, "", 1)
    assert err.count("no luck") == 1


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os._exit(0)", "ended with exit code 0"),
        ("os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
    ],
)
def test_a_step_that_ends_its_process_is_tried_twice_and_the_others_go_on(
    tmp_path: Path, how: str, words: str
) -> None:
    body = f"""
    for step in ("first", "bad step", "last"):
        if (why := journal.given_up(step)):
            print(step, why, flush=True)
            continue
        journal.tell("start", step)
        if step == "bad step":
            {how}
        journal.tell("end")
        print(step, flush=True)
    return 1"""
    code, out, err, tries = ended(tmp_path, body)
    assert (code, tries) == (1, 3)
    assert out.splitlines()[-4:] == [
        "first",
        f"bad step its process {words}, 2 times (out of memory?)",
        "last",
        "out 1",
    ]
    assert err.splitlines() == [f"bad step: its process {words}; going on"] * 2


def test_a_step_that_never_comes_back_is_ended(tmp_path: Path) -> None:
    body = """
    if (why := journal.given_up("endless")):
        print(why, flush=True)
        return 1
    journal.tell("start", "endless")
    while True:
        time.sleep(1)"""
    code, out, err, tries = ended(tmp_path, body, silence=0.4)
    assert (code, tries) == (1, 3)
    assert "its process was ended, since nothing was heard of it for" in out
    assert err.count("endless: its process was ended") == 2


def test_an_end_outside_of_a_step_is_an_error(tmp_path: Path) -> None:
    code, out, err, tries = ended(tmp_path, "    os._exit(0)")
    assert (code, out, tries) == (1, "", 1)
    assert err == "error: the command's process ended with exit code 0 before it was done\n"


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_wish_to_stop_is_passed_on_once(tmp_path: Path, by: signal.Signals) -> None:
    body = """
    got = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda n, f: got.append(int(n)))
    print("ready", flush=True)
    while not got:
        time.sleep(0.01)
    time.sleep(0.2)
    print(got, flush=True)
    return 128 + got[0]"""
    process = script(tmp_path, body)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(by)
    assert process.stdout.readline() == f"[{int(by)}]\n"
    assert process.wait(timeout=60) == 128 + by
    process.communicate()


def test_the_command_ends_with_who_watches_it(tmp_path: Path) -> None:
    process = script(tmp_path, "    print(os.getpid(), flush=True)\n    time.sleep(600)\n    return 0")
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while _is_alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
