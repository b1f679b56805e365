import shutil
from pathlib import Path
from typing import Any

import yaml
from stored import STATS, settings, store_cell

from warmup_bench.report.build import build_tables
from warmup_bench.report.planned import in_spec_order, planned_of, read_planned
from warmup_bench.report.table import MeanScore, Missing, Table
from warmup_bench.spec.cell import Cell
from warmup_bench.store.results import read_result, read_results

SPEC: dict[str, Any] = {
    "task": "t",
    "scale": "mini",
    "subsets": ["de-en", "en-de"],
    "backbones": {"nano": {}},
    "methods": ["sft", "warmup"],
    "seeds": [0, 1],
}


def with_spec(out: Path, **changes: Any) -> str:
    """Store a spec; returns the reason that cells of it get."""
    (out / "specs").mkdir(parents=True, exist_ok=True)
    number = len(list((out / "specs").iterdir()))
    (out / "specs" / f"s{number}.yaml").write_text(
        yaml.safe_dump(SPEC | changes, sort_keys=False), encoding="utf-8"
    )
    return f"asked for by spec s{number}, not finished: its run failed or was stopped"


def table(out: Path) -> Table:
    results = read_results(out)
    return build_tables(results, STATS, planned=read_planned(out, results))[0]


def cells(table: Table) -> dict[str, dict[str, MeanScore | Missing]]:
    return {row.method: row.cells for group in table.groups for row in group.rows}


def test_what_a_spec_asked_for_stands_as_missing(tmp_path: Path) -> None:
    reason = with_spec(tmp_path, match=["warmup"])
    store_cell(tmp_path, "sft", 0, 3, subset="de-en", data="d1")
    found = cells(table(tmp_path))
    assert list(found) == ["sft", "sft (FLOPs of warmup)", "warmup"]
    assert isinstance(found["sft"]["de-en"], MeanScore)
    assert found["sft"]["en-de"] == Missing(reason)
    missing = Missing(reason)
    average = Missing(f"de-en: {reason}")
    assert found["warmup"] == {"de-en": missing, "en-de": missing, "average": average}
    assert table(tmp_path).groups[0].rows[2].cost is None


def test_what_was_decoded_and_not_scored_says_so(tmp_path: Path) -> None:
    with_spec(tmp_path, subsets=["all"])
    store_cell(tmp_path, "sft", 0, 3)
    half = store_cell(tmp_path, "warmup", 0, 3)
    for scored in half.glob("score*"):
        shutil.rmtree(scored)
    assert cells(table(tmp_path))["warmup"]["bleu"] == Missing("decoded, but not scored")


def test_other_tasks_scales_settings_and_unreadable_specs_are_no_part_of_a_table(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 3)
    with_spec(tmp_path, task="u")
    with_spec(tmp_path, scale="small")
    with_spec(tmp_path, backbones={"nano": {"limit": {"test": 3}}})
    with_spec(tmp_path, taks="u")
    found = table(tmp_path)
    assert list(cells(found)) == ["sft"]
    assert found.columns[0].key == "bleu"


def test_a_backbone_that_was_never_finished_is_a_group_of_missing_rows(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 3)
    with_spec(tmp_path, subsets=["all"], backbones={"org/pico": {}}, methods=["sft"])
    found = table(tmp_path)
    assert [group.name for group in found.groups] == ["nano", "org--pico"]
    assert isinstance(found.groups[1].rows[0].cells["bleu"], Missing)
    assert found.groups[1].rows[0].baseline


def test_plugins_by_file_have_no_name_that_a_spec_tells(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 3)
    with_spec(tmp_path, task="./t.py", subsets=["all"], methods=["sft", "./mine.py", "warmup"])
    with_spec(tmp_path, subsets=["all"], backbones={"./nano.py": {}}, methods=["draft"])
    assert list(cells(table(tmp_path))) == ["sft", "warmup"]


def test_a_failed_cell_carries_its_error(tmp_path: Path) -> None:
    result = read_result(store_cell(tmp_path, "sft", 0, 3))
    cell: Cell = result.cell.model_copy(update={"method": "warmup", "settings": settings()})
    (found,) = build_tables([result], STATS, planned=[planned_of(cell, "failed: out of memory")])
    assert cells(found)["warmup"]["bleu"] == Missing("failed: out of memory")


def test_of_several_rows_of_a_method_none_is_taken_for_the_planned_one(tmp_path: Path) -> None:
    store_cell(tmp_path, "mine", 0, 3, code="old")
    store_cell(tmp_path, "mine", 0, 3, code="new")
    with_spec(tmp_path, subsets=["all"], methods=["mine"])
    assert list(cells(table(tmp_path))) == ["mine [code new]", "mine [code old]"]


def test_columns_and_groups_stand_in_the_order_of_the_specs(tmp_path: Path) -> None:
    for subset in ("a", "b", "c"):
        for backbone in ("nano", "pico"):
            store_cell(tmp_path, "sft", 0, 3, subset=subset, data=subset, backbone=backbone)
    with_spec(tmp_path, subsets=["c", "a"], backbones={"pico": {}, "nano": {}})
    found = build_tables(in_spec_order(tmp_path, read_results(tmp_path)), STATS)[0]
    assert [column.key for column in found.columns] == ["c", "a", "b", "average"]
    assert [group.name for group in found.groups] == ["pico", "nano"]


def test_rows_stand_in_the_order_of_the_specs_with_variants_after_their_method(tmp_path: Path) -> None:
    for method in ("sft", "random", "warmup", "beside"):
        store_cell(tmp_path, method, 0, 3)
    store_cell(tmp_path, "sft", 0, 3, matched="warmup")
    store_cell(tmp_path, "warmup", 0, 2, settings=settings(decode={"warmup": "none"}))
    store_cell(tmp_path, "random", 0, 2, settings=settings(decode={"warmup": "none"}))
    with_spec(tmp_path, subsets=["all"], methods=["warmup", "sft", "random"], match=["warmup"])
    found = build_tables(in_spec_order(tmp_path, read_results(tmp_path)), STATS)[0]
    assert [row.method for row in found.groups[0].rows] == [
        *("sft", "sft (FLOPs of warmup)"),  # the baseline first, wherever the spec names it
        *("warmup", "warmup · warmup ablated"),
        *("random", "random · warmup ablated"),
        "beside",  # no spec names it
    ]


def test_another_way_of_decoding_that_is_not_finished_is_told(tmp_path: Path) -> None:
    for seed in (0, 1):
        store_cell(tmp_path, "sft", seed, 3)
        store_cell(tmp_path, "warmup", seed, 3)
    store_cell(tmp_path, "warmup", 0, 2, settings=settings(decode={"warmup": "none"}))
    ways = {"warmup": [{"warmup": "none"}, {"warmup": "shuffled"}]}
    with_spec(tmp_path, subsets=["all"], methods=["sft", "warmup"], decodings=ways, seeds=[0, 1])
    planned = read_planned(tmp_path, read_results(tmp_path))
    waiting = [(p.label, p.seed, p.settings.decode.warmup) for p in planned]
    assert sorted(waiting) == [("warmup", 0, "shuffled"), ("warmup", 1, "none"), ("warmup", 1, "shuffled")]
    found = table(tmp_path)
    assert isinstance(cells(found)["warmup · warmup shuffled"]["bleu"], Missing)
    assert "warmup · warmup ablated · BLEU, chrF++: 1 of 2 seeds (0)." in found.notes.missing
