"""The nodes of a cluster: what each has, what a step needs of one, and whether all run the same code."""

import hashlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Resources
from warmup_bench.contracts.task import installed_version
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
    rows = "; ".join(f"{node.host} ({_in_words(node.has, UNITS)})" for node in nodes)
    raise UserError(
        f"no node of the cluster has {_in_words(need, need)} for a step; it has {len(nodes)}: {rows}",
        origin="resources",
        hint="Ask for less: --set resources.cpus=1 (gpus, memory), or --device cpu.",
    )


def _in_words(amounts: Amounts, names: Iterable[str]) -> str:
    units = ((name, *UNITS[name]) for name in names)
    return ", ".join(f"{round(amounts.get(name, 0) / unit, 1):g} {word}" for name, word, unit in units)


@cache
def versions() -> dict[str, str]:
    """What the numbers depend on, of the process that asks: Python, packages, and the harness's own files."""
    # Without the name of a build: torch's is +cpu here and +cu130 on a node with a GPU.
    releases = {package: installed_version(package) for package in ("python", "warmup-bench", *PACKAGES)}
    digest = hashlib.sha256()
    root = Path(__file__).parents[2]
    # Part by part: in a checkout some are links, which a search from the root does not follow.
    for path in sorted(path for part in root.iterdir() for path in (part, *part.rglob("*.py"))):
        if path.suffix != ".py":
            continue
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    releases["warmup-bench"] += f", files {digest.hexdigest()[:12]}"
    return releases


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
