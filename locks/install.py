"""Make a virtual environment with this package in it: on a lock, on the newest releases, or on the oldest.

    python3 locks/install.py .venv --extras dev --on dev

An environment that is whole, and was asked for in the same way, is left alone; one that was made half, or for
other versions, is made anew. What goes wrong is one line; all that the installers print lies in install.log
of the environment. Standard library only, and Python 3.6 can read it, to be told that it is too old.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).resolve().parent
ROOT = LOCKS.parent
MINIMUM = (3, 11)
NEEDED_GB = {"cpu": 4, "auto": 12}
"""Of disk: with the developer tools, an environment takes 3 GB with PyTorch's CPU build, 9 with CUDA's."""
NO_NETWORK = (
    "connection error",
    "connection refused",
    "dns error",
    "error sending request",
    "failed to connect",
    "failed to fetch",
    "name resolution",
    "network is unreachable",
    "newconnectionerror",
    "timed out",
)
ROOM = "Free some room, or name another place: make VENV=/elsewhere/venv."


class SetupError(Exception):
    """What to tell instead of a traceback."""


def main():
    """Make the environment; returns the exit code."""
    if sys.version_info < MINIMUM:
        return tell(
            f"Python 3.11 or later is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12 ..."
        )
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the environment goes")
    parser.add_argument("--extras", default="", help="of pyproject.toml, with commas between them")
    parser.add_argument(
        "--on", default="base", help="a lock beside this file (base, dev, comet), newest or oldest"
    )
    parser.add_argument(
        "--torch", default="cpu", choices=sorted(NEEDED_GB), help="PyTorch's build; auto: CUDA's"
    )
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    stamp = folder / "installed.json"
    wanted = fingerprint(asked, asked.on, asked.extras)
    enough = [wanted, fingerprint(asked, "dev", "dev")] if asked.on == "base" else [wanted]
    try:
        if stamp.is_file() and stamp.read_text() in enough:
            return 0
        make(folder, stamp, asked)
        stamp.write_text(wanted)
    except SetupError as problem:
        return tell(f"{problem} Then the same command goes on.")
    except OSError as problem:
        full = "No space left" in str(problem)
        return tell(
            f"the disk is full. {ROOM}"
            if full
            else f"{folder} can't be made: {problem}. The same command tries again."
        )
    except KeyboardInterrupt:
        return tell("stopped. The same command makes the environment whole.")
    return 0


def tell(problem):
    """One line on stderr; the exit code of a failure."""
    sys.stderr.write(f"set-up: {problem}\n")
    return 1


def say(step):
    """Tell what is being done."""
    sys.stdout.write(f"set-up: {step}\n")
    sys.stdout.flush()


def fingerprint(asked, on, extras):
    """What an environment depends on, as JSON: with other values it is made anew."""
    files = [ROOT / "pyproject.toml", *sorted(LOCKS.glob("*.*"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    fixed = {"python": sys.version.split()[0], "root": str(ROOT), "files": digest, "torch": asked.torch}
    return json.dumps({**fixed, "on": on, "extras": extras}) + "\n"


def make(folder, stamp, asked):
    """Make the environment from nothing.

    Raises:
        SetupError: A folder that is something else, too little room, or a command that fails.
        OSError: The folder can't be written.
    """
    if folder.exists() and not stamp.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise SetupError(
            f"{folder} was not made by this. Move it, or name another place: make VENV=/elsewhere/venv."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    stamp.write_text("made half\n")
    require_room(folder, NEEDED_GB[asked.torch])
    say(f"a virtual environment in {folder}")
    advice = "On Debian and Ubuntu, venv is a package of its own: apt install python3-venv."
    run(folder, [sys.executable, "-m", "venv", str(folder)], advice)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    run(folder, [*pip, "uv", "--constraint", str(LOCKS / "pins.txt")])
    uv = [str(folder / "bin" / "uv"), "pip", "install", "--quiet", "--python", python]
    say("PyTorch")
    install_torch(folder, asked, pip, uv)
    say("the other packages")
    lock, dev = LOCKS / f"{asked.on}.txt", LOCKS / "dev.txt"
    how = {"newest": [], "oldest": ["--resolution", "lowest-direct"]}
    versions = how.get(asked.on, ["--constraints", str(lock), "--build-constraints", str(dev)])
    package = f"{ROOT}[{asked.extras}]" if asked.extras else str(ROOT)
    run(folder, [*uv, *versions, "--editable", package])


def require_room(folder, gigabytes):
    """See that the disk has room.

    Raises:
        SetupError: It has less.
    """
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise SetupError(f"{free:.1f} GB are free at {folder}, and up to {gigabytes} are taken. {ROOM}")


def install_torch(folder, asked, pip, uv):
    """PyTorch's build of choice, from wherever it is to be had.

    The CPU build has "+cpu" in its version. It is taken from the folder of wheels that is set for pip, if any
    holds it, else from PyTorch's index; where that can't be reached, the package index has CUDA's build.

    Raises:
        SetupError: It is nowhere.
    """
    torch = requirement_of_torch(asked.on)
    own = [part for link in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", link)]
    if asked.torch == "cpu" and "==" in torch and own and attempt(folder, [*uv, *own, f"{torch}+cpu"]):
        return
    if attempt(folder, [*uv, "--torch-backend", asked.torch, torch]):
        return
    say("PyTorch's own index can't be reached; the package index has its build for CUDA, of several GB")
    require_room(folder, NEEDED_GB["auto"])
    run(folder, [*pip, torch])


def requirement_of_torch(on):
    """The lock's pin, the lower bound, or any release."""
    if on == "newest":
        return "torch"
    path, pattern = (
        (ROOT / "pyproject.toml", r'^ *"torch>=([\w.]+)"')
        if on == "oldest"
        else (LOCKS / f"{on}.txt", r"^torch==([\w.]+)")
    )
    return "torch==" + re.search(pattern, path.read_text(), re.MULTILINE).group(1)


def attempt(folder, command):
    """Run a command, its output into the log; whether it went well.

    Raises:
        SetupError: The disk is full.
    """
    log = folder / "install.log"
    with log.open("a") as file:
        file.write(f"$ {' '.join(command)}\n")
        file.flush()
        failed = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    if failed and "no space left" in output_of(log):
        raise SetupError(f"the disk is full. {ROOM}")
    return not failed


def output_of(log):
    """What the last command has printed, in small letters."""
    return log.read_text(errors="replace").rpartition("\n$ ")[2].lower()


def run(folder, command, advice=""):
    """Run a command that has to go well.

    Raises:
        SetupError: It does not; the advice is what may help.
    """
    if attempt(folder, command):
        return
    log = folder / "install.log"
    if any(sign in output_of(log) for sign in NO_NETWORK):
        raise SetupError(f"the package index can't be reached ({log} says more). See to the network.")
    raise SetupError(f"'{' '.join(command[:4])} ...' failed; {log} says why. {advice}".strip())


if __name__ == "__main__":
    sys.exit(main())
