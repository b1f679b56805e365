"""The pictures of a report, as matplotlib figures and as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from warmup_bench.contracts.errors import UserError
from warmup_bench.report.table import Table
from warmup_bench.store.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
LONGEST = 100
"""Characters of a name: with kind and ending it must fit in the 255 bytes of a file name."""


def figures(tables: Sequence[Table], results: Sequence[Result]) -> "dict[str, Figure]":
    """Every picture that stored results allow, by a name that is fit for a file.

    Args:
        tables: What :func:`warmup_bench.report.build.build_tables` made of the results.
        results: The results, for their training logs.

    Returns:
        ``forest-TABLE``: differences with intervals; ``cost-TABLE``: score against FLOPs and seconds;
        ``heatmap-TABLE``: differences over directions; ``learning-…`` and ``sampler-…``: validation loss,
        effective sample size and entropy over training, one for each task, scale and group.
        Drawn without pyplot: no global state.
    """
    from warmup_bench.report.plots.cost import cost_figure
    from warmup_bench.report.plots.curves import learning_figure, sampler_figure
    from warmup_bench.report.plots.forest import forest_figure
    from warmup_bench.report.plots.heatmap import heatmap_figure
    from warmup_bench.report.plots.style import look, marks
    from warmup_bench.report.sheets import sheets, slug

    in_tables = {(table.task, table.scale) for table in tables}
    parts = [sheet for sheet in sheets(results) if (sheet.task, sheet.scale) in in_tables]
    rows = [row.method for table in tables for group in table.groups for row in group.rows]
    lines = [line.method for sheet in parts for block in sheet.blocks for line in block.lines.values()]
    mark = marks([*rows, *lines], tables[0].baseline if tables else "")
    drawn: dict[str, Figure | None] = {}
    with look():
        for table in tables:
            drawn[f"forest-{table.name}"] = forest_figure(table)
            drawn[f"cost-{table.name}"] = cost_figure(table, mark)
            drawn[f"heatmap-{table.name}"] = heatmap_figure(table)
        for sheet in parts:
            for block in sheet.blocks:
                name = slug(sheet.name, block.name)[:LONGEST] if len(sheet.blocks) > 1 else sheet.name
                while f"learning-{name}" in drawn:  # the same task on other data
                    name += "+"
                drawn[f"learning-{name}"] = learning_figure(sheet, block, mark)
                drawn[f"sampler-{name}"] = sampler_figure(sheet, block, mark)
        kept = {name: figure for name, figure in drawn.items() if figure is not None}
        for figure in kept.values():  # laid out once: every save then gives the same picture
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
    return kept


def write_figures(
    drawn: "Mapping[str, Figure]", folder: Path, formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write every figure in every format; returns the paths. The same figures give the same SVG bytes.

    Raises:
        UserError: The folder can't be written.
    """
    from warmup_bench.report.plots.style import save

    files = {folder / f"{name}.{kind}": figure for name, figure in drawn.items() for kind in formats}
    try:
        for path, figure in files.items():
            save(figure, path)
    except OSError as error:
        what = f"can't write {folder}: {error.strerror or error}"
        raise UserError(what, origin="--plots", hint="Choose another folder.") from error
    return list(files)
