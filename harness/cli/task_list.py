"""The list of tasks: its scales with their sizes, their licence, and whether the data are at hand."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from warmup_bench.cli.plugins import answer
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.task import LoadRequest, Scale, Task, TaskCard

WIDTHS = {"scale": 12, "train / val / test": 25, "data": 23}
"""Columns of every task's rows, so that they stand below each other; the licence has the rest."""
LEGEND = "✓ on this machine   ↓ fetched at a pinned commit   ✗ needs a step of yours, which a run explains"
SHOWN = 4
"""Subsets that are named; of more, the number is told."""


def print_tasks(
    console: Console, entries: Iterable[tuple[str, Entry[Task] | UserError]], data_dir: Path | None
) -> None:
    """Print every task, a broken one with its error.

    Raises:
        UserError: The data folder does not exist.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"data folder {data_dir} does not exist", origin="--data-dir or WARMUP_BENCH_DATA")
    console.print(_rows([tuple(Text(name, style="dim") for name in (*WIDTHS, "licence"))]))
    for name, entry in entries:
        console.print()
        rows = (
            entry if isinstance(entry, UserError) else answer(entry, partial(_scales, entry.value, data_dir))
        )
        if isinstance(entry, UserError) or isinstance(rows, UserError):
            console.print(Text(name, style="bold red"))
            console.print(Padding(Text(str(rows), style="red"), (0, 0, 0, 2)))
            continue
        card = entry.value.card
        console.print(Text.assemble((card.name, "bold"), "  ", card.title), soft_wrap=True)
        console.print(_rows(rows))
        about = f"{_subsets(card.subsets)} · {', '.join(card.metrics)} · {entry.origin}"
        for line in (about, *_notes(card)):
            console.print(Padding(Text(line, style="dim"), (0, 0, 0, 2)))
    console.print()
    console.print(Text(LEGEND, style="dim"))


def data_state(task: Task, scale: Scale, data_dir: Path | None) -> tuple[str, str]:
    """Whether the data of a scale are on this machine, and if not, how they come; with the style of it."""
    subsets = list(task.card.subsets)
    absent = {
        subset: list(task.missing(LoadRequest(subset, scale, data_dir, offline=True))) if task.missing else []
        for subset in subsets
    }
    ready = [subset for subset, files in absent.items() if not files]
    if len(ready) == len(subsets):
        return "✓ ready", "green"
    if ready:
        which = ", ".join(ready) if len(ready) < 3 else f"{len(ready)} of {len(subsets)}"
        return f"✓ ready: {which}", "green"
    access = task.card.scales[scale].access
    if access:
        return f"✗ {access}", "yellow"
    if data_dir is not None:
        return "✗ not in that folder", "yellow"
    return "↓ fetched by a run", "cyan"


def _scales(task: Task, data_dir: Path | None) -> list[tuple[Text, ...]]:
    """A row for each scale; scales that say the same share one, and a licence is not repeated."""
    merged: dict[tuple[str, str, str, str], list[str]] = {}
    for name, scale in task.card.scales.items():
        sizes = " / ".join(f"{size:,}" for size in scale.sizes) if scale.sizes else "not told"
        columns = (sizes, *data_state(task, name, data_dir), task.card.licence_of(name))
        merged.setdefault(columns, []).append(name)
    rows: list[tuple[Text, ...]] = []
    last = ""
    for (sizes, state, style, licence), scales in merged.items():
        new_licence = "" if licence == last else licence
        rows.append((Text(", ".join(scales)), Text(sizes), Text(state, style), Text(new_licence)))
        last = licence
    return rows


def _rows(rows: Iterable[tuple[Text, ...]]) -> Padding:
    """Rows in the columns that all tasks share."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for width in WIDTHS.values():
        grid.add_column(width=width)
    grid.add_column()
    for row in rows:
        grid.add_row(*row)
    return Padding(grid, (0, 0, 0, 2))


def _subsets(names: Iterable[str]) -> str:
    subsets = list(names)
    more = f", … ({len(subsets)})" if len(subsets) > SHOWN else ""
    return ", ".join(subsets[:SHOWN]) + more


def _notes(card: TaskCard) -> list[str]:
    """What is special about subsets, a line each, with the names of those that share it."""
    sharing: dict[str, list[str]] = {}
    for name, subset in card.subsets.items():
        if subset.note:
            sharing.setdefault(subset.note, []).append(name)
    lines = []
    for note, names in sharing.items():
        sharers = f"{', '.join(names[:2])}, …" if len(names) > 2 else ", ".join(names)
        lines.append(note if len(names) == len(card.subsets) else f"{sharers}: {note}")
    return lines
