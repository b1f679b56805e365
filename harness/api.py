"""What a script or a notebook does with the harness: run a spec, read results, compare, plan.

>>> import warmup_bench as wb
>>> results = wb.run(task="wmt", seeds=3)  # doctest: +SKIP
>>> results.comparisons()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmup_bench.contracts.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from warmup_bench.comparison.systems import System
    from warmup_bench.report.failed import Failed
    from warmup_bench.report.table import Table
    from warmup_bench.store.failures import Failure
    from warmup_bench.store.folders import CorruptError
    from warmup_bench.store.results import Result

COORDINATES = ("task", "scale", "subset", "backbone", "method", "seed", "decoding", "cell")
"""Columns that every frame of :class:`Results` begins with."""


class Results:
    """The finished cells of a run's folder or of a published study, as tables.

    In a notebook it shows its scores and gains. Nothing is read before it is asked for.

    Attributes:
        folder: Where they are stored.
        failures: Why a cell of the run that made this object failed, by its id.
        damaged: Why a stored cell is left out, by its id, once ``cells`` were read.
    """

    def __init__(
        self, folder: Path, only: Sequence[str] | None = None, failures: Mapping[str, Failure] | None = None
    ) -> None:
        """Results of ``folder``; of the cells ``only``, by id, where they are named."""
        self.folder, self._only, self.failures = folder, only, dict(failures or {})
        self.damaged: dict[str, CorruptError] = {}

    @cached_property
    def cells(self) -> list[Result]:
        """The cells, in the order in which the specs of the folder name them."""
        from warmup_bench.report.planned import in_spec_order
        from warmup_bench.store.results import read_results

        return in_spec_order(self.folder, read_results(self.folder, self._only, self.damaged))

    def failed(self) -> list[Failed]:
        """The cells that failed, and those that are damaged."""
        from warmup_bench.report.failed import damaged_cells, failed_cells

        len(self)
        failed = [one for one in failed_cells(self.folder) if one.name not in self.damaged]
        return [*failed, *damaged_cells(self.folder, self.damaged)]

    def tables(
        self, *, baseline: str | None = None, table: str = "auto", metrics: Sequence[str] = ()
    ) -> list[Table]:
        """The tables of a report, as data.

        Args:
            baseline: Method that the others are compared with; None: that of the newest spec.
            table: Layout: auto, directions or metrics.
            metrics: Metrics to show, by key or name; (): all.

        Raises:
            UserError: Nothing stored, or an unknown baseline, table or metric.
        """
        from warmup_bench.report.stored import tables_of

        return tables_of(self.folder, self.cells, baseline, table, metrics, self.failed())

    def scores(self) -> pd.DataFrame:
        """A score a row: cell, ``metric``, ``score``, ``higher_is_better``, ``signature``."""
        kept = ("score", "higher_is_better", "signature")
        return _frame(
            {**_coordinates(result), "metric": entry["key"], **{key: entry[key] for key in kept}}
            for result in self.cells
            for entry in result.scores
        )

    def ledger(self) -> pd.DataFrame:
        """A cell a row: what its training and decoding spent (FLOPs, seconds, bytes, tokens)."""
        return _frame({**_coordinates(result), **result.ledger} for result in self.cells)

    def examples(self, *, statistics: bool = False) -> pd.DataFrame:
        """An example of a cell a row: ``id``, ``group``, texts where they are stored, numbers.

        Args:
            statistics: Add those of every metric, ``bleu.0``, ``bleu.1``, …: a score is the metric's
                ``aggregate`` of their sum.
        """
        import pandas as pd

        parts = []
        for result in self.cells:
            texts = result.predictions("warmup") if result.has_texts else result.examples()
            frame = pd.DataFrame({**_coordinates(result), **texts, **result.numbers()})
            for entry in result.scores if statistics else ():
                _, values = result.statistics(entry["key"])
                names = [f"{entry['key']}.{i}" for i in range(values.shape[1])]
                frame = pd.concat([frame, pd.DataFrame(values, columns=names)], axis=1)
            parts.append(frame)
        return pd.concat(parts, ignore_index=True)

    def comparisons(self, *, baseline: str | None = None) -> pd.DataFrame:
        """A row of a table and a column of it a row: scores, and against the baseline the difference with its
        interval, p (raw, corrected, over seeds) and costs; missing where it does not exist.
        """
        import pandas as pd

        from warmup_bench.report.data import COLUMNS, records

        rows = pd.DataFrame(records(self.tables(baseline=baseline)), columns=list(COLUMNS))
        return rows.replace("", None).infer_objects()

    def report(self, format: str = "md", **options: Any) -> str:  # noqa: A002 - the word for it
        """The report as one text.

        Args:
            format: md, latex, csv, json, html or text.
            options: As of :meth:`tables`.

        Raises:
            UserError: An unknown format, or as :meth:`tables`.
        """
        from warmup_bench.report.render import rendered

        return rendered(self.tables(**options), self.cells, self.failed(), format)

    def plot(self, folder: str | Path | None = None, **options: Any) -> dict[str, Figure]:
        """The pictures of the report by name, also written as PNG and SVG into ``folder`` if one is named.

        Raises:
            UserError: The folder can't be written, or as :meth:`tables`.
        """
        from warmup_bench.report.plots import figures, write_figures

        drawn = figures(self.tables(**options), self.cells)
        if folder is not None:
            write_figures(drawn, Path(folder))
        return drawn

    def __len__(self) -> int:
        """How many cells there are."""
        return len(self.cells)

    def __repr__(self) -> str:
        failed = f", {len(self.failures)} failed" if self.failures else ""
        return f"<Results of {self.folder}: {len(self)} cells{failed}>"

    def _repr_html_(self) -> str:
        from warmup_bench.report.notebook import fragment

        return fragment(self.tables())


def load(folder: str | Path) -> Results:
    """The results in the folder of a run, or of a published study; damaged cells are left out and named.

    Raises:
        UserError: No such folder, or no finished cell in it.
        CorruptError: All of them are damaged.
    """
    results = Results(Path(folder))
    len(results)
    return results


def run(
    spec: str | Path | Mapping[str, Any] | None = None, *, progress: bool = True, **keywords: Any
) -> Results:
    """Run a spec; cells that are stored already are not run again.

    Args:
        spec: A YAML file, or its content; None: the keywords alone.
        progress: Show it.
        keywords: Keys of a spec, e.g. ``task="wmt", seeds=3, methods=["sft", "warmup"]``; they win over the
            spec's.

    Returns:
        The results of its cells; those that failed are in ``failures``.

    Raises:
        UserError: A request that can't be met, found before the first step; or no cell has finished.
        KeyboardInterrupt: The user stopped it; what was running is checkpointed.
    """
    from rich.console import Console

    from warmup_bench.execution.runner import execute, prepare, score_learned_metrics, settle
    from warmup_bench.plan.jobs import outstanding
    from warmup_bench.plan.preflight import require
    from warmup_bench.report.progress import ProgressDisplay
    from warmup_bench.spec.spec import make_spec, merge, read_spec

    content = spec if isinstance(spec, Mapping) else {} if spec is None else read_spec(Path(spec))
    origin = "keywords" if spec is None or isinstance(spec, Mapping) else str(spec)
    plan = prepare(make_spec(merge(content, keywords), origin))
    work = outstanding(plan)
    failures: dict[str, Failure] = {**work.damaged}
    console = Console(quiet=not progress)
    if work.pending:
        require(plan, work)
        with ProgressDisplay(console, len(work.steps), work.notes) as display:
            failures = execute(plan, work, display)
    else:
        settle(plan, work)
    finished = [cell.id for cell in plan.cells if cell.id not in failures]
    if not finished:
        name, failure = next(iter(failures.items()))
        raise UserError(f"every cell failed; {name}: {failure.stage}: {failure.line}", origin=str(plan.out))
    if plan.learned:
        with ProgressDisplay(console, len(plan.learned)) as display:
            failures |= score_learned_metrics(plan, finished, None, display).failures
    return Results(plan.out, finished, failures)


def compare(
    systems: Mapping[str, Any] | pd.DataFrame | Sequence[str],
    references: Sequence[Any] | None = None,
    *,
    metric: str | Sequence[str] = (),
    sources: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
    labels: Sequence[str] = (),
    language: str = "en",
    where: Sequence[str] = (),
    intersect: bool = False,
    **stats: Any,
) -> pd.DataFrame:
    """Compare systems with the first one, on the same examples.

    Args:
        systems: Outputs by name: a list, an output an example, or a list of such lists, one a seed; or a
            frame with a column a system. Without ``references``, names of stored systems
            (``"runs/wmt-mini:sft"``).
        references: Of each example: a text, or several.
        metric: By key; (): BLEU and chrF++ of texts, of stored systems all that are stored.
        sources, groups: Input and document of each example; a document is swapped and counted whole.
        labels: Of a classification.
        language: Target language, such as ``de`` or ``zh-TW``.
        where: ``KEY=VALUE`` of the stored cells that are meant.
        intersect: Compare stored systems on their common examples.
        stats: ``randomizations``, ``seed``, ``confidence``.

    Returns:
        A metric and system a row: scores, difference, interval, p and Holm's p over the systems of a metric.

    Raises:
        UserError: Fewer than two systems, or some that can't be paired.
    """
    from warmup_bench.comparison.pairwise import compare_systems
    from warmup_bench.comparison.reading import read_systems
    from warmup_bench.comparison.systems import TEXT_METRICS, make_metrics
    from warmup_bench.contracts.language import language_code
    from warmup_bench.contracts.metric import references_of_each
    from warmup_bench.contracts.settings import Stats
    from warmup_bench.report.comparison import flat

    keys = [metric] if isinstance(metric, str) else list(metric)
    if references is None:
        read = read_systems([str(name) for name in systems], metrics=keys, where=where)
    elif not hasattr(systems, "items"):
        raise UserError("outputs need names", hint="Give a mapping or a frame: name -> outputs.")
    else:
        golds = [[gold] if isinstance(gold, str) else list(gold) for gold in references]
        code = language_code(language, "language")
        loaded = make_metrics(keys or TEXT_METRICS, code, labels, references_of_each(golds))
        read = [
            _of_lists(str(name), texts, golds, loaded, sources, groups) for name, texts in systems.items()
        ]
    return _frame(flat(line) for line in compare_systems(read, Stats(**stats), intersect=intersect).lines)


def power(
    pilot: Sequence[str] = (),
    *,
    sd: float | None = None,
    accuracy: float | None = None,
    disagree: float | None = None,
    seed_sd: float | None = None,
    effect: float | None = None,
    examples: int | None = None,
    seeds: Sequence[int] = (),
    metric: str | None = None,
    where: Sequence[str] = (),
    level: float = 0.05,
    comparisons: int = 1,
    wanted: float = 0.8,
    margin: float | None = None,
) -> pd.DataFrame:
    """What a planned comparison can show, a number of seeds a row.

    Args:
        pilot: Two stored systems to estimate the variance on; or give ``sd`` or ``accuracy``.
        sd: Standard deviation of one example's paired difference.
        accuracy, disagree: In percent: of both systems, and of the examples that exactly one gets right.
        seed_sd: Standard deviation of the gain between training seeds.
        effect: Gain to be found, in score points; None: only the smallest detectable one is asked for.
        examples: Of the test set; None: the pilot's.
        seeds: Numbers of matched seeds; (): 1, 3, 5, 10.
        metric, where: Of the pilot: its metric, the stored cells that are meant.
        level: Of the two-sided tests of a family of so many ``comparisons``, corrected by Holm.
        wanted: Power that counts as enough.
        margin: Smallest difference that matters: how well can it be shown that there is none?

    Raises:
        UserError: No variance or several, or values that make no sense.
    """
    from dataclasses import asdict

    from warmup_bench.comparison import design
    from warmup_bench.comparison.reading import read_systems

    if bool(pilot) + (sd is not None) + (accuracy is not None) != 1:
        raise UserError("one variance is needed", hint="Give pilot, sd or accuracy.")
    if sd is not None:
        variance = design.given_deviation(sd, seed_sd)
    elif accuracy is not None:
        variance = design.given_accuracy(accuracy, disagree, effect, seed_sd)
    else:
        systems = read_systems(pilot, metrics=[metric] if metric else [], where=where)
        variance = design.pilot(systems, seed_deviation=seed_sd)
    analysis = design.analyse_power(
        variance,
        effect=effect,
        examples=examples,
        seeds=seeds or design.SEEDS,
        level=level,
        comparisons=comparisons,
        wanted=wanted,
        margin=margin,
    )
    return _frame({"metric": analysis.metric, "effect": effect, **asdict(row)} for row in analysis.designs)


def _of_lists(
    name: str,
    outputs: Any,
    golds: Sequence[Sequence[str]],
    metrics: dict[str, Any],
    sources: Sequence[str] | None,
    groups: Sequence[str | None] | None,
) -> System:
    """A system from lists or a column.

    Raises:
        UserError: They have another length than the references, or hold something else than texts.
    """
    from warmup_bench.comparison.systems import make_system

    listed = list(outputs)
    several = bool(listed) and all(isinstance(one, Sequence) and not isinstance(one, str) for one in listed)
    runs = [list(one) for one in listed] if several else [listed]
    for texts in runs:
        if len(texts) != len(golds) or not all(isinstance(text, str) for text in texts):
            raise UserError(
                f"system '{name}' has not one text for each of the {len(golds)} references",
                hint="Give a list of texts, or a list of such lists, one a seed.",
            )
    for what, given in (("sources", sources), ("groups", groups)):
        if given is not None and len(given) != len(golds):
            raise UserError(f"there are {len(given)} {what} and {len(golds)} references")
    return make_system(name, runs, golds, metrics, sources=sources, groups=groups)


def _coordinates(result: Result) -> dict[str, Any]:
    cell = result.cell
    decoding = "" if cell.warmup == "none" else cell.settings.decode.warmup
    known = (cell.task, cell.scale, cell.subset, cell.backbone, cell.label, cell.seed, decoding)
    return dict(zip(COORDINATES, (*known, result.place.name), strict=True))


def _frame(rows: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(list(rows))
