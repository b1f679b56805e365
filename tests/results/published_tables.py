"""Checks that what a published study shows is what its numbers give.

A study is a folder ``results/NAME`` with ``numbers/``. Its ``tables/commands.yaml`` lists how every table and
plot beside it was made::

    - file: main.md                                     # in tables/: what the command prints
      plots: plots                                      # in the study: what the command draws
      command: warmup-bench report {study} --format md --plots {plots}

An entry has a file, plots or both.

``{study}`` stands for the study's folder, ``{plots}`` for a folder of plots.
"""

import csv
import hashlib
import io
import math
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

from command import invoke
from warmup_bench.comparison import Comparison, align

RESULTS = Path(__file__).parents[2] / "results"
TABLES = (".md", ".csv", ".tex", ".json", ".txt")
PLOTS = (".png", ".svg")


def studies(results: Path = RESULTS) -> list[Path]:
    """The published studies of a folder of results."""
    return sorted(path.parent for path in results.glob("*/numbers") if path.is_dir())


def problems(study: Path, scratch: Path) -> list[str]:
    """What is not as its commands make it: nothing, where all is well.

    Tables are compared byte for byte, but for the last of 16 digits in a csv file, which depend on the order
    in which a processor adds; of plots, whose bytes depend on matplotlib, those of the same names must be
    drawn. ``scratch`` is an empty folder.
    """
    with _compared_once():
        return _problems(study, scratch)


def _problems(study: Path, scratch: Path) -> list[str]:
    listing = study / "tables" / "commands.yaml"
    if not listing.is_file():
        return [f"{study.name}: tables/commands.yaml is missing"]
    found = []
    made: set[Path] = set()
    for number, entry in enumerate(yaml.safe_load(listing.read_text(encoding="utf-8"))):
        drawn = scratch / str(number)
        program, *arguments = shlex.split(entry["command"])
        if program != "warmup-bench":
            return [f"{study.name}: no command of warmup-bench: {entry['command']}"]
        places = {"study": study.resolve(), "plots": drawn.resolve()}
        done = invoke(*(argument.format(**places) for argument in arguments), cwd=scratch)
        if done.returncode != 0:
            found.append(f"{study.name}: exit status {done.returncode}: {entry['command']}: {done.stderr}")
            continue
        if "file" in entry:
            path = study / "tables" / entry["file"]
            made.add(path)
            if not path.is_file() or not _same(path, done.stdout):
                found.append(f"{study.name}: tables/{entry['file']} is not what its command prints")
        if "plots" in entry:
            new = [path for path in drawn.glob("*") if path.suffix in PLOTS and path.stat().st_size > 1000]
            made |= {study / entry["plots"] / path.name for path in new}
            if not new:
                found.append(f"{study.name}: nothing is drawn by {entry['command']}")
    shown = [path for path in (study / "tables").rglob("*") if path.suffix in TABLES]
    shown += [path for path in study.rglob("*") if path.suffix in PLOTS]
    found += [
        f"{study.name}: no command makes {p.relative_to(study)}" for p in sorted(shown) if p not in made
    ]
    return found


def _same(path: Path, printed: str) -> bool:
    stored = path.read_bytes()
    if path.suffix != ".csv" or stored == printed.encode():
        return stored == printed.encode()
    rows = zip_longest(*(csv.reader(io.StringIO(text)) for text in (stored.decode(), printed)), fillvalue=[])
    return all(len(a) == len(b) and all(map(_close, a, b)) for a, b in rows)


def _close(a: str, b: str) -> bool:
    """Whether two cells have the same text, or numbers (one a seed) that are the same in 12 digits."""
    try:
        numbers = list(zip(map(float, a.split()), map(float, b.split()), strict=True))
    except ValueError:
        return a == b
    return a == b or all(math.isclose(x, y, rel_tol=1e-12, abs_tol=1e-12) for x, y in numbers)


@contextmanager
def _compared_once() -> Iterator[None]:
    """Several tables of a study hold the same comparison, a pure function: it is made once."""
    known: dict[str, Comparison] = {}
    compare: Callable[..., Comparison] = align.compare

    def remembering(a: Any, b: Any, aggregate: Any, **settings: Any) -> Comparison:
        digest = hashlib.sha256(repr((aggregate.__qualname__, settings)).encode())
        for array in map(np.ascontiguousarray, (a, b)):
            digest.update(repr(array.shape).encode() + array.tobytes())
        if (key := digest.hexdigest()) not in known:
            known[key] = compare(a, b, aggregate, **settings)
        return known[key]

    with mock.patch.object(align, "compare", remembering):
        yield
