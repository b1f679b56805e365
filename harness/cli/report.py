"""``warmup-bench report``: tables from stored results alone."""

from pathlib import Path

from harness.errors import UserError
from harness.report.render import RENDERERS, print_tables
from harness.report.table import build_tables
from harness.results import read_results
from harness.spec import RunSpec, Stats, make_spec, read_spec


def report_command(folder: Path, format_: str, baseline: str | None) -> None:
    """Print every table of a results folder.

    Raises:
        UserError: Unknown format or baseline, or nothing stored.
        CorruptError: A stored cell is damaged.
    """
    if format_ != "text" and format_ not in RENDERERS:
        raise UserError(
            f"unknown format '{format_}'", origin="--format", hint=f"Formats: text, {', '.join(RENDERERS)}."
        )
    results = read_results(folder)
    stats = stored_stats(folder)
    if baseline is not None:
        known = sorted({result.cell.label for result in results})
        if baseline not in known:
            raise UserError(
                f"no stored cell of method '{baseline}'",
                origin="--baseline",
                hint=f"Stored: {', '.join(known)}.",
            )
        stats = stats.model_copy(update={"baseline": baseline})
    tables = build_tables(results, stats)
    if format_ == "text":
        from rich.console import Console

        print_tables(tables, Console())
    else:
        print(RENDERERS[format_](tables), end="")  # noqa: T201 - a document on standard output


def stored_stats(folder: Path) -> Stats:
    """The statistics settings of the newest spec that ran in a folder; the defaults where there is none."""
    spec = newest_spec(folder)
    return Stats() if spec is None else spec.stats


def newest_spec(folder: Path) -> RunSpec | None:
    """The newest spec that ran in a folder, None where there is none."""
    specs = sorted((folder / "specs").glob("*.yaml"), key=lambda path: path.stat().st_mtime)
    return make_spec(read_spec(specs[-1]), str(specs[-1])) if specs else None
