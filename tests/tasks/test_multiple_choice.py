"""The published multiple-choice sets, in their layouts."""

import json
from pathlib import Path

import pytest
from layouts import SIZES, load, options, words, write

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.multiple_choice import in_printed_order, question
from warmup_bench.tasks import logiqa2


def lettered(texts: list[str]) -> str:
    return "\n".join(f"{letter}) {text}" for letter, text in zip("ABCDE", texts, strict=False))


def test_a_question() -> None:
    example = question("q", ("It  rains.", ""), ["yes", " no\n"], 1, group="weather")
    assert example.source == "It rains.\nA) yes\nB) no"
    assert (example.id, example.target, example.options, example.group) == ("q", "B", ("A", "B"), "weather")
    for texts, answer in ((["a"], 0), (["a", "b"], 2), (["a", "b"], -1), (list("abcdefghijk"), 0)):
        with pytest.raises(UserError, match=f"example q has {len(texts)} options"):
            question("q", ("x",), texts, answer)


@pytest.mark.parametrize(
    ("options", "right"),
    [
        (["A.w", "B.x", "C.y", "D.z"], "wxyz"),
        (["A.w", "C.y", "B.x", "D.z"], "wxyz"),
        (["d) z", "c)y", "b? x", "A.  w"], "wxyz"),
        (
            ["A.w", "B.x", "The y of C.y", "D.z"],
            ["w", "x", "The y of C.y", "z"],
        ),  # it has the letter left over
        (["x", "A.w", "D.z", "y"], "wxyz"),
        (["w", "x", "y", "z"], "wxyz"),
        (["A.w", "B.x", "B.y", "D.z"], "wxyz"),  # a misprint: places count
        (["A.A is a doctor", "B.w"], ["A is a doctor", "w"]),
        (["E.coli", "A.w"], ["w", "E.coli"]),  # no fifth option: no letter
    ],
)
def test_options_stand_in_the_order_of_their_printed_letters(
    options: list[str], right: list[str] | str
) -> None:
    assert in_printed_order(options) == list(right)


def test_logiqa_labels_name_printed_letters(tmp_path: Path) -> None:
    path = write("logiqa", tmp_path) / "logiqa" / "Test.txt"
    blocks = ["", "c", "x < y < z", "Which is last?", "A.x", "C.z", "B.y", "D.none"]
    path.write_text("\n".join(blocks), encoding="utf-8")
    (example,) = load("logiqa", tmp_path).test
    assert example.source.endswith("\nA) x\nB) y\nC) z\nD) none")
    assert example.target == "C"


@pytest.mark.parametrize("kept", range(1, 8))
def test_a_logiqa_file_that_ends_within_a_question_is_refused(tmp_path: Path, kept: int) -> None:
    path = write("logiqa", tmp_path) / "logiqa" / "Test.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([*lines[:8], *lines[8 : 8 + kept], "x" * (kept == 1)]), encoding="utf-8")
    with pytest.raises(UserError, match=r"Test\.txt lines 9 to 16 are not an empty line, a letter"):
        load("logiqa", tmp_path)


def test_logiqa(tmp_path: Path) -> None:
    splits = load("logiqa", write("logiqa", tmp_path))
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == list(SIZES.values())
    example = splits.test[2]
    text, asked = words("logiqa test 2", 20), words("logiqa test 2 question", 6)
    assert example.source == f"{text}\n{asked}\n{lettered(options('logiqa test 2'))}"
    assert (example.id, example.target) == ("test-00002", "C")


def test_logiqa_blocks_that_are_shifted_are_refused(tmp_path: Path) -> None:
    write("logiqa", tmp_path)
    path = tmp_path / "logiqa" / "Eval.txt"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:10], *lines[11:]]))
    with pytest.raises(UserError, match=r"Eval\.txt lines 9 to 16 are not an empty line, a letter"):
        load("logiqa", tmp_path)


def test_logiqa2(tmp_path: Path) -> None:
    splits = load("logiqa2", write("logiqa2", tmp_path))
    example = splits.test[3]
    assert example.source.startswith(words("logiqa2 test 3", 20) + "\n")
    assert (example.id, example.target) == ("test-00003", "D")
    assert len(splits.train) == SIZES["train"]


def test_logiqa2_with_dev_standing_in_for_train_needs_no_training_file(tmp_path: Path) -> None:
    write("logiqa2", tmp_path)
    (tmp_path / "logiqa2" / "logiqa" / "DATA" / "LOGIQA" / "train.txt").unlink()
    splits = load("logiqa2", tmp_path, "dev-as-train")
    assert {e.id for e in (*splits.train, *splits.validation)} == {f"dev-{i:05d}" for i in range(6)}
    assert len(splits.validation) == 3
    assert "dev questions" in logiqa2.TASK.card.subsets["dev-as-train"].note
    with pytest.raises(UserError, match=r"data folder lacks train\.jsonl") as caught:
        load("logiqa2", tmp_path)
    assert caught.value.hint.endswith("--direction dev-as-train.")


def test_logiqa2_learns_from_no_dev_question_that_is_tested(tmp_path: Path) -> None:
    write("logiqa2", tmp_path)
    folder = tmp_path / "logiqa2" / "logiqa" / "DATA" / "LOGIQA"
    lines = (folder / "test.txt").read_text(encoding="utf-8").splitlines()
    lines.append((folder / "dev.txt").read_text(encoding="utf-8").splitlines()[2])
    (folder / "test.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    splits = load("logiqa2", tmp_path, "dev-as-train", "small")
    assert {e.id for e in (*splits.train, *splits.validation)} == {f"dev-{i:05d}" for i in (0, 1, 3, 4, 5)}
    assert len(splits.test) == len(lines)


def test_reclor_is_tested_on_the_published_validation_set(tmp_path: Path) -> None:
    splits = load("reclor", write("reclor", tmp_path))
    assert [e.id for e in splits.test] == [f"val_{i}" for i in range(SIZES["test"])]
    drawn = {e.id for e in (*splits.train, *splits.validation)}
    assert drawn == {f"train_{i}" for i in range(SIZES["train"])}
    assert splits.test[1].source.endswith(lettered(options("reclor test 1")))


def test_ar_lsat_has_four_or_five_options_and_passages_as_groups(tmp_path: Path) -> None:
    splits = load("ar-lsat", write("ar-lsat", tmp_path))
    assert {len(e.options) for e in splits.train} == {4, 5}
    assert {len(e.options) for e in splits.test} == {5}
    example = splits.test[4]
    passage, asked = words("lsat test passage 4", 30), words("lsat test 4 question", 8)
    assert example.source == f"{passage}\n{asked}\n{lettered(options('lsat test 4', 5))}"
    assert (example.target, example.group) == ("E", splits.test[5].group)
    assert example.group != splits.test[3].group


def test_an_answer_that_is_no_option_is_refused(tmp_path: Path) -> None:
    write("reclor", tmp_path)
    path = tmp_path / "reclor_data" / "val.json"
    rows = json.loads(path.read_text())
    rows[2]["label"] = 4
    path.write_text(json.dumps(rows))
    with pytest.raises(UserError, match=r"val\.json row 3: column label holds .4. and not a number"):
        load("reclor", tmp_path)
