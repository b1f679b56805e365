"""Published gains beside measured ones, on stored results that are marked as of scale ``paper``."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from stored import STATS, settings, store_cell

from warmup_bench.comparison.paper import PaperTable, read_paper_table
from warmup_bench.contracts.settings import Settings
from warmup_bench.report.build import build_tables
from warmup_bench.report.html import render_html
from warmup_bench.report.latex import escaped
from warmup_bench.report.published import LEGEND, with_published
from warmup_bench.report.render import RENDERERS, print_tables
from warmup_bench.report.table import Missing, Table
from warmup_bench.store.results import read_results

TRANSLATION = read_paper_table("translation", "paper")
DIRECTIONS = TRANSLATION.spec.subsets
OF_THE_PAPER = {"task": "wmt", "backbone": "mt5-base", "scale": "paper"}


def paper_cells(
    out: Path, *, sft: int = 24, warmup: int = 10, directions: tuple[str, ...] = DIRECTIONS, **options: object
) -> list[Table]:
    """Tables of stored cells of the translation study; options go to every cell."""
    about = OF_THE_PAPER | options
    for direction in directions:
        for method, wrong in (("sft", sft), ("warmup", warmup)):
            store_cell(out, method, 0, wrong, subset=direction, data=f"d-{direction}", **about)  # type: ignore[arg-type]
    return build_tables(read_results(out), STATS)


def judged(table: Table, gain: float) -> str:
    """The verdict on a claim of another size."""
    claims = tuple(replace(claim, gain=gain) for claim in TRANSLATION.claims)
    study = PaperTable(TRANSLATION.name, TRANSLATION.path, TRANSLATION.spec, claims)
    (published,) = with_published(table, [study], [], [Settings()] * len(table.groups)).published
    assert published.judgement is not None
    return published.judgement.verdict


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    return paper_cells(tmp_path_factory.mktemp("paper"))


def test_the_claim_stands_beside_the_average_over_its_directions(tables: list[Table]) -> None:
    bleu, chrf = tables
    for table, metric, gain in ((bleu, "BLEU", 1.57), (chrf, "chrF++", 1.60)):
        (published,) = table.published
        assert (published.claim.metric, published.claim.gain) == (metric, gain)
        assert (published.group, published.method, published.column) == ("mt5-base", "warmup", "average")
        warmup = next(row for row in table.groups[0].rows if row.method == "warmup")
        assert published.measured is warmup.cells["average"].gain.comparison  # type: ignore[union-attr]
        assert table.notes.published[0] == LEGEND
        assert "arXiv 2502.12304" in table.notes.published[1]


def test_the_verdict_follows_the_interval(tables: list[Table]) -> None:
    bleu, _ = tables
    (published,) = bleu.published
    measured = published.measured
    assert not isinstance(measured, Missing)
    assert measured.low > 1.57  # by construction: 14 more sentences are right
    assert judged(bleu, 1.57) == "larger"
    assert judged(bleu, (measured.low + measured.high) / 2) == "reproduced"
    assert judged(bleu, measured.high + 0.1) == "smaller"


def test_a_loss_and_no_difference(tmp_path: Path) -> None:
    worse, _ = paper_cells(tmp_path / "worse", sft=10, warmup=20)
    assert judged(worse, 1.57) == "smaller"
    same, _ = paper_cells(tmp_path / "same", sft=14, warmup=14)
    assert same.published[0].measured == Missing("no interval")  # the same outputs everywhere
    near, _ = paper_cells(tmp_path / "near", sft=15, warmup=14)  # one sentence
    (published,) = near.published
    measured = published.measured
    assert not isinstance(measured, Missing)
    assert measured.low < 0 < measured.difference
    assert measured.low == pytest.approx(-measured.difference, abs=0.1)  # one value of n: t is 1
    assert judged(near, measured.high / 2) == "underpowered"
    assert judged(near, measured.high * 3) == "not distinguishable from 0"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"scale": "mini"}, "this is scale mini"),
        ({"scale": "small"}, "this is scale small"),
        ({"backbone": "mt5-small"}, "the backbone is not the paper's (mt5-base)"),
        ({"directions": ("de-en", "en-de")}, "the claim is on de-en, en-de, fr-en"),
        ({"settings": settings(limit={"test": 30})}, "a part of the data (limit.test=30)"),
    ],
)
def test_elsewhere_the_comparison_is_refused(tmp_path: Path, options: dict[str, object], reason: str) -> None:
    for table in paper_cells(tmp_path, **options):  # type: ignore[arg-type]
        assert table.published == ()
        (note,) = table.notes.published
        assert note.startswith("No published gain is set beside these: ")
        assert reason in note
        assert "1.57" not in note


def test_without_the_claims_rows_it_is_refused(tmp_path: Path) -> None:
    for direction in DIRECTIONS:
        for method in ("sft", "filler"):
            store_cell(tmp_path, method, 0, 9, subset=direction, data=direction, **OF_THE_PAPER)
    results = read_results(tmp_path)
    assert "no row 'warmup'" in build_tables(results, STATS)[0].notes.published[0]
    other = build_tables(results, STATS.model_copy(update={"baseline": "filler"}))
    assert "the claim is a gain over sft, this over filler" in other[0].notes.published[0]


def test_other_tasks_are_left_alone(tmp_path: Path) -> None:
    for table in paper_cells(tmp_path, task="t", directions=("de-en",)):
        assert table.published == ()
        assert table.notes.published == ()


def test_a_gain_that_was_not_measured_says_so(tmp_path: Path) -> None:
    for direction in DIRECTIONS:
        store_cell(tmp_path, "sft", 0, 9, subset=direction, data=direction, **OF_THE_PAPER)
        if direction != "en-zh":
            store_cell(tmp_path, "warmup", 0, 5, subset=direction, data=direction, **OF_THE_PAPER)
    table = build_tables(read_results(tmp_path), STATS)[0]
    (published,) = table.published
    assert isinstance(published.measured, Missing)
    assert published.judgement is None
    assert "| +1.57 | *not measured* |" in RENDERERS["md"]([table])


def test_every_renderer_shows_it(tables: list[Table], tmp_path: Path) -> None:
    from rich.console import Console

    (published,) = tables[0].published
    assert not isinstance(published.measured, Missing)
    measured = f"{published.measured.difference:+.2f}"
    interval = f"[{published.measured.low:+.2f}, {published.measured.high:+.2f}]"
    assert published.judgement is not None
    power = f"{published.judgement.power:.0%}"
    interval_md = interval.replace("[", "\\[").replace("]", "\\]")
    line = f"| translation, mt5-base warmup | BLEU | +1.57 | {measured} | {interval_md} | {power} | larger |"
    assert line in RENDERERS["md"](tables)
    out = io.StringIO()
    print_tables(tables, Console(file=out, width=160))
    assert "larger" in out.getvalue()
    assert "The paper's gain and the one measured here" in out.getvalue()
    tex = RENDERERS["latex"](tables)
    assert r"\label{tab:wmt-paper-bleu-published}" in tex
    shown = f"${measured}$ & ${interval}$ & {escaped(power)}"
    assert rf"translation, mt5-base warmup & BLEU & $+1.57$ & {shown} & larger \\" in tex
    rows = [r for r in csv.DictReader(io.StringIO(RENDERERS["csv"](tables))) if r["verdict"]]
    assert [(r["table"], r["method"], r["column"], r["published_gain"], r["verdict"]) for r in rows] == [
        ("wmt-paper-bleu", "warmup", "average", "1.57", "larger"),
        ("wmt-paper-chrf++", "warmup", "average", "1.6", "larger"),
    ]
    (stored,) = json.loads(RENDERERS["json"](tables))["tables"][0]["published"]
    assert stored["claim"]["gain"] == 1.57
    assert stored["judgement"]["verdict"] == "larger"
    assert stored["measured"]["difference"] == published.measured.difference


def test_the_page_shows_it(tmp_path: Path) -> None:
    tables = paper_cells(tmp_path)
    page = render_html(tables, read_results(tmp_path))
    assert page.count('<table class="published">') == 2
    assert '<td class="cell">+1.57</td>' in page
    assert '<td class="cell">larger</td>' in page
