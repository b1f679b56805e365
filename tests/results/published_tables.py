"""Checks that what a published study shows is what its numbers give.

A study is a folder ``results/NAME`` with ``cells/``. Its ``tables/commands.yaml`` lists how every table and
plot beside it was made::

    - file: main.md                                     # in tables/: what the command prints
      plots: plots                                      # in the study: what the command draws
      command: warmup-bench report {study} --format md --plots {plots}

An entry has a file, plots or both.

``{study}`` stands for the study's folder, ``{plots}`` for a folder of plots.
"""

import shlex
from pathlib import Path

import yaml
from command import invoke

RESULTS = Path(__file__).parents[2] / "results"
TABLES = (".md", ".csv", ".tex", ".json", ".txt")
PLOTS = (".png", ".svg")


def studies(results: Path = RESULTS) -> list[Path]:
    """The published studies of a folder of results."""
    return sorted(path.parent for path in results.glob("*/cells") if path.is_dir())


def problems(study: Path, scratch: Path) -> list[str]:
    """What is not as its commands make it: nothing, where all is well.

    Tables are compared byte for byte; of plots, whose bytes depend on matplotlib, those of the same names
    must be drawn. ``scratch`` is an empty folder.
    """
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
            if not path.is_file() or path.read_bytes() != done.stdout.encode():
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
