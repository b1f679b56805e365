import statistics
from itertools import product
from pathlib import Path

import pytest
from stored import STATS, bleu, settings, store_cell

from warmup_bench.comparison import Comparison
from warmup_bench.contracts.errors import UserError
from warmup_bench.report.build import build_tables
from warmup_bench.report.layouts import LAYOUTS, layout, metric_keys
from warmup_bench.report.render import rendered
from warmup_bench.report.table import Column, Gain, Group, MeanScore, Missing, Row, Table
from warmup_bench.report.wording import _limits
from warmup_bench.store.results import read_results


def tables(out: Path, **options: object) -> list[Table]:
    return build_tables(read_results(out), STATS, **options)  # type: ignore[arg-type]


def score(table: Table, method: str, column: str, group: int = 0) -> MeanScore:
    cell = next(row for row in table.groups[group].rows if row.method == method).cells[column]
    assert isinstance(cell, MeanScore), cell
    return cell


def gain(table: Table, method: str, column: str, group: int = 0) -> Gain:
    gained = score(table, method, column, group).gain
    assert isinstance(gained, Gain), gained
    return gained


def comparison(table: Table, method: str, column: str) -> Comparison:
    return gain(table, method, column).comparison


def test_a_table_holds_means_spreads_differences_and_costs(tmp_path: Path) -> None:
    for seed, (sft, warmup) in enumerate([(20, 10), (24, 12)]):
        store_cell(tmp_path, "sft", seed, sft)
        store_cell(tmp_path, "warmup", seed, warmup, flop=4e9)
    (table,) = tables(tmp_path)
    (group,) = table.groups
    assert [row.method for row in group.rows] == ["sft", "warmup"]
    assert [row.baseline for row in group.rows] == [True, False]
    base = score(table, "sft", "bleu")
    assert base.values == pytest.approx((bleu(20), bleu(24)), abs=1e-9)
    assert base.spread == pytest.approx(statistics.stdev([bleu(20), bleu(24)]))
    assert base.gain is None
    gained = gain(table, "warmup", "bleu")
    expected = statistics.mean([bleu(10) - bleu(20), bleu(12) - bleu(24)])
    assert gained.comparison.difference == pytest.approx(expected, abs=1e-9)
    assert gained.comparison.low < expected < gained.comparison.high
    assert gained.corrected_p == gained.comparison.p_value < 0.01
    assert gained.finding.reach == "these models"
    assert gained.better
    cost = group.rows[1].cost
    assert cost is not None
    costs = (cost.times_baseline, cost.train_flops, cost.warmup_tokens, cost.peak_memory)
    assert costs == (4.0, 4e9, 1200, 5 * 10**8)
    assert (table.scale, table.columns[0].data, table.columns[0].examples) == ("mini", "feed", 30)
    assert table.title == "t all, nano"
    assert table.findings == (
        "2 seeds can't show what holds for others: warmup against sft at 4.0 times its training FLOPs: "
        f"better by {expected:.2f} BLEU for these 2 pairs alone (p = {gained.corrected_p:.1g} for these "
        f"models, p = {gained.finding.other_seeds_p:.3f} for other seeds).",
    )
    assert any("2 matched seeds" in note for note in table.notes.tests)


def test_holm_runs_over_every_comparison_of_a_metric(tmp_path: Path) -> None:
    for backbone in ("nano", "pico"):
        for method, wrong in (("sft", 20), ("near", 19), ("far", 5)):
            store_cell(tmp_path, method, 0, wrong, backbone=backbone)
    (table,) = tables(tmp_path)
    assert [group.name for group in table.groups] == ["nano", "pico"]
    assert table.title == "t all"
    raw = comparison(table, "near", "bleu").p_value
    assert raw == 1.0  # one discordant example: both of its two swaps are as extreme
    far = gain(table, "far", "bleu")
    assert far.corrected_p == pytest.approx(4 * far.comparison.p_value)  # 2 groups of 2
    assert (far.finding.reach, gain(table, "near", "bleu").finding.reach) == ("these models", "nobody")
    assert far.finding.other_seeds_p is None  # one seed
    assert "4 of BLEU and 4 of chrF++" in table.notes.tests[0]
    assert table.findings[0].startswith("nano: 1 seed can't show what holds for others: far against sft")
    assert "BLEU for this pair of models alone (p ≤ " in table.findings[0]
    assert "no difference in BLEU is shown (p = 1.000 for these models)." in table.findings[1]


def test_only_matched_seeds_are_compared(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 10)
    store_cell(tmp_path, "warmup", 1, 0)
    store_cell(tmp_path, "alone", 7, 3)
    (table,) = tables(tmp_path)
    c = comparison(table, "warmup", "bleu")
    assert c.seeds == 1
    assert c.difference == pytest.approx(bleu(10) - bleu(20), abs=1e-9)
    assert score(table, "alone", "bleu").gain == Missing("no matched seed")
    assert "alone: not compared with sft (no matched seed)." in table.findings
    (line,) = [note for note in table.notes.missing if "no difference" in note]
    assert line == "alone · BLEU, chrF++: no difference, no matched seed."
    assert "sft · BLEU, chrF++: 1 of 2 seeds (0)." in table.notes.missing


def directions(out: Path, prefix: str = "e") -> Table:
    """Three examples are wrong in each of two directions, and right with warmup."""
    for subset, data in (("de-en", "d1"), ("en-de", "d2")):
        for seed in (0, 1):
            ids = prefix if subset == "de-en" else "e"
            store_cell(out, "sft", seed, 3, subset=subset, data=data, prefix=ids)
            store_cell(out, "warmup", seed, 0, subset=subset, data=data, prefix=ids)
    first, second = tables(out)
    assert (first.title, second.title) == ("t, BLEU, nano", "t, chrF++, nano")
    return first


def test_directions_stand_in_columns_and_their_average_last(tmp_path: Path) -> None:
    table = directions(tmp_path)
    assert [column.key for column in table.columns] == ["de-en", "en-de", "average"]
    assert [column.data for column in table.columns] == ["d1", "d2", ""]
    assert table.main_column.subset is None
    assert score(table, "sft", "average").values == pytest.approx([bleu(3), bleu(3)])
    c = comparison(table, "warmup", "average")
    assert c.difference == pytest.approx(100 - bleu(3), abs=1e-9)
    assert "BLEU on average" in table.findings[0]


def test_translations_of_one_example_are_swapped_together(tmp_path: Path) -> None:
    # 3 examples differ: 8 swaps, of which the real one and its mirror image are the most extreme.
    assert comparison(directions(tmp_path), "warmup", "average").p_value == 2 / 8


def test_examples_with_other_ids_are_units_of_their_own(tmp_path: Path) -> None:
    table = directions(tmp_path, prefix="other")  # 6 differing units
    assert comparison(table, "warmup", "average").p_value == 2 / 64
    assert comparison(table, "warmup", "de-en").p_value == 2 / 8


def test_documents_are_swapped_whole(tmp_path: Path) -> None:
    documents = ["first"] * 2 + [f"d{i}" for i in range(28)]
    for subset in ("de-en", "en-de"):
        for method, wrong in (("sft", 3), ("warmup", 0)):
            store_cell(tmp_path, method, 0, wrong, subset=subset, groups=documents, data=subset)
    table, _ = tables(tmp_path)
    for column in ("de-en", "average"):
        assert comparison(table, "warmup", column).p_value == 2 / 4


def test_a_missing_cell_shows_its_reason_and_no_average(tmp_path: Path) -> None:
    for method in ("sft", "warmup"):
        store_cell(tmp_path, method, 0, 3, subset="de-en", data="d1")
    store_cell(tmp_path, "sft", 0, 3, subset="en-de", data="d2")
    store_cell(tmp_path, "other", 1, 2, subset="en-de", data="d2")
    table, _ = tables(tmp_path)
    rows = {row.method: row for row in table.groups[0].rows}
    reason = "not asked for by any spec that ran here"
    assert rows["warmup"].cells["en-de"] == Missing(reason)
    assert rows["warmup"].cells["average"] == Missing(f"en-de: {reason}")
    assert rows["other"].cells["de-en"] == Missing(reason)
    assert f"warmup: nothing to compare (en-de: {reason})." in table.findings
    assert f"warmup · en-de; other · de-en: missing, {reason}." in table.notes.missing


def test_without_the_baseline_nothing_is_compared(tmp_path: Path) -> None:
    store_cell(tmp_path, "warmup", 0, 3)
    (table,) = tables(tmp_path)
    assert score(table, "warmup", "bleu").gain == Missing("no baseline")
    assert table.findings == ("Nothing is compared here: that needs 'sft' and another method.",)
    assert table.scope == "No difference was tested, so nothing follows about one."
    assert table.notes.tests == ()
    assert table.groups[0].rows[0].cost.times_baseline is None


def test_scales_and_states_of_the_data_never_share_a_table(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 10)
    store_cell(tmp_path, "warmup", 0, 5, scale="small")
    store_cell(tmp_path, "warmup", 0, 4, data="other")
    store_cell(tmp_path, "warmup", 0, 3, settings=settings(limit={"test": 30}), data="third")
    store_cell(tmp_path, "warmup", 0, 3, task="u")
    all_tables = tables(tmp_path)
    assert len(all_tables) == 5
    for table in all_tables:
        assert len({column.data for column in table.columns}) == 1
    assert sorted(len(table.groups[0].rows) for table in all_tables) == [1, 1, 1, 1, 2]
    assert len({table.name for table in all_tables}) == 5


def test_the_state_of_other_subsets_does_not_matter(tmp_path: Path) -> None:
    for data in ("old", "new"):
        store_cell(tmp_path, "sft", 0, 3, subset="de-en", data=data)
    store_cell(tmp_path, "sft", 0, 3, subset="en-de", data="same")
    states = sorted((t.columns[0].subset, t.columns[0].data) for t in tables(tmp_path))
    assert states == [("de-en", "new"), ("de-en", "old"), ("en-de", "same")]


def test_cells_scored_with_another_signature_are_not_mixed_in(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 10)
    store_cell(tmp_path, "late", 0, 3)
    store_cell(tmp_path, "half", 0, 3, names=("bleu",))
    results = read_results(tmp_path)
    (late,) = [r for r in results if r.cell.method == "late"]
    late.scores[0]["signature"] += "|version:other"
    (table,) = build_tables(results, STATS)
    rows = {row.method: row.cells for row in table.groups[0].rows}
    mend = "; 'warmup-bench score FOLDER --metrics {}' scores all alike"
    assert rows["late"]["bleu"] == Missing("scored with another signature" + mend.format("bleu"))
    assert isinstance(rows["late"]["chrf++"], MeanScore)
    assert rows["half"]["chrf++"] == Missing("not scored with chrF++" + mend.format("chrf++"))
    assert isinstance(rows["half"]["bleu"], MeanScore)


def test_a_layout_chooses_columns_and_metrics(tmp_path: Path) -> None:
    directions(tmp_path)
    by_metric = tables(tmp_path, layout=LAYOUTS["metrics"])
    assert [[c.key for c in table.columns] for table in by_metric] == [["bleu", "chrf++"]] * 2
    assert [table.title for table in by_metric] == ["t de-en, nano", "t en-de, nano"]
    (only,) = tables(tmp_path, metrics=("chrf++",))
    assert only.columns[0].metric == "chrf++"
    assert [t.columns[0].metric for t in tables(tmp_path, layout=layout("translation"))] == ["bleu", "chrf++"]
    with pytest.raises(UserError, match=r"no stored cell has a score of macro-f1, accuracy.*bleu, chrf\+\+"):
        tables(tmp_path, layout=layout("logic"))
    with pytest.raises(UserError, match="unknown table 'tabel'"):
        layout("tabel")


def test_a_layout_takes_every_setting_of_its_metrics_in_its_order() -> None:
    stored = [("rougeL", "rougeL"), ("bertscore-a", "bertscore"), ("bertscore-b", "bertscore"), ("x", "x")]
    assert layout("summarization").choose(stored) == ("rougeL", "bertscore-a", "bertscore-b")
    assert layout("auto").choose(stored, ("x", "bertscore-a")) == ("bertscore-a", "x")
    assert layout("logic").choose(stored) == ()


def test_what_was_cut_and_what_metrics_say_is_told(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    results = read_results(tmp_path)
    results[0].ledger["truncated"] = 12
    results[0].scores[0]["notes"] = ["1 empty text scores 0"]
    (table,) = build_tables(results, STATS)
    assert table.notes.reading[1:] == (
        "Up to 12 examples of a cell, in training or test, were cut to the token limits.",
        "BLEU: 1 empty text scores 0 (in 1 of 1 cells).",
    )


def test_skipped_steps_are_told(tmp_path: Path) -> None:
    for method, seed in product(("sft", "warmup", "filler"), (0, 1)):
        store_cell(tmp_path, method, seed, 20)
    results = read_results(tmp_path)
    for result in results:
        lost = {"sft": (1, 0), "warmup": (2, 5), "filler": (0, 0)}[result.cell.method]
        result.ledger.update(steps=1200, skipped_steps=lost[result.cell.seed])
    tables = build_tables(results, STATS)
    assert tables[0].notes.reading[1:] == (
        "Steps skipped because the loss or its gradient was not finite, the most of any cell: "
        "sft 1 of 1,200, warmup 5 of 1,200.",
    )
    for name in ("text", "md", "latex", "html", "json"):
        assert "warmup 5 of 1,200" in " ".join(rendered(tables, results, (), name).split()), name


def test_metrics_are_found_by_key_or_name() -> None:
    stored = [("rougeL", "ROUGE-L"), ("chrf++", "chrF++")]
    assert metric_keys(["rouge-l", "CHRF++", "rougel"], stored) == ("rougeL", "chrf++")
    with pytest.raises(UserError, match=r"no stored score of metric 'blue'.*Stored: chrf\+\+, rougeL"):
        metric_keys(["blue"], stored)


def test_equal_compute_is_said_only_where_it_is_not(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 10, flop=1.02e9)
    assert "equal compute" not in tables(tmp_path)[0].scope
    store_cell(tmp_path, "dear", 0, 10, flop=3e9)
    assert "or at equal compute" in tables(tmp_path)[0].scope
    # A baseline that was given as much is a row of its own: what is compared has still spent more.
    store_cell(tmp_path, "sft", 0, 19, flop=3e9, matched="dear")
    assert "or at equal compute" in tables(tmp_path)[0].scope


def test_six_seeds_are_tested_over_seeds_too(tmp_path: Path) -> None:
    for seed in range(6):
        store_cell(tmp_path, "sft", seed, 20)
        store_cell(tmp_path, "warmup", seed, 10)
    (table,) = tables(tmp_path)
    assert comparison(table, "warmup", "bleu").seed_p_value == 2 / 64
    assert gain(table, "warmup", "bleu").finding.reach == "other seeds"
    assert table.findings[0].endswith(
        "BLEU, for other seeds too (p = 0.002 for these models, p = 0.031 for other seeds)."
    )
    assert "other seeds" not in table.scope


def test_a_difference_that_some_seeds_make_is_not_shown_for_others(tmp_path: Path) -> None:
    """Each of six pairs is compared on the same examples: p is small, but three seeds go the other way."""
    for seed, wrong in enumerate((0, 0, 0, 24, 24, 24)):
        store_cell(tmp_path, "sft", seed, 20)
        store_cell(tmp_path, "warmup", seed, wrong)
    (table,) = tables(tmp_path)
    gained = gain(table, "warmup", "bleu")
    assert gained.finding.reach == "these models"
    assert gained.comparison.low < 0 < gained.comparison.high
    assert gained.finding.other_seeds_p == max(
        gained.finding.corrected_joint_p, gained.comparison.seed_p_value
    )
    assert f"better by {gained.comparison.difference:.2f} BLEU for these 6 pairs alone" in table.findings[0]
    assert f"p = {gained.finding.other_seeds_p:.3f} for other seeds" in table.findings[0]
    assert "other seeds, other data" in table.scope


def test_a_column_in_which_nothing_can_show_is_told(tmp_path: Path) -> None:
    for method in ("sft", "warmup"):
        store_cell(tmp_path / "top", method, 0, 0)
        store_cell(tmp_path / "some", method, 0, 5)
    (table,) = tables(tmp_path / "top")
    assert [note for note in table.notes.reading if "the best there is" in note] == [
        f"{name} of {name}: every row is at 100.00, the best there is, so that no gain could show."
        for name in ("BLEU", "chrF++")
    ]
    assert not any("best there is" in note for note in tables(tmp_path / "some")[0].notes.reading)


def test_chance_is_told_of_metrics_of_labels() -> None:
    # 25% and two standard errors of 100 guesses among four: 25 + 2 * 100 * sqrt(.25 * .75 / 100) = 33.66
    column = Column("a", "en", "en", "accuracy", "accuracy", "accuracy", "labels:4|parse:x", True, "d", 100)

    def told(*scores: float) -> list[str]:
        rows = tuple(
            Row(str(i), not i, {"a": MeanScore((0,), (score,), None)}, None) for i, score in enumerate(scores)
        )
        return list(_limits([Group("g", "b", rows)], [column]))

    assert told(24.0, 33.6) == [
        "accuracy of en: no row is above what guessing among 4 labels gives on 100 examples (25 and two "
        "standard errors)."
    ]
    assert told(24.0, 33.7) == []


def test_a_margin_is_judged_beside_the_difference(tmp_path: Path) -> None:
    for seed, (a, b) in enumerate([(20, 20), (20, 21), (21, 20), (20, 20), (19, 20), (20, 19)]):
        store_cell(tmp_path, "sft", seed, a)
        store_cell(tmp_path, "warmup", seed, b)
    results = read_results(tmp_path)
    (table,) = build_tables(results, STATS.model_copy(update={"margin": 20.0}))
    assert "no difference above the margin of 20 BLEU" in table.findings[0]
    (table,) = build_tables(results, STATS.model_copy(update={"margin": 0.01}))
    assert "no difference in BLEU is shown, nor that it is within the margin of 0.01" in table.findings[0]


def test_a_tiny_test_set_beside_others_does_not_stop_their_average(tmp_path: Path) -> None:
    for subset in ("de-en", "en-de", "fr-en"):
        for method, wrong in (("sft", 3), ("warmup", 0)):
            store_cell(tmp_path, method, 0, wrong, subset=subset, data=subset, prefix=subset, size=4)
    average = comparison(tables(tmp_path)[0], "warmup", "average")
    assert average.examples == 12
    assert average.low > 0


def test_a_lower_score_can_be_the_better_one(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 10)
    results = read_results(tmp_path)
    for result in results:
        result.scores[0]["higher_is_better"] = False
    (table,) = build_tables(results, STATS)
    assert gain(table, "warmup", "bleu").better is False
    assert "worse by" in table.findings[0]
    assert gain(table, "warmup", "chrf++").better is True
