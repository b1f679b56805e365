"""The nodes of a cluster: what each has, what a step needs of one, and whether all run the same code."""

import hashlib
import platform
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.version import InvalidVersion, Version

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Resources
from warmup_bench.store.provenance import PACKAGES

GB = 1_000_000_000
UNITS = {"CPU": ("CPUs", 1), "GPU": ("GPUs", 1), "memory": ("GB of memory", GB)}
"""What Ray calls a resource: our word, and Ray's amount in one of our units."""

Amounts = Mapping[str, float]
"""Amounts by Ray's names: "CPU", "GPU", "memory" in bytes."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive: Ray's id of it, its host's name, and all that it has, busy or not."""

    id: str
    host: str
    has: Amounts


def needed_resources(resources: Resources, threads: int, device: str, devices: int = 1) -> dict[str, float]:
    """What a step takes, by Ray's names; what is 0 is left out."""
    gpus = float(devices * (device == "cuda")) if resources.gpus is None else resources.gpus
    cpus = float(threads * devices) if resources.cpus is None else resources.cpus
    wanted = {"CPU": cpus, "GPU": gpus, "memory": int((resources.memory or 0) * GB)}
    return {name: amount for name, amount in wanted.items() if amount}


def room(nodes: Sequence[Node], need: Amounts) -> int:
    """How many steps fit on the nodes at once. A step does not spread over nodes."""
    return sum(min(int(node.has.get(name, 0) // amount) for name, amount in need.items()) for node in nodes)


def require_room(nodes: Sequence[Node], need: Amounts) -> None:
    """See that a step fits on one node.

    Raises:
        UserError: On none; it says what they have.
    """
    if room(nodes, need):
        return
    wanted = ", ".join(_amount(name, amount) for name, amount in need.items())
    rows = []
    for node in nodes:
        has = ", ".join(_amount(name, node.has.get(name, 0)) for name in UNITS)
        rows.append(f"{node.host} ({has})")
    raise UserError(
        f"no node of the cluster has {wanted} for a step; it has {len(nodes)}: {'; '.join(rows)}",
        origin="resources",
        hint="Ask for less: --set resources.cpus=1 (gpus, memory), or --device cpu.",
    )


def _amount(name: str, amount: float) -> str:
    word, unit = UNITS[name]
    return f"{round(amount / unit, 1):g} {word}"


@cache
def versions() -> dict[str, str]:
    """What the numbers depend on, of the process that asks: Python, packages, and the harness's own files."""
    found = {"python": platform.python_version()}
    for package in ("warmup-bench", *PACKAGES):
        try:
            found[package] = _public(version(package))
        except PackageNotFoundError:
            found[package] = "none"
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    found["warmup-bench"] += f", files {digest.hexdigest()[:12]}"
    return found


def _public(text: str) -> str:
    """A version without the name of its build: torch's is +cpu here and +cu130 on a node with a GPU."""
    try:
        return Version(text).public
    except InvalidVersion:
        return text


def require_same_versions(here: Mapping[str, str], there: Mapping[str, str], host: str) -> None:
    """See that a node has the driver's versions: others may give other numbers.

    Raises:
        UserError: It has others, by name.
    """
    other = [
        f"{name} {there.get(name, 'none')} (here: {text})"
        for name, text in here.items()
        if there.get(name) != text
    ]
    if other:
        raise UserError(
            f"node {host} has {'; '.join(other)}",
            origin="--executor ray",
            hint="Install the same versions on every node.",
        )


def host() -> str:
    """This machine's name, in messages."""
    return socket.gethostname()
