"""The Typer application: signatures and help only."""

from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(
    name="warmup-bench",
    help="Does a way of fine-tuning really beat plain SFT? Matched training, a compute ledger, paired tests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Names = Optional[list[str]]  # noqa: UP045 - read by Typer at run time


@app.command()
def run(
    task: Annotated[str | None, typer.Option(help="Task name, or path of a task file.")] = None,
    scale: Annotated[str | None, typer.Option(help="mini (default), small or paper.")] = None,
    direction: Annotated[
        Names,
        typer.Option("--direction", "--subset", help="Direction or subset; repeat, or separate by commas."),
    ] = None,
    backbone: Annotated[
        Names, typer.Option(help="Backbone name, hub id or checkpoint folder; repeatable.")
    ] = None,
    method: Annotated[
        Names, typer.Option(help="Training method, or path of a method file; repeatable.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="How many seeds (3), or which (0,1,7).")] = None,
    budget: Annotated[
        str | None, typer.Option(help="What each method may spend: steps=N, flops=F, seconds=S or tokens=T.")
    ] = None,
    match: Annotated[
        Names, typer.Option(help="Give the baseline the training FLOPs of this method too; repeatable.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(help="Examples: N for the test split, or train=N,validation=N,test=N.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder. Default: runs/TASK-SCALE.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with the task's files.", envvar="WARMUP_BENCH_DATA")
    ] = None,
    offline: Annotated[
        bool | None, typer.Option("--offline", help="Fetch nothing; use what is cached.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Cells at once. Default: one a core, one a GPU.")
    ] = None,
    spec: Annotated[Path | None, typer.Option(help="YAML file; the options here win over it.")] = None,
    set_: Annotated[
        Names,
        typer.Option("--set", metavar="KEY=VALUE", help="Any spec key, e.g. warmup.samples=8; repeatable."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan (cells, FLOPs, time, disk) and stop.")
    ] = False,
) -> None:
    """Train, decode, score and compare methods; finished cells are kept and never run twice."""
    from harness.cli.run import run_command

    options = {
        "task": task,
        "scale": scale,
        "subsets": direction,
        "backbones": backbone,
        "methods": method,
        "seeds": seeds,
        "budget": budget,
        "match": match,
        "limit": limit,
        "out": out,
        "data_dir": data_dir,
        "offline": offline,
        "device": device,
        "workers": workers,
    }
    raise typer.Exit(run_command(options, spec, set_ or [], dry_run=dry_run))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Results folder of a run.")],
    format_: Annotated[str, typer.Option("--format", help="text, md, latex, html, csv or json.")] = "text",
    table: Annotated[
        str,
        typer.Option(
            help="What stands in columns: directions, metrics, auto (directions where there are several), or "
            "a table of the paper: translation, summarization, logic."
        ),
    ] = "auto",
    metric: Annotated[
        Names, typer.Option(help="Metric to show, e.g. bleu; repeatable. Default: all.")
    ] = None,
    baseline: Annotated[str | None, typer.Option(help="Method that the others are compared with.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Folder to write plots to, as PNG and SVG.")] = None,
) -> None:
    """Print the tables of stored results and draw their plots; nothing is trained."""
    from harness.cli.report import report_command

    report_command(folder, format_, baseline, table, metric or [], plots)


@app.command()
def view(
    folder: Annotated[Path, typer.Argument(help="Results folder of a run.")],
    baseline: Annotated[str | None, typer.Option(help="Method that the others are compared with.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in a browser.")] = True,
) -> None:
    """Show the HTML report of stored results in a browser, served to this machine only."""
    from harness.cli.view import view_command

    view_command(folder, baseline, port, browser=browser)


@app.command(name="list")
def list_(
    kind: Annotated[str, typer.Argument(help="tasks, methods, backbones or metrics.")],
) -> None:
    """List the plugins of a kind, the broken ones with their error."""
    from harness.cli.listing import list_command

    list_command(kind)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"warmup-bench {installed('warmup-bench')}")
