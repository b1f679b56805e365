from pathlib import Path

import pytest
from stored import settings, store_cell

from warmup_bench.contracts.errors import UserError
from warmup_bench.report.sheets import Sheet, sheets, slug
from warmup_bench.store.folders import CorruptError
from warmup_bench.store.results import read_result, read_results


def only(out: Path) -> Sheet:
    (sheet,) = sheets(read_results(out))
    return sheet


def labels(out: Path) -> list[str]:
    (block,) = only(out).blocks
    return sorted(block.lines)


def test_rows_that_are_decoded_otherwise_say_so(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "sft", 0, 18, matched="warmup")
    store_cell(tmp_path, "warmup", 0, 10)
    vote = {"warmup": "sampled", "samples": 4, "select": "vote"}
    for decode in ({"warmup": "none"}, vote, {"beams": 3}, {"max_tokens": 9}):
        store_cell(tmp_path, "warmup", 0, 15, settings=settings(decode=decode))
    assert labels(tmp_path) == [
        "sft",
        "sft (FLOPs of warmup)",
        "warmup",
        "warmup · 4 sampled, vote",
        "warmup · beam 3",
        "warmup · decode.max_tokens=9",
        "warmup · warmup ablated",
    ]


def test_how_warmups_are_sampled_is_a_row_and_the_baseline_stays(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "sft", 1, 20, settings=settings(warmup={"samples": 8}))  # which it does not read
    store_cell(tmp_path, "warmup", 0, 10)
    store_cell(tmp_path, "warmup", 0, 11, settings=settings(warmup={"samples": 8}))
    assert labels(tmp_path) == ["sft", "warmup", "warmup · warmup.samples=8"]
    (block,) = only(tmp_path).blocks
    assert block.warmups == {"samples": 4, "max_tokens": 6, "temperature": 1.0}


def test_a_matched_row_says_whose_flops_it_was_given(tmp_path: Path) -> None:
    """Samples were changed between two runs in a folder, after one by a version that noted no training."""
    store_cell(tmp_path, "sft", 0, 17, matched="warmup")
    for seed in (0, 1):
        usual = store_cell(tmp_path, "warmup", seed, 10)
        more = store_cell(tmp_path, "warmup", seed, 11, settings=settings(warmup={"samples": 8}))
        for wrong, folder in ((18, usual), (19, more)):
            training = read_result(folder).cell.training_id
            store_cell(tmp_path, "sft", seed, wrong, matched="warmup", matched_training=training)
    store_cell(tmp_path, "warmup", 1, 15, settings=settings(decode={"warmup": "none"}))
    (block,) = only(tmp_path).blocks
    matched = {name: sorted(line.results["all"]) for name, line in block.lines.items() if "sft" in name}
    assert matched == {
        "sft (FLOPs of warmup)": [0, 1],
        "sft (FLOPs of warmup · warmup.samples=8)": [0, 1],
        "sft (FLOPs of warmup, settings not known)": [0],
    }


def test_a_lever_of_one_method_is_told_in_a_note_and_its_row_keeps_its_name(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "plain", 0, 12)
    for seed in (0, 1):
        store_cell(tmp_path, "warmup", seed, 10, settings=settings(warmup={"format_share": 0.5}))
    lesser = {"format_share": 0.5, "samples": 2}
    store_cell(tmp_path, "warmup", 0, 11, settings=settings(warmup=lesser))
    assert labels(tmp_path) == ["plain", "sft", "warmup", "warmup · warmup.samples=2"]
    (block,) = only(tmp_path).blocks
    assert block.apart == {"warmup.format_share": "plain 0; warmup 0.5"}
    assert block.warmups == {"samples": 4, "max_tokens": 6, "temperature": 1.0}


def test_given_warmups_make_rows_by_what_their_cells_are_named_by(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "oracle", 0, 12, warmup="given")
    for other in ({"samples": 8}, {"temperature": 0.5}):
        store_cell(tmp_path, "oracle", 0, 11, warmup="given", settings=settings(warmup=other))
    expected = ["oracle", "oracle · warmup.samples=8", "oracle · warmup.temperature=0.5", "sft"]
    assert labels(tmp_path) == expected


def test_methods_that_give_their_warmups_have_no_say_in_how_others_are_sampled(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "filler", 0, 12, warmup="given")
    store_cell(tmp_path, "warmup", 0, 10, settings=settings(warmup={"samples": 8, "max_tokens": 3}))
    assert labels(tmp_path) == ["filler", "sft", "warmup"]
    (block,) = only(tmp_path).blocks
    assert block.apart == {"warmup.max_tokens": "filler 6; warmup 3"}
    assert block.warmups == {"samples": 8, "temperature": 1.0}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("log_every", 3), ("eval_every", 3), ("eval_examples", 3), ("checkpoint_every", 50)),
        *(("deterministic", True), ("max_skipped", 0.5)),
    ],
)
def test_what_changes_no_number_splits_nothing(tmp_path: Path, key: str, value: object) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 20, settings=settings(train={key: value}))
    assert labels(tmp_path) == ["sft", "warmup"]
    assert len(only(tmp_path).blocks) == 1


def test_two_folders_of_one_name_are_told_apart_by_their_content(tmp_path: Path) -> None:
    for content in ("0123456789ab", "fedcba987654"):
        for method in ("sft", "warmup"):
            store_cell(tmp_path, method, 0, 20, backbone_code=content)
    names = [block.name for block in only(tmp_path).blocks]
    assert sorted(names) == ["nano · backbone 01234567", "nano · backbone fedcba98"]


def test_other_training_settings_are_another_group_that_names_them(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "warmup", 0, 5, settings=settings(budget={"flops": 1e12}, train={"dropout": 0.1}))
    assert sorted(block.name for block in only(tmp_path).blocks) == [
        "nano · budget.flops=1e+12 · train.dropout=0.1",
        "nano · budget.steps=250 · train.dropout=0",
    ]


def test_results_of_two_versions_of_the_code_are_kept_apart(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    store_cell(tmp_path, "mine", 0, 10, code="old")
    store_cell(tmp_path, "mine", 0, 5, code="new")
    assert labels(tmp_path) == ["mine [code new]", "mine [code old]", "sft"]


def test_an_unfinished_cell_is_left_out_and_a_damaged_one_stops_the_report(tmp_path: Path) -> None:
    store_cell(tmp_path, "sft", 0, 20)
    half = store_cell(tmp_path, "warmup", 0, 10)
    (half / "decode").rename(half / ".decode.tmp")
    assert [r.cell.method for r in read_results(tmp_path)] == ["sft"]
    (half / ".decode.tmp").rename(half / "decode")
    (half / "decode" / "DONE.json").rename(tmp_path / "elsewhere.json")
    with pytest.raises(CorruptError, match=r"has lost its DONE\.json"):
        read_results(tmp_path)
    (tmp_path / "elsewhere.json").rename(half / "decode" / "DONE.json")
    (half / "decode" / "cell.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CorruptError, match=r"cell\.json"):
        read_result(half)
    with pytest.raises(UserError, match="not a results folder"):
        read_results(tmp_path / "cells")


def test_the_log_of_a_training_is_read_back(tmp_path: Path) -> None:
    lines = [{"step": 1, "flops": 2.0}, {"step": 1, "validation": {"loss": 0.5}}]
    (folder,) = [store_cell(tmp_path, "sft", 0, 20, log=lines)]
    result = read_result(folder)
    assert result.training_log() == lines
    log = tmp_path / "trainings" / result.cell.training_id / "log.jsonl"
    log.write_text("{half", encoding="utf-8")
    with pytest.raises(CorruptError, match=r"log\.jsonl can't be read"):
        result.training_log()


def test_names_of_files_and_anchors_are_plain() -> None:
    assert slug("a/b c", "mini", "chrF++") == "a-b-c-mini-chrf++"
    assert slug("../Ü") == "..--"
