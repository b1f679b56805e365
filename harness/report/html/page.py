"""The page from its parts: template, style and script into one file that asks no network for anything."""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, Any

from warmup_bench.comparison import Reach
from warmup_bench.report.examples import ExampleSet, example_set
from warmup_bench.report.failed import Failed, heading
from warmup_bench.report.html import cells
from warmup_bench.report.html.data import browser_data, script_json
from warmup_bench.report.html.svg import inline_svg
from warmup_bench.report.lines import published_headers, published_lines
from warmup_bench.report.numbers import counted
from warmup_bench.report.sheets import sheets
from warmup_bench.report.table import Table, gain_of
from warmup_bench.store.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGNS: Mapping[cells.Tone, str] = {"better": "▲", "worse": "▼", "open": "○"}
"""What stands before a finding, so that colour is not needed."""


@dataclass(frozen=True, slots=True)
class Headline:
    """One sentence of the verdict; ``tone`` is None where nothing was compared."""

    tone: cells.Tone | None
    text: str


CAPTIONS = {
    "forest": "Differences from the baseline",
    "heatmap": "Differences over directions",
    "cost": "What quality costs",
    "learning": "Learning curves",
    "sampler": "Warmups over training",
}
"""What a plot shows, by the first part of its name."""


def render_html(tables: Sequence[Table], results: Sequence[Result], failed: Sequence[Failed] = ()) -> str:
    """A report as one HTML file.

    Args:
        tables: The tables made of the results, at least one.
        results: Finished cells.
        failed: Cells that failed.

    Raises:
        CorruptError: Stored predictions or statistics can't be read.
    """
    from warmup_bench.report.plots import figures

    style, script = _resource("page.css"), _resource("page.js")
    sets = example_sets(results, tables[0].baseline)
    page: str = _template().render(
        policy=policy(style, script),
        style=style,
        script=script,
        title=title(tables),
        about=about(results, version("warmup-bench")),
        tables=[(table, findings(table)) for table in tables],
        tally=tally(tables),
        one_scope=tables[0].scope if len({table.scope for table in tables}) == 1 else "",
        signs=SIGNS,
        published_headers=published_headers,
        published_lines=published_lines,
        score_cell=cells.score_cell,
        strip_width=cells.STRIP_WIDTH,
        costs=distinct_costs(tables),
        expenses=cells.EXPENSES,
        cost_cells=cells.cost_cells,
        plots=plots(figures(tables, results), tables),
        sets=[(examples.title, script_json(browser_data(examples))) for examples in sets],
        facts=facts(results),
        failed=failed,
        failed_heading=heading(failed),
    )
    return page


def policy(style: str, script: str) -> str:
    """The page's Content-Security-Policy: its own style and script by their hashes, and nothing else."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def title(tables: Sequence[Table]) -> str:
    """Tasks and scales of the tables."""
    return ", ".join(dict.fromkeys(f"{table.task} at scale {table.scale}" for table in tables))


def about(results: Sequence[Result], program: str) -> str:
    """What the page is made of."""
    trainings = len({result.cell.training_id for result in results})
    seeds = len({result.cell.seed for result in results})
    methods = len({result.cell.label for result in results})
    parts = (counted(methods, "method"), counted(seeds, "seed"), counted(trainings, "trained model"))
    return f"{' · '.join(parts)} · warmup-bench {program}, from stored results alone"


def findings(table: Table) -> list[Headline]:
    """The sentences of a table's verdict with the tone of the gains that they speak of.

    :attr:`Table.findings` has one for each row that is not a baseline, or one for a group in which nothing
    is compared.
    """
    tones: list[cells.Tone | None] = []
    for group in table.groups:
        gains = [gain_of(row.cells[table.main_column.key]) for row in group.compared]
        tones += [cells.tone(gain) if gain else None for gain in gains] or [None]
    return [Headline(tone, text) for tone, text in zip(tones, table.findings, strict=True)]


def tally(tables: Sequence[Table]) -> str:
    """How many findings there are of each kind, in one sentence: first what holds for other seeds too."""
    rows = [(table, row) for table in tables for group in table.groups for row in group.compared]
    gains = [gain for table, row in rows if (gain := gain_of(row.cells[table.main_column.key]))]
    if not gains:
        return "Nothing is compared here."
    baselines = ", ".join(dict.fromkeys(table.baseline for table in tables))
    kinds = Counter((gain.finding.reach, cells.tone(gain)) for gain in gains)
    reaches: tuple[tuple[Reach, str], ...] = (
        ("other seeds", "for other seeds too"),
        ("these models", "for these models alone"),
    )
    parts = [
        f"{count} {tone} {words}"
        for reach, words in reaches
        for tone in SIGNS
        if tone != "open" and (count := kinds[reach, tone])
    ]
    shown = sum(count for (_, tone), count in kinds.items() if tone != "open")
    parts += [f"{len(gains) - shown} without a difference that is shown"] if shown < len(gains) else []
    return f"{counted(len(gains), 'comparison')} with {baselines}: {', '.join(parts)}."


def plots(figures: Mapping[str, "Figure"], tables: Sequence[Table]) -> list[tuple[str, list[str]]]:
    """Captions, each with the drawings that it stands over, in the order of :data:`CAPTIONS`."""
    titles = {table.name: table.title for table in tables}
    drawn: dict[str, list[str]] = {caption: [] for caption in CAPTIONS.values()}
    for name, figure in figures.items():
        kind, _, where = name.partition("-")
        caption = CAPTIONS.get(kind, kind)
        svg = inline_svg(figure, name, f"{caption}: {titles.get(where, where)}")
        drawn.setdefault(caption, []).append(svg)
    return [(caption, svgs) for caption, svgs in drawn.items() if svgs]


def distinct_costs(tables: Sequence[Table]) -> list[Table]:
    """One table for each set of ledgers: tables of two metrics of the same cells cost the same."""
    seen: dict[Any, Table] = {}
    for table in tables:
        key = tuple((g.name, tuple((row.method, row.cost) for row in g.rows)) for g in table.groups)
        seen.setdefault(key, table)
    return list(seen.values())


def example_sets(results: Sequence[Result], baseline: str) -> list[ExampleSet]:
    """The examples of every subset and group of rows, in the order of the tables; none without texts."""
    if not all(result.has_texts for result in results):
        return []
    sorted_out = sheets(results)
    several = len({sheet.task for sheet in sorted_out}) > 1
    sets = []
    for sheet in sorted_out:
        for subset, block in product(sheet.subsets, sheet.blocks):
            runs = {name: line.results[subset] for name, line in block.lines.items() if line.results[subset]}
            if runs:
                parts = ([sheet.task] if several else []) + [subset, block.name]
                sets.append(example_set(" · ".join(parts), runs, baseline))
    return sets


def facts(results: Sequence[Result]) -> list[tuple[str, str]]:
    """Machines and versions that made the results; several where there were several."""
    values: dict[str, dict[str, None]] = {}
    for result in results:
        for key, value in result.provenance.items():
            if isinstance(value, dict):
                text = ", ".join(f"{name} {number}" for name, number in value.items())
            elif isinstance(value, bool):
                text = "yes" if value else "no"
            else:
                text = str(value)
            values.setdefault(key.replace("_", " "), {})[text] = None
    return [(key, "; ".join(texts)) for key, texts in values.items()]


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_resource("page.html.j2"))


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
