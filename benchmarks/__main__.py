"""``python -m benchmarks``: every benchmark, one table, one JSON file."""

import json
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.process import run_fresh
from benchmarks.record import Options, Record, UnavailableError
from benchmarks.suite import NAMES, machine, run


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"Run these alone: {', '.join(NAMES)}.")] = None,
    size: Annotated[list[str] | None, typer.Option(help="Model sizes: mini, t5-small, t5-base.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed rounds, after one that warms up.")] = 5,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    trl_python: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Python of an environment with TRL; without it, grpo is skipped.",
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Real text for paired_tests: a segment a line."),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print the top operators of a missed aim.")
    ] = False,
    output: Annotated[Path, typer.Option("--json", help="Where everything that was measured goes.")] = Path(
        "runs/benchmarks.json"
    ),
) -> None:
    """Time the harness against what a user would otherwise run, on one CPU thread or a GPU."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before any process loads torch
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    names = _known(only, NAMES, "--only")
    sizes = _known(size, ("tiny", "mini", "t5-small", "t5-base"), "--size") if size else Options().sizes
    _known([device], ("cpu", "cuda"), "--device")
    _known([dtype], ("float32", "bfloat16"), "--dtype")
    options = Options(sizes, rounds, device, dtype, profile, trl_python, tuple(data or ()))
    result: dict[str, Any] = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "options": {
            **asdict(options),
            "trl_python": None if trl_python is None else "given",
            "data": [file.name for file in options.data],
        },
        "load_average": os.getloadavg(),
        "machine": run_fresh(machine, options),
        "skipped": {},
        "failed": {},
    }
    records: list[Record] = []
    for name in names:
        started = time.perf_counter()
        try:
            records += run_fresh(run, name, options)
        except UnavailableError as reason:
            result["skipped"][name] = str(reason)
            typer.echo(f"{name}: skipped. {reason}", err=True)
        except Exception as error:  # the other benchmarks still run, and the exit status tells
            result["failed"][name] = f"{type(error).__name__}: {error}"
            typer.echo(f"{name}: failed. {type(error).__name__}: {error}", err=True)
        else:
            typer.echo(f"{name}: {time.perf_counter() - started:.0f} s", err=True)
    result["records"] = [asdict(record) for record in records]
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(output.name + ".part")
    part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    part.replace(output)
    for record in records:
        if "check" in record.detail:
            typer.echo(f"{record.name}: {record.detail['check']}", err=True)
        if "profile" in record.detail:
            print(f"\n{record.name}: {record.ratio:.2f}, aim {record.aim}\n{record.detail['profile']}")
    if records:
        console = Console()
        (console if console.is_terminal else Console(width=140)).print(table(records))
    typer.echo(f"Everything measured: {output}", err=True)
    if result["failed"]:
        raise typer.Exit(1)


def _known(given: list[str] | None, allowed: tuple[str, ...], option: str) -> tuple[str, ...]:
    for name in given or ():
        if name not in allowed:
            raise typer.BadParameter(f"'{name}' is none of {', '.join(allowed)}", param_hint=option)
    return tuple(given or allowed)


def table(records: list[Record]) -> Table:
    """A row for each record."""
    found = Table("what", header_style="bold")
    for column in ("ours", "other", "unit", "ratio", "aim", "met"):
        found.add_column(column, justify="left" if column == "unit" else "right", no_wrap=True)
    for r in records:
        met = {True: "yes", False: "[bold]no[/bold]", None: ""}[r.met]
        found.add_row(r.name, figure(r.ours), figure(r.other), r.unit, f"{r.ratio:.2f}", r.aim, met)
    return found


def figure(value: float) -> str:
    """A figure with four digits, or all digits of a large number."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    typer.run(main)
