import statistics
from pathlib import Path

import pytest
import sacrebleu
from rich.console import Console

from harness.cell import Cell
from harness.errors import UserError
from harness.ledger import Ledger
from harness.report.render import flops, markdown, print_tables
from harness.report.table import build_tables, format_p
from harness.results import read_result, read_results
from harness.scoring import score_cell
from harness.spec import Score, Settings, Stats, make_settings
from harness.store import CorruptError, write_json, write_table, writing

STATS = Stats(randomizations=2000, resamples=500)
GOLD = [f"the cat number {i} sat on the red mat" for i in range(30)]


def store_cell(
    out: Path,
    method: str,
    seed: int,
    wrong: int,
    *,
    settings: Settings | None = None,
    flop: float = 1e9,
    code: str = "1",
    matched: str = "",
) -> Path:
    """A finished cell whose first ``wrong`` hypotheses lack a word, written as the stages write it."""
    cell = Cell(
        task="t",
        task_version=1,
        subset="all",
        scale="mini",
        backbone="nano",
        method=method,
        warmup="none" if method == "sft" else "sampled",
        seed=seed,
        settings=settings or Settings(),
        data="feed",
        code={"task": "1", "backbone": "1", "method": code},
        matched=matched,
    )
    folder = out / "cells" / cell.id
    with writing(out / "trainings" / cell.training_id) as path:
        write_json(path / "ledger.json", Ledger(steps=3, train_flops=flop, train_seconds=2.0).to_dict())
        write_json(path / "provenance.json", {"device": "cpu"})
    hypotheses = [gold.replace("red ", "") if i < wrong else gold for i, gold in enumerate(GOLD)]
    with writing(folder / "decode") as path:
        columns = {
            "id": [f"e{i}" for i in range(len(GOLD))],
            "group": [None] * len(GOLD),
            "source": GOLD,
            "references": [[gold] for gold in GOLD],
            "hypothesis": hypotheses,
        }
        write_table(path / "predictions.parquet", columns)
        write_json(path / "ledger.json", {"decode_flops": 1.0, "decode_seconds": 1.0, "truncated": 0})
        write_json(path / "cell.json", cell.model_dump(mode="json"))
        facts = {"target_language": "en", "labels": [], "metrics": ["bleu", "chrf++"], "references": 1}
        write_json(path / "task.json", facts)
    score_cell(folder, ["chrf++", "bleu"], Score())
    return folder


def bleu(wrong: int) -> float:
    hypotheses = [gold.replace("red ", "") if i < wrong else gold for i, gold in enumerate(GOLD)]
    return sacrebleu.corpus_bleu(hypotheses, [GOLD]).score


def test_a_table_holds_means_spreads_differences_and_costs(tmp_path: Path) -> None:
    for seed, (sft, warmup) in enumerate([(20, 10), (24, 12)]):
        store_cell(tmp_path, "sft", seed, sft)
        store_cell(tmp_path, "warmup", seed, warmup, flop=4e9)
    (table,) = build_tables(read_results(tmp_path), STATS)
    assert [row.method for row in table.rows] == ["sft", "warmup"]
    base, other = (row.figures["bleu"] for row in table.rows)
    assert base.values == pytest.approx((bleu(20), bleu(24)), abs=1e-9)
    assert base.spread == pytest.approx(statistics.stdev([bleu(20), bleu(24)]))
    assert base.comparison is None
    comparison = other.comparison
    assert comparison is not None
    expected = statistics.mean([bleu(10) - bleu(20), bleu(12) - bleu(24)])
    assert comparison.difference == pytest.approx(expected, abs=1e-9)
    assert comparison.low < expected < comparison.high
    assert other.corrected_p == comparison.p_value < 0.01
    assert (table.examples, table.scale, table.data) == (30, "mini", "feed")
    assert table.verdict.startswith(
        f"warmup against sft at 4.0 times its training FLOPs: better by {expected:.2f}"
    )
    assert any("2 matched seeds" in note for note in table.notes)


def test_holm_runs_over_the_methods_of_a_metric(tmp_path: Path) -> None:
    for method, wrong in (("sft", 20), ("near", 19), ("far", 5)):
        store_cell(tmp_path, method, 0, wrong)
    (table,) = build_tables(read_results(tmp_path), STATS)
    figures = {row.method: row.figures["bleu"] for row in table.rows}
    raw = {name: f.comparison.p_value for name, f in figures.items() if f.comparison}
    assert raw["near"] == 1.0  # one discordant example: both of its two swaps are as extreme
    assert figures["far"].corrected_p == pytest.approx(2 * raw["far"])
    assert figures["near"].corrected_p == 1.0
    assert "no difference that this test set can tell from 0" in table.verdict


def test_only_matched_seeds_are_compared(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 10)
    store_cell(tmp_path, "warmup", 1, 0)
    store_cell(tmp_path, "alone", 7, 3)
    (table,) = build_tables(read_results(tmp_path), STATS)
    figures = {row.method: row.figures["bleu"] for row in table.rows}
    comparison = figures["warmup"].comparison
    assert comparison is not None
    assert comparison.seeds == 1
    assert comparison.difference == pytest.approx(bleu(10) - bleu(20), abs=1e-9)
    assert figures["alone"].comparison is None
    assert "alone shares no seed with sft" in table.verdict
    assert "no matched seed" in markdown([table])


def test_cells_of_different_settings_never_share_a_table(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 10)
    store_cell(tmp_path, "warmup", 0, 5, settings=make_settings("a test", {"budget": {"steps": 9}}))
    tables = build_tables(read_results(tmp_path), STATS)
    assert sorted(len(table.rows) for table in tables) == [1, 2]
    lonely = min(tables, key=lambda table: len(table.rows))
    assert lonely.verdict.startswith("Nothing is compared here")


def test_rows_that_are_decoded_otherwise_share_the_table_and_say_so(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "sft", 0, 18, matched="warmup")
    store_cell(tmp_path, "warmup", 0, 10)
    for decode, wrong in (
        ({"warmup": "none"}, 15),
        ({"warmup": "sampled", "samples": 4, "select": "vote"}, 12),
    ):
        store_cell(tmp_path, "warmup", 0, wrong, settings=make_settings("a test", {"decode": decode}))
    store_cell(tmp_path, "warmup", 0, 14, settings=make_settings("a test", {"decode": {"beams": 3}}))
    (table,) = build_tables(read_results(tmp_path), STATS)
    assert [row.method for row in table.rows] == [
        "sft",
        "sft (FLOPs of warmup)",
        "warmup",
        "warmup · 4 sampled, vote",
        "warmup · beam 3",
        "warmup · warmup ablated",
    ]
    ablated = table.rows[-1].figures["bleu"].comparison
    assert ablated is not None
    assert ablated.difference == pytest.approx(bleu(15) - bleu(20), abs=1e-9)


def test_results_of_two_versions_of_the_code_are_kept_apart(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "mine", 0, 10, code="old")
    store_cell(tmp_path, "mine", 0, 5, code="new")
    (table,) = build_tables(read_results(tmp_path), STATS)
    names = [row.method for row in table.rows]
    assert names[0] == "sft"
    assert [name.split(" [code ")[0] for name in names[1:]] == ["mine", "mine"]
    assert len(set(names)) == 3
    assert sorted(row.figures["bleu"].mean for row in table.rows[1:]) == pytest.approx([bleu(10), bleu(5)])


def test_an_unfinished_cell_is_left_out_and_a_damaged_one_stops_the_report(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    half = store_cell(tmp_path, "warmup", 0, 10)
    (half / "decode" / "DONE.json").rename(half / "decode" / "elsewhere.json")
    assert [r.cell.method for r in read_results(tmp_path)] == ["sft"]
    (half / "decode" / "elsewhere.json").rename(half / "decode" / "DONE.json")
    (half / "decode" / "cell.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CorruptError, match=r"cell\.json"):
        read_result(half)
    with pytest.raises(UserError, match="no results folder"):
        read_results(tmp_path / "cells")


def test_renderers_show_the_same_numbers(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "a|b", 0, 10)
    tables = build_tables(read_results(tmp_path), STATS)
    text = markdown(tables)
    assert f"| sft | {bleu(20):.2f} | baseline |" in text
    assert f"| a\\|b | {bleu(10):.2f} | {bleu(10) - bleu(20):+.2f}<br>[" in text
    assert "`nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp" in text
    console = Console(width=60, record=True, file=(tmp_path / "sink").open("w"))
    print_tables(tables, console)
    narrow = console.export_text()
    assert narrow.count("a|b") == 3  # one grid a metric where two do not fit, and the verdict
    assert f"{bleu(10) - bleu(20):+.2f}" in narrow
    assert max(map(len, narrow.splitlines())) <= 60


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1.000"), (0.0503, "0.050"), (0.001, "0.001"), (0.0001, "0.0001"), (2e-6, "2e-06")]
)
def test_a_p_value_is_never_shown_as_0(p: float, text: str) -> None:
    assert format_p(p) == text


def test_operations_are_powers_of_ten() -> None:
    assert (flops(0), flops(5.444e11), flops(1)) == ("0", "5.44·10¹¹", "1.00·10⁰")
