"""The set-up of environments: what is left alone, what is made anew, and what goes wrong in one line.

Its commands are not run here (CI's own set-up runs them): a stand-in for ``python -m venv``, pip and uv is.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "locks" / "install.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DEV = ("bertscore", "lora", "ray", "test", "dev")
Answer = Callable[[list[str]], str]
"""What a command prints; it fails if that is anything."""


@pytest.fixture
def call(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, list[list[str]], str]]:
    """Set an environment up; its exit code, the commands that were run, and what stood on stderr."""
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: argparse.Namespace(free=50e9))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    def do(*arguments: str, answer: Answer = lambda _: "") -> tuple[int, list[list[str]], str]:
        ran: list[list[str]] = []

        def run(command: list[str], stdout, **_) -> int:
            ran.append(command)
            told = answer(command)
            stdout.write(told)
            return int(bool(told))

        monkeypatch.setattr(install.subprocess, "call", run)
        monkeypatch.setattr(sys, "argv", ["install.py", *arguments])
        code = install.main()
        return code, ran, capsys.readouterr().err

    return do


def test_an_environment_is_made_once(call, tmp_path) -> None:
    folder = tmp_path / "venv"
    code, ran, told = call(str(folder), "--on", "dev", "--extras", "dev")
    assert (code, told) == (0, "")
    assert ran[0][1:] == ["-m", "venv", str(folder)]
    assert ran[-1][-1] == f"{ROOT}[dev]"
    assert str(ROOT / "locks" / "dev.txt") in ran[-1]
    assert call(str(folder), "--on", "dev", "--extras", "dev") == (0, [], "")
    assert call(str(folder), "--on", "base") == (0, [], "")  # it has all of that
    assert call(str(folder), "--on", "comet", "--extras", "comet")[1] != []


def test_both_ends_of_the_ranges(call, tmp_path) -> None:
    _, newest, _ = call(str(tmp_path / "new"), "--on", "newest", "--extras", "dev")
    _, oldest, _ = call(str(tmp_path / "old"), "--on", "oldest", "--extras", "dev")
    assert newest[-2][-1] == "torch"
    assert "torch>=" + oldest[-2][-1].removeprefix("torch==") in (ROOT / "pyproject.toml").read_text()
    assert not {"--constraints", "--resolution"} & set(newest[-1])
    assert "lowest-direct" in oldest[-1]
    assert not any("locks" in part for part in (*newest[-1], *oldest[-1]))


def test_pytorch_is_taken_from_where_it_is_to_be_had(call, tmp_path, monkeypatch) -> None:
    """From a folder of wheels, else from PyTorch's index, else the package index's build."""

    def refuse(*signs: str) -> Answer:
        return lambda command: "no such" if any(sign in command for sign in signs) else ""

    pin = next(
        line for line in (ROOT / "locks" / "dev.txt").read_text().splitlines() if line.startswith("torch==")
    )
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    _, ran, _ = call(str(tmp_path / "a"))
    assert [command[-3:] for command in ran if command[-1].startswith("torch")] == [
        ["--find-links", "/wheels", f"{pin}+cpu"]
    ]
    _, ran, _ = call(str(tmp_path / "b"), answer=refuse("--find-links"))
    assert [command[-3:] for command in ran][3] == ["--torch-backend", "cpu", pin]
    code, ran, _ = call(str(tmp_path / "c"), answer=refuse("--find-links", "--torch-backend"))
    assert code == 0
    assert "pip" in ran[4] and ran[4][-1] == pin
    _, ran, _ = call(str(tmp_path / "d"), "--torch", "auto")
    assert [command[-3:] for command in ran][2] == ["--torch-backend", "auto", pin]


WRONG = {
    "dns error: failed to lookup address": "the package index can't be reached",
    "OSError: [Errno 28] No space left on device": "the disk is full",
    "No solution found": "failed; ",
}


@pytest.mark.parametrize("output", WRONG)
def test_what_goes_wrong_is_one_line_and_the_same_command_goes_on(output, call, tmp_path) -> None:
    folder = tmp_path / "venv"
    code, _, told = call(str(folder), answer=lambda command: output if "--editable" in command else "")
    assert code == 1
    assert told.startswith("set-up: ") and told.count("\n") == 1
    assert WRONG[output] in told
    assert call(str(folder))[:1] == (0,)
    assert json.loads((folder / "installed.json").read_text())["on"] == "base"


def test_an_environment_made_half_is_made_anew(call, tmp_path) -> None:
    """Killed in the middle: what it has done by then is not built upon."""
    folder = tmp_path / "venv"

    def killed(command: list[str]) -> str:
        if "--editable" in command:
            (folder / "half").write_text("")
            raise KeyboardInterrupt
        return ""

    code, _, told = call(str(folder), answer=killed)
    assert (code, told) == (1, "set-up: stopped. The same command makes the environment whole.\n")
    assert (folder / "half").exists()
    code, ran, _ = call(str(folder))
    assert code == 0 and len(ran) == 4
    assert not (folder / "half").exists()


def test_what_is_somebody_elses_is_left_alone(call, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    code, ran, told = call(str(tmp_path / "mine"))
    assert (code, ran) == (1, [])
    assert "was not made by this" in told
    (tmp_path / "file").write_text("")
    assert call(str(tmp_path / "file"))[0] == 1


def test_too_little_room_is_told_before_anything_is_fetched(call, install, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: argparse.Namespace(free=1.5e9))
    code, ran, told = call(str(tmp_path / "venv"))
    assert (code, ran) == (1, [])
    assert "1.5 GB are free" in told and "make VENV=" in told


def test_a_python_that_is_too_old_is_told_so(install, monkeypatch, capsys) -> None:
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 2))
    assert install.main() == 1
    assert "Python 3.11 or later is needed" in capsys.readouterr().err


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    """Every direct dependency is pinned, within its range."""
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "base": project["dependencies"],
        "dev": [*project["dependencies"], *(text for name in DEV for text in extras[name])],
        "comet": [*project["dependencies"], *extras["comet"], *extras["bertscore"], *extras["test"]],
    }
    for lock, requirements in wanted.items():
        pins: dict[str, list[str]] = {}
        for line in (ROOT / "locks" / f"{lock}.txt").read_text().splitlines():
            if "==" in line and not line.startswith("#"):
                name, _, version = line.partition(";")[0].strip().partition("==")
                pins.setdefault(name, []).append(version)
        for requirement in map(Requirement, requirements):
            name = requirement.name.lower().replace("_", "-")
            if name != "warmup-bench":
                assert pins[name] and all(requirement.specifier.contains(v) for v in pins[name]), requirement
