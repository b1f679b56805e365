from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from stored import STATS, settings, store_cell

from warmup_bench.contracts.errors import UserError
from warmup_bench.report.build import build_tables
from warmup_bench.report.plots import figures, write_figures
from warmup_bench.report.plots.curves import curve
from warmup_bench.report.plots.style import marks
from warmup_bench.report.table import Gain, MeanScore, Table
from warmup_bench.store.results import Result, read_result, read_results


def log(start: float, sampled: bool) -> list[dict[str, Any]]:
    """Four steps, evaluated at 1 and 4, FLOPs logged at 2 and 4."""

    def figures_at(step: int) -> dict[str, float]:
        of_all = {"loss": start - 0.1 * step}
        return of_all | ({"ess": 1.0 + 0.5 * step, "entropy": 20.0 - step} if sampled else {})

    return [
        {"step": 1, "validation": figures_at(1)},
        {"step": 2, "flops": 100.0, "loss": 9.0},
        {"step": 4, "flops": 400.0, "loss": 9.0},
        {"step": 4, "validation": figures_at(4)},
    ]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Table], list[Result]]:
    """Two directions, a method with a name that is not markup, and one that lacks a direction."""
    out = tmp_path_factory.mktemp("runs")
    for subset in ("de-en", "en-de"):
        for seed in (0, 1):
            where: dict[str, Any] = {"subset": subset, "data": subset}
            store_cell(out, "sft", seed, 20 + seed, log=log(3.0 + seed, sampled=False), **where)
            store_cell(out, "$a_b$ <i>", seed, 10, flop=3e9, log=log(2.0, sampled=True), **where)
            if subset == "de-en":
                store_cell(out, "part", seed, 21, flop=4e9, log=log(2.5, sampled=True), **where)
    results = read_results(out)
    return build_tables(results, STATS), results


@pytest.fixture(scope="module")
def drawn(stored: tuple[list[Table], list[Result]]) -> dict[str, Figure]:
    return figures(*stored)


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title() == title)


def test_every_kind_is_drawn_and_named_for_a_file(drawn: dict[str, Figure]) -> None:
    assert sorted(drawn) == [
        *(f"{kind}-t-mini-{m}" for kind in ("cost", "forest", "heatmap") for m in ("bleu", "chrf++")),
        "learning-t-mini",
        "sampler-t-mini",
    ]


def test_every_axis_has_a_label_and_every_picture_a_title(drawn: dict[str, Figure]) -> None:
    for name, figure in drawn.items():
        assert figure.get_suptitle().startswith("t")
        assert "scale mini" in figure.get_suptitle().replace("\n", " ")
        for axes in figure.axes:
            if not axes.get_visible() or (name.startswith("heatmap") and axes is figure.axes[0]):
                continue
            labels = axes.get_xlabel() + axes.get_ylabel()
            assert labels, name
    units = {axes.get_ylabel() for axes in drawn["sampler-t-mini"].axes}
    assert units == {"effective sample size\n(warmups)", "entropy of p(c|x)\n(nats)"}
    assert panel(drawn["forest-t-mini-bleu"], "part").get_xlabel() == "Δ BLEU against sft"


def test_a_forest_shows_the_differences_and_intervals_of_the_table(
    stored: tuple[list[Table], list[Result]], drawn: dict[str, Figure]
) -> None:
    table = stored[0][0]
    for row in table.groups[0].rows[1:]:
        axes = panel(drawn["forest-t-mini-bleu"], row.method)
        points = {
            round(float(line.get_ydata()[0])): line for line in axes.get_lines() if len(line.get_xdata()) == 1
        }
        bars = [line for line in axes.get_lines() if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]
        for place, column in enumerate(reversed(table.columns)):
            cell = row.cells[column.key]
            if not isinstance(cell, MeanScore):
                assert place not in points
                continue
            assert isinstance(cell.gain, Gain)
            comparison = cell.gain.comparison
            assert points[place].get_xdata()[0] == comparison.difference
            filled = points[place].get_markerfacecolor() != "white"
            assert filled == (cell.gain.finding.reach == "other seeds")
            (bar,) = [b for b in bars if b.get_ydata()[0] == place]
            assert list(bar.get_xdata()) == [comparison.low, comparison.high]
    assert "missing" in [text.get_text() for text in panel(drawn["forest-t-mini-bleu"], "part").texts]


def test_a_heat_map_says_its_numbers_and_what_is_missing(
    stored: tuple[list[Table], list[Result]], drawn: dict[str, Figure]
) -> None:
    axes = drawn["heatmap-t-mini-bleu"].axes[0]
    texts = {(text.get_position()): text for text in axes.texts}
    first = stored[0][0].groups[0].rows[1]
    for place, column in enumerate(stored[0][0].columns):
        cell = first.cells[column.key]
        assert isinstance(cell, MeanScore)
        assert isinstance(cell.gain, Gain)
        assert texts[place, 0].get_text() == f"{cell.gain.comparison.difference:+.2f}"
        assert texts[place, 0].get_weight() == (
            "bold" if cell.gain.finding.reach == "other seeds" else "normal"
        )
    assert [texts[place, 1].get_text() for place in (1, 2)] == ["missing", "missing"]
    image = axes.get_images()[0]
    assert np.ma.getmaskarray(image.get_array())[1].tolist() == [False, True, True]
    assert image.norm.vmin == -image.norm.vmax  # no difference is the middle of the scale


def test_quality_stands_over_what_it_cost(drawn: dict[str, Figure]) -> None:
    flops, seconds = drawn["cost-t-mini-bleu"].axes
    assert (flops.get_xlabel(), seconds.get_xlabel()) == ("training FLOPs (10⁹)", "training time (s)")
    assert flops.get_ylabel() == "average BLEU"
    labels = flops.get_legend_handles_labels()[1]
    assert labels == ["sft", "$a_b$ <i>"]  # 'part' lacks a direction, so that it has no average
    places = [line.get_xdata()[0] for line in flops.get_lines() if line.get_marker() in "os"]
    assert places == [1e9, 3e9]


def test_curves_hold_what_was_logged(stored: tuple[list[Table], list[Result]], tmp_path: Path) -> None:
    result = read_result(store_cell(tmp_path, "warmup", 0, 3, log=log(2.0, sampled=True)))
    logged = curve(result, "ess")
    assert logged is not None
    assert logged.step.tolist() == [1, 4]
    assert logged.value.tolist() == [1.5, 3.0]
    assert logged.flops.tolist() == [50.0, 400.0]  # half-way to the 100 of step 2
    assert curve(result, "unknown") is None


def test_learning_curves_have_the_mean_and_the_range_of_the_seeds(drawn: dict[str, Figure]) -> None:
    axes = panel(drawn["learning-t-mini"], "nano · de-en")
    line = next(line for line in axes.get_lines() if line.get_label() == "sft")
    assert line.get_xdata().tolist() == [1, 4]
    assert line.get_ydata().tolist() == pytest.approx([3.4, 3.1])  # seeds: 2.9 and 3.9, 2.6 and 3.6
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((2.6, 3.9))
    sampler = panel(drawn["sampler-t-mini"], "nano · en-de").get_legend_handles_labels()[1]
    assert sampler == ["$a_b$ <i>"]


def test_one_training_that_is_decoded_twice_is_one_curve(tmp_path: Path) -> None:
    for decode in ({}, {"beams": 3}):
        of_row = settings(decode=decode)
        store_cell(tmp_path, "warmup", 0, 3, settings=of_row, log=log(2.0, sampled=True))
    results = read_results(tmp_path)
    pictures = figures(build_tables(results, STATS), results)
    assert pictures["learning-t-mini"].axes[0].get_legend_handles_labels()[1] == ["warmup"]
    assert "forest-t-mini-all" not in pictures  # nothing was compared


def test_files_are_written_whole_and_the_same_twice(drawn: dict[str, Figure], tmp_path: Path) -> None:
    few = {name: drawn[name] for name in ("forest-t-mini-bleu", "learning-t-mini")}
    first = write_figures(few, tmp_path / "a" / "b")
    second = write_figures(few, tmp_path / "c")
    assert [path.name for path in first] == [f"{name}.{kind}" for name in few for kind in ("png", "svg")]
    assert {path.name for path in (tmp_path / "c").iterdir()} == {path.name for path in first}
    for path, again in zip(first, second, strict=True):
        assert path.read_bytes() == again.read_bytes()
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG")
        else:
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't write"):
        write_figures(few, tmp_path / "file")


def test_settings_of_matplotlib_are_left_as_they_were(stored: tuple[list[Table], list[Result]]) -> None:
    keys = [key for key in matplotlib.rcParams if key != "backend"]  # reading that one sets it
    before = [matplotlib.rcParams[key] for key in keys]
    figures(stored[0][:1], [])
    assert [matplotlib.rcParams[key] for key in keys] == before


def luminance(colour: str) -> float:
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_methods_differ_in_more_than_colour() -> None:
    names = [f"m{i:02}" for i in range(24)]
    by_method = marks([*names, "sft"], "sft")
    assert next(iter(by_method)) == "sft"
    assert len({(mark.marker, str(mark.dashes), mark.colour) for mark in by_method.values()}) == 25
    first = [by_method["sft"], *(by_method[name] for name in names[:6])]
    assert len({mark.marker for mark in first}) == 7
    assert len({mark.colour for mark in first}) == 7
    assert by_method == marks(["sft", *reversed(names)], "sft")  # the same in every picture
    assert all(luminance(mark.colour) < 0.7 for mark in by_method.values())  # to be seen on white paper
