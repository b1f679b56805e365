"""The Typer application: signatures and help only."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from warmup_bench.cli.formats import listed

app = typer.Typer(
    name="warmup-bench",
    help="Does a way of fine-tuning really beat plain SFT? Matched training, a compute ledger, paired tests.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Names = Optional[list[str]]  # noqa: UP045 - read by Typer at run time
# Options that more than one command has.
Seeds = Annotated[str | None, typer.Option(help="How many seeds (3), or which (0,1,7).")]
DataDir = Annotated[
    Path | None, typer.Option(help="Folder with the task's files.", envvar="WARMUP_BENCH_DATA")
]
Source = Annotated[
    str | None, typer.Option(help="Column that the model reads, of --task hf:OWNER/NAME.", show_default=False)
]
Target = Annotated[
    str | None, typer.Option(help="Column that it is to write, of --task hf:OWNER/NAME.", show_default=False)
]
Offline = Annotated[bool | None, typer.Option("--offline", help="Fetch nothing; use what is cached.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[int | None, typer.Option(help="Cells at once. Default: one a core, one a GPU.")]
Executor = Annotated[str | None, typer.Option(help="local (default), or ray: cells on a Ray cluster.")]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster, HOST:PORT. Default: RAY_ADDRESS, or one on this machine.")
]
Devices = Annotated[
    int | None, typer.Option(help="Devices a cell, which share its batches. Default: 1, or torchrun's.")
]
CometPython = Annotated[str | None, typer.Option(help="Python interpreter of an environment that has COMET.")]
Where = Annotated[
    Names,
    typer.Option(
        metavar="KEY=VALUE",
        help="Only stored cells with this value, e.g. subset=de-en; repeatable.",
    ),
]
Assignments = Annotated[
    Names,
    typer.Option("--set", metavar="KEY=VALUE", help="Any spec key, e.g. warmup.samples=8; repeatable."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan (cells, FLOPs, time, disk) and stop.")
]
Results = Annotated[Path, typer.Argument(help="Results folder of a run.")]
Baseline = Annotated[str | None, typer.Option(help="Method that the others are compared with.")]
Format = Annotated[str, typer.Option("--format", help="text, md, csv or json.")]
# Of text files that are compared, or are the pilot of a study.
References = Annotated[
    Names, typer.Option(help="Reference text: a file, - or a column, as the systems; repeatable.")
]
Language = Annotated[
    str | None,
    typer.Option(help="Target language of texts, e.g. de, zh-TW: it chooses tokenisers. Default: en."),
]
Labels = Annotated[str | None, typer.Option(help="Labels of classification, e.g. A,B,C,D.")]
Documents = Annotated[str | None, typer.Option(help="Document of each line: swapped and counted whole.")]


@app.command()
def run(
    task: Annotated[
        str | None, typer.Option(help="Task name, path of a .yaml or .py file, or hf:OWNER/NAME.")
    ] = None,
    source: Source = None,
    target: Target = None,
    scale: Annotated[str | None, typer.Option(help="mini, small or paper; else the task's first.")] = None,
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
    seeds: Seeds = None,
    budget: Annotated[
        str | None,
        typer.Option(help="What a method may spend: steps=, epochs=, flops=, seconds= or tokens=N."),
    ] = None,
    match: Annotated[
        Names, typer.Option(help="Give the baseline the training FLOPs of this method too; repeatable.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(help="Examples: N for the test split, or train=N,validation=N,test=N.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Results folder. Default: runs/TASK-SCALE.")] = None,
    data_dir: DataDir = None,
    offline: Offline = None,
    device: Device = None,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    devices: Devices = None,
    comet_python: CometPython = None,
    spec: Annotated[Path | None, typer.Option(help="YAML file; the options here win over it.")] = None,
    set_: Assignments = None,
    cells: Annotated[
        str | None,
        typer.Option(
            metavar="i/N",
            help="Run one shard of the plan, 1/N to N/N: together they run every cell once, anywhere.",
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Train, decode, score and compare methods; finished cells are kept and never run twice."""
    from warmup_bench.cli.run import run_command

    if task is not None:
        task = _with_columns(task, source, target)
    study = {"task": task, "scale": scale, "subsets": direction, "backbones": backbone, "methods": method}
    amounts = {"seeds": seeds, "budget": budget, "match": match, "limit": limit}
    machine = {"data_dir": data_dir, "offline": offline, "device": device, "devices": devices}
    cluster = {"workers": workers, "executor": executor, "address": address}
    score = None if comet_python is None else {"comet": {"python": comet_python}}
    options = {**study, **amounts, "out": out, **machine, **cluster, "score": score}
    raise typer.Exit(_watched(lambda: run_command(options, spec, set_ or [], dry_run=dry_run, cells=cells)))


@app.command()
def tune(
    spec: Annotated[Path, typer.Option(help="YAML file with a section 'tune'.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the sweep. Default: the run's, and -tune.")
    ] = None,
    backbone: Annotated[Names, typer.Option(help="Which of the spec's backbones to tune.")] = None,
    data_dir: DataDir = None,
    offline: Offline = None,
    device: Device = None,
    workers: Workers = None,
    devices: Devices = None,
    set_: Assignments = None,
    dry_run: DryRun = False,
) -> None:
    """Choose settings for every method by one sweep on validation, and write the spec that has them."""
    from warmup_bench.cli.tune import tune_command

    study = {"backbones": backbone}
    data = {"data_dir": data_dir, "offline": offline}
    machine = {**data, "device": device, "workers": workers, "devices": devices}
    code = _watched(lambda: tune_command(study, machine, spec, set_ or [], out, dry_run=dry_run))
    raise typer.Exit(code)


@app.command()
def reproduce(
    table: Annotated[
        str | None,
        typer.Argument(
            help="translation, summarisation, logic or decoder-only. Without it: what there is.",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[
        str, typer.Option(help="mini, small or paper: results of paper stand beside the paper's gains.")
    ] = "mini",
    direction: Annotated[
        Names, typer.Option("--direction", "--subset", help="Only these; repeat, or separate by commas.")
    ] = None,
    seeds: Seeds = None,
    out: Annotated[Path | None, typer.Option(help="Results folder. Default: runs/TABLE-SCALE.")] = None,
    data_dir: DataDir = None,
    offline: Offline = None,
    device: Device = None,
    workers: Workers = None,
    executor: Executor = None,
    address: Address = None,
    devices: Devices = None,
    comet_python: CometPython = None,
    set_: Assignments = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan with its FLOPs and GPU hours, and stop.")
    ] = False,
    device_tflops: Annotated[
        float | None, typer.Option(min=1e-3, help="Plan: peak of a device in TFLOP/s. Default: 312, an A100.")
    ] = None,
    utilisation: Annotated[
        float | None,
        typer.Option(min=1e-3, max=1, help="Plan: share of it that training reaches. Default: 0.35."),
    ] = None,
) -> None:
    """Run one of the paper's four tables and report it, or print what it would cost."""
    from warmup_bench.cli.reproduce import reproduce_command

    study = {"subsets": direction, "seeds": seeds, "out": out}
    machine = {"data_dir": data_dir, "offline": offline, "device": device, "devices": devices}
    cluster = {"workers": workers, "executor": executor, "address": address}
    score = None if comet_python is None else {"comet": {"python": comet_python}}
    options = {**study, **machine, **cluster, "score": score}
    declared = {"tflops": device_tflops, "utilisation": utilisation}
    code = _watched(lambda: reproduce_command(table, scale, options, set_ or [], dry_run=dry_run, **declared))
    raise typer.Exit(code)


@app.command()
def report(
    folder: Results,
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
    baseline: Baseline = None,
    plots: Annotated[Path | None, typer.Option(help="Folder to write plots to, as PNG and SVG.")] = None,
) -> None:
    """Print the tables of stored results and draw their plots; nothing is trained."""
    from warmup_bench.cli.report import report_command

    raise typer.Exit(report_command(folder, format_, baseline, table, metric or [], plots))


@app.command()
def compare(
    systems: Annotated[
        list[str],
        typer.Argument(
            help="The baseline, then the others: DIR:METHOD (all its seeds), cell folders, logs of "
            "lm-evaluation-harness, inspect_ai or COMET, or, with --ref, text files, - for standard input, "
            "columns of tables (base.jsonl:prediction). NAME= before one names it, commas join runs of one "
            "system.",
            show_default=False,
        ),
    ],
    ref: References = None,
    src: Annotated[str | None, typer.Option(help="Source text, shown with the examples.")] = None,
    metric: Annotated[
        Names, typer.Option(help="Metric; repeatable. Default: all stored ones; BLEU and chrF++ for text.")
    ] = None,
    language: Language = None,
    labels: Labels = None,
    groups: Documents = None,
    where: Where = None,
    lower_is_better: Annotated[
        Names, typer.Option(metavar="METRIC", help="Metric of logs of which less is better; repeatable.")
    ] = None,
    intersect: Annotated[bool, typer.Option("--intersect", help="Compare on the common examples.")] = False,
    randomizations: Annotated[int, typer.Option(min=99, help="Random swaps.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 12345,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Of the interval.")] = 0.95,
    examples: Annotated[int, typer.Option(min=0, help="Examples shown that moved most, each way.")] = 3,
    format_: Format = "text",
) -> None:
    """Compare systems on the same examples: stored cells, your own texts or logs; nothing is trained."""
    from warmup_bench.cli.compare import compare_command

    texts = _texts(metric, where, ref, groups, labels, language) | {"source": src}
    texts |= {"lower_is_better": listed(lower_is_better or [])}
    draws = {"randomizations": randomizations, "seed": seed}
    stats = {**draws, "confidence": confidence}
    compare_command(systems, texts, stats, intersect=intersect, examples=examples, format_=format_)


@app.command()
def power(
    pilot: Annotated[
        list[str] | None,
        typer.Argument(
            help="Two pilot systems, as for 'compare'. Without them and without a variance: the "
            "paper's claims.",
            show_default=False,
        ),
    ] = None,
    effect: Annotated[float | None, typer.Option(help="Gain to be found, in score points.")] = None,
    examples: Annotated[int | None, typer.Option(min=2, help="Test examples. Default: the pilot's.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Numbers of matched seeds. Default: 1,3,5,10.")] = None,
    sd: Annotated[
        float | None, typer.Option(min=0, help="Standard deviation of one example's paired difference.")
    ] = None,
    seed_sd: Annotated[
        float | None, typer.Option(min=0, help="Standard deviation of the gain between training seeds.")
    ] = None,
    accuracy: Annotated[float | None, typer.Option(help="Accuracy of both systems, in percent.")] = None,
    disagree: Annotated[
        float | None, typer.Option(help="Percent of examples that exactly one gets right.")
    ] = None,
    metric: Annotated[Names, typer.Option(help="Metric of the pilot. Default: its first.")] = None,
    ref: References = None,
    language: Language = None,
    labels: Labels = None,
    groups: Documents = None,
    where: Where = None,
    intersect: Annotated[bool, typer.Option("--intersect", help="Use the pilot's common examples.")] = False,
    level: Annotated[float, typer.Option(min=1e-9, max=0.5, help="Level of the two-sided test.")] = 0.05,
    comparisons: Annotated[
        int,
        typer.Option(min=1, help="Tests corrected together (rows times test sets and their mean), by Holm."),
    ] = 1,
    wanted: Annotated[float, typer.Option(min=0.1, max=0.999, help="Power that is enough.")] = 0.8,
    margin: Annotated[
        float | None,
        typer.Option(min=0, help="Smallest difference that matters: plan for showing that there is none."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the curve into a .png, .svg or .pdf.")] = None,
    format_: Format = "text",
) -> None:
    """What a planned comparison can show: power, smallest detectable gain, seeds and examples needed."""
    from warmup_bench.cli.power import power_command

    variance = {"sd": sd, "seed_sd": seed_sd, "accuracy": accuracy, "disagree": disagree}
    test = {"level": level, "comparisons": comparisons, "wanted": wanted, "margin": margin}
    numbers = {"effect": effect, "examples": examples, **variance, **test}
    texts = _texts(metric, where, ref, groups, labels, language)
    power_command(pilot or [], numbers, seeds, texts, intersect=intersect, format_=format_, plot=plot)


def _texts(
    metric: Names,
    where: Names,
    references: Names,
    groups: str | None,
    labels: str | None,
    language: str | None,
) -> dict[str, Any]:
    """What :func:`warmup_bench.comparison.reading.read_systems` reads beside the names of systems."""
    return {
        "metrics": listed(metric or []),
        "where": where or [],
        "references": references or [],
        "groups": groups,
        "labels": listed([labels or ""]),
        "language": language,
    }


@app.command()
def view(
    folder: Results,
    baseline: Baseline = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in a browser.")] = True,
) -> None:
    """Show the HTML report of stored results in a browser, served to this machine only."""
    from warmup_bench.cli.view import view_command

    view_command(folder, baseline, port, browser=browser)


@app.command()
def score(
    folder: Annotated[
        str | None, typer.Argument(help="Results folder of a run; with --ref, texts as for 'compare'.")
    ] = None,
    metrics: Annotated[
        Names, typer.Option(help="Metrics, e.g. comet,bertscore; repeatable. Default: those of the task.")
    ] = None,
    ref: References = None,
    src: Annotated[str | None, typer.Option(help="Source text, which COMET reads.")] = None,
    language: Language = None,
    labels: Labels = None,
    format_: Format = "text",
    comet_python: CometPython = None,
    set_: Annotated[
        Names,
        typer.Option("--set", metavar="KEY=VALUE", help="A key under score, e.g. score.batch_size=8."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Only download the models of the metrics into the hub's cache.")
    ] = False,
) -> None:
    """Score stored predictions or texts, also with COMET and BERTScore; no stored segment is scored twice."""
    from warmup_bench.cli.score import score_command, score_texts

    texts = _texts(metrics, None, ref, None, labels, language) | {"source": src}
    if score_texts(folder, texts, comet_python, set_ or [], device, format_):
        return
    results = None if folder is None else Path(folder)
    raise typer.Exit(score_command(results, metrics or [], comet_python, set_ or [], device, fetch=fetch))


@app.command()
def publish(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Results folders of runs.", show_default=False)
    ],
    dest: Annotated[
        Path, typer.Argument(help="Folder to publish in, e.g. results/my-study; what is there stays.")
    ],
) -> None:
    """Copy the numbers of finished cells, without texts and weights: 'report' works on the copy as well."""
    from warmup_bench.cli.publish import publish_command

    raise typer.Exit(publish_command(runs, dest))


@app.command(name="list")
def list_(
    kind: Annotated[str, typer.Argument(help="tasks, methods, samplers, backbones or metrics.")],
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder in which to look for the tasks' files.", envvar="WARMUP_BENCH_DATA"),
    ] = None,
) -> None:
    """List the plugins of a kind, the broken ones with their error."""
    from warmup_bench.cli.listing import list_command

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
    from warmup_bench.cli.data import build_command

    build_command(task, out)


@app.command()
def new(
    kind: Annotated[str, typer.Argument(help="task, method or metric.")],
    name: Annotated[str, typer.Argument(help="Lowercase letters and digits, e.g. my-task.")],
    into: Annotated[Path, typer.Option(help="Where the folder is made.")] = Path(),
    yaml: Annotated[
        bool, typer.Option("--yaml", help="A task without Python: YAML and three files.")
    ] = False,
) -> None:
    """Make a folder with a working plugin, its test, a pyproject.toml and a README."""
    from warmup_bench.cli.new import new_command

    new_command(kind, name, into, yaml=yaml)


@app.command()
def check(
    kind: Annotated[str, typer.Argument(help="task.")],
    name: Annotated[str, typer.Argument(help="Name, path of a .yaml or .py file, or hf:OWNER/NAME.")],
    source: Source = None,
    target: Target = None,
    scale: Annotated[str | None, typer.Option(help="Default: the task's first.")] = None,
    subset: Annotated[
        Names,
        typer.Option("--subset", "--direction", help="Default: the first; repeat, or separate by commas."),
    ] = None,
    data_dir: DataDir = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing; use what is cached.")] = False,
) -> None:
    """Check a task: card, examples, overlap of train and test, metrics, a short run; exit code 1: failed."""
    from warmup_bench.cli.check import check_command

    name = _with_columns(name, source, target)
    raise typer.Exit(check_command(kind, name, scale, subset or [], data_dir, offline=offline))


def _watched(command: Callable[[], int]) -> int:
    """The exit code of a command that trains, in a process that is watched; of ranks the first runs it."""
    from warmup_bench.cli.guard import watched

    def alone() -> int:
        from warmup_bench.execution.garbage import staying

        with staying():
            from warmup_bench.execution.executors.local import led
        return led(command)

    return watched(alone)


def _with_columns(task: str, source: str | None, target: str | None) -> str:
    """The task with the columns that were named."""
    if source is None and target is None:
        return task
    from warmup_bench.data.declared import with_columns

    return with_columns(task, source, target)


@app.command()
def doctor(
    out: Annotated[Path, typer.Option(help="Results folder to look at: permission and room.")] = Path("runs"),
) -> None:
    """Show what this machine has: packages, devices, models in the cache, disk, permission."""
    from warmup_bench.cli.doctor import doctor_command

    raise typer.Exit(doctor_command(out))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"warmup-bench {installed('warmup-bench')}")
