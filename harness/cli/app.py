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
    comet_python: Annotated[
        str | None, typer.Option(help="Python interpreter of an environment that has COMET.")
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
        "score": None if comet_python is None else {"comet": {"python": comet_python}},
    }
    raise typer.Exit(run_command(options, spec, set_ or [], dry_run=dry_run))


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Results folder of a run.")],
    format_: Annotated[str, typer.Option("--format", help="text or md.")] = "text",
    baseline: Annotated[str | None, typer.Option(help="Method that the others are compared with.")] = None,
) -> None:
    """Print the tables of stored results; nothing is trained."""
    from harness.cli.report import report_command

    report_command(folder, format_, baseline)


@app.command()
def score(
    folder: Annotated[Path | None, typer.Argument(help="Results folder of a run.")] = None,
    metrics: Annotated[
        Names, typer.Option(help="Metrics, e.g. comet,bertscore; repeatable. Default: those of the task.")
    ] = None,
    comet_python: Annotated[
        str | None, typer.Option(help="Python interpreter of an environment that has COMET.")
    ] = None,
    set_: Annotated[
        Names,
        typer.Option("--set", metavar="KEY=VALUE", help="A key under score, e.g. score.batch_size=8."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Only download the models of the metrics into the hub's cache.")
    ] = False,
) -> None:
    """Score stored predictions, also with COMET and BERTScore; no segment is scored twice."""
    from harness.cli.score import score_command

    raise typer.Exit(score_command(folder, metrics or [], comet_python, set_ or [], device, fetch=fetch))


@app.command(name="list")
def list_(
    kind: Annotated[str, typer.Argument(help="tasks, methods, backbones or metrics.")],
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder in which to look for the tasks' files.", envvar="WARMUP_BENCH_DATA"),
    ] = None,
) -> None:
    """List the plugins of a kind, the broken ones with their error."""
    from harness.cli.listing import list_command

    list_command(kind, data_dir)


data_app = typer.Typer(help="Data sets that are built on this machine.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command(name="build")
def data_build(
    task: Annotated[str, typer.Argument(help="Task whose data are built, e.g. libreoffice-help.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for the files. Default: where the task finds them.")
    ] = None,
) -> None:
    """Make the data files of a task from public packages."""
    from harness.cli.data import build_command

    build_command(task, out)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"warmup-bench {installed('warmup-bench')}")
