"""Where a result was made: versions, hardware, threads, code."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from warmup_bench.contracts.redact import redact_all

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "numpy",
    "sacrebleu",
    "rouge-score",
    "babel",
    "reasoning-gym",
)


def free_cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def provenance(device: str, dtype: str, devices: int = 1) -> dict[str, Any]:
    """The machine and the code, without any variable of the environment (none can leak)."""
    import torch

    versions: dict[str, str | None] = {}
    for package in ("warmup-bench", *PACKAGES):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    commit, dirty = git_state(Path(__file__).parent)
    facts = {
        "packages": versions,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "devices": devices,
        "dtype": dtype,
        "threads": torch.get_num_threads(),
        "git_commit": commit,
        "git_dirty": dirty,
    }
    redacted: dict[str, Any] = redact_all(facts)
    return redacted


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout that holds ``folder``; (None, None) outside of one."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        # An installed copy inside somebody else's checkout must not claim that checkout's commit.
        if not (Path(git("rev-parse", "--show-toplevel")) / "harness" / "store" / "provenance.py").is_file():
            return None, None
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None, None
