"""``warmup-bench compare`` and ``score`` on files as people have them."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from pathlib import Path

import pandas as pd
import pytest
import sacrebleu

GOLD = [f"the cat number {i} sat on the red mat of house {i * 7}" for i in range(20)]
BASE = [text.replace("red ", "") if i % 2 else text for i, text in enumerate(GOLD)]
MINE = [text.replace("sat", "sits") if i % 5 == 0 else text for i, text in enumerate(GOLD)]


def write(name: str, lines: list[str]) -> str:
    Path(name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return name


@pytest.fixture
def files(call):
    """Three text files in the folder that ``call`` works in."""
    return [write(name, lines) for name, lines in (("base", BASE), ("mine", MINE), ("ref", GOLD))]


def bleu(lines, *references):
    return sacrebleu.corpus_bleu(lines, list(references or (GOLD,))).score


def scores(call, *arguments):
    """Score of the baseline and of the other system, BLEU."""
    code, out, error = call("compare", *arguments, "--metric", "bleu", "--format", "json")
    assert code == 0, error
    (line,) = json.loads(out)["lines"]
    return line["comparison"]["score_a"], line["comparison"]["score_b"], line["system"]


EXPECTED = [pytest.approx(bleu(BASE))], [pytest.approx(bleu(MINE))]


@pytest.mark.parametrize(
    ("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_byte_order_marks_line_ends_and_packed_files(call, files, suffix, pack, end, mark):
    name = f"other.txt{suffix}"
    Path(name).write_bytes(pack(mark + end.join([*MINE, ""]).encode()))
    assert scores(call, "base", name, "--ref", "ref") == (*EXPECTED, name)
    assert scores(call, "base", "mine", "--ref", name)[1] == [100.0]


def test_standard_input_is_read_once(call, files, monkeypatch):
    for arguments in (["base", "-", "--ref", "ref"], ["base", "mine", "--ref", "-"]):
        text = "\n".join(MINE if "ref" in arguments else GOLD)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + text.encode())))
        assert scores(call, *arguments)[:2] == EXPECTED
    code, _, error = call("compare", "-", "mine", "--ref", "-")
    assert (code, error) == (
        2,
        "error: standard input can be read once (from -). Name files for the others.\n",
    )


def table(suffix):
    path = Path(f"all{suffix}")
    frame = pd.DataFrame({"id": range(20), "base": BASE, "my out": MINE, "gold": GOLD})
    if suffix.startswith(".jsonl"):
        frame.to_json(path, orient="records", lines=True)
    elif suffix == ".json":
        frame.to_json(path, orient="records")
    elif suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
    return str(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".json", ".csv", ".csv.xz", ".tsv", ".parquet"])
def test_columns_of_tables(call, files, suffix):
    name = table(suffix)
    found = scores(
        call, f"{name}:base", f"new={name}:my out", "--ref", f"{name}:gold", "--groups", f"{name}:id"
    )
    assert found == (*EXPECTED, "new")
    code, out, error = call("compare", "base", name, "--ref", "ref")
    assert (code, out) == (2, "")
    message = f"error: {name} is a table, and no column of it is named. Its columns: id, base, my out, gold. "
    assert error == f"{message}Write {name}:gold.\n"
    error = call("compare", "base", f"{name}:mine", "--ref", "ref")[2]
    assert error == f"error: {name} has no column 'mine'. Its columns: id, base, my out, gold.\n"


def test_nested_keys_lists_of_references_and_whole_numbers(call, files):
    rows = [
        {"out": {"text": m}, "refs": [g, "x"], "n": i}
        for i, (m, g) in enumerate(zip(MINE, GOLD, strict=True))
    ]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert scores(call, "base", "rows.jsonl:out.text", "--ref", "rows.jsonl:refs")[1] == [
        pytest.approx(bleu(MINE, GOLD, ["x"] * 20))
    ]
    for column, message in (
        ("out.txt", "has nothing under 'out.txt'"),
        ("refs", 'row 1 of rows.jsonl:refs holds ["the cat number 0'),
    ):
        code, _, error = call("compare", "base", f"rows.jsonl:{column}", "--ref", "ref")
        assert code == 2
        assert message in error
    arguments = [
        "rows.jsonl:n",
        "rows.jsonl:n",
        "--ref",
        "rows.jsonl:n",
        "--labels",
        ",".join(map(str, range(20))),
    ]
    content = json.loads(call("compare", *arguments, "--metric", "accuracy", "--format", "json")[1])
    assert content["lines"][0]["comparison"]["score_b"] == [100.0]


def test_lines_of_json_are_no_prose_whatever_the_file_is_called(call, files):
    write("rows.txt", [json.dumps({"text": text}) for text in MINE])
    error = call("compare", "base", "rows.txt", "--ref", "ref")[2]
    assert error.startswith("error: rows.txt is a table, and no column of it is named. Its columns: text.")
    assert scores(call, "base", "rows.txt:text", "--ref", "ref")[:2] == EXPECTED
    error = call("compare", "base", "mine:text", "--ref", "ref")[2]
    assert error.startswith("error: mine is no table with columns. Tables end in .jsonl")


def test_names_are_shown_and_runs_joined(call, files):
    found = scores(call, "SFT=base,base", "Ours α=mine,base", "--ref", "ref")
    assert found == (EXPECTED[0] * 2, [EXPECTED[1][0], EXPECTED[0][0]], "Ours α")
    write("a=b", MINE)
    assert scores(call, "base", "a=b", "--ref", "ref") == (*EXPECTED, "a=b")
    assert scores(call, "base", "x=a=b", "--ref", "ref") == (*EXPECTED, "x")
    error = call("compare", "x=base", "x=mine", "--ref", "ref")[2]
    assert error == "error: two systems have the name 'x'. Give each a name of its own.\n"


def test_an_empty_line_is_a_missing_reference(call):
    """The same as sacreBLEU's None: the closest length and the clipping know one reference of line 1."""
    hypothesis = write("hyp", ["the old dog", "they sing all night long"])
    write("base", ["a dog runs", "they dance"])
    first = ["the old dog ran over the long bridge today", "they sing all night long"]
    second = ["", "they sang all night long"]
    arguments = ["base", hypothesis, "--ref", write("r1", first), "--ref", write("r2", second)]
    expected = sacrebleu.corpus_bleu(
        ["the old dog", "they sing all night long"], [first, [None, second[1]]]
    ).score
    wrong = sacrebleu.corpus_bleu(["the old dog", "they sing all night long"], [first, second]).score
    assert scores(call, *arguments)[1] == [pytest.approx(expected)]
    assert wrong > expected + 20
    for metric in ("chrf++", "rougeL"):
        alone = json.loads(call("compare", *arguments, "--metric", metric, "--format", "json")[1])
        assert "1 of 2 segments have fewer references than others" in alone["notes"]
    write("r1", ["", first[1]])
    code, _, error = call("compare", *arguments)
    assert code == 2
    assert error.startswith("error: line 1 has no reference (from --ref r1 --ref r2). Give it one, or leave")


def test_one_system_alone_has_scores_with_intervals(call, files):
    code, out, error = call("compare", "mine", "--ref", "ref", "--format", "json")
    assert code == 0, error
    first, second = json.loads(out)["scores"]
    assert (first["key"], second["key"]) == ("bleu", "chrf++")
    assert first["scores"] == [pytest.approx(bleu(MINE))]
    assert first["low"] < bleu(MINE) < first["high"]
    for format_, shown in (
        ("text", f"{bleu(MINE):.2f}"),
        ("md", f"| BLEU | {bleu(MINE):.2f} |"),
        ("csv", "bleu"),
    ):
        assert shown in call("compare", "mine", "--ref", "ref", "--format", format_)[1]
    code, out, _ = call("score", "new=mine", "--ref", "ref", "--metrics", "bleu", "--format", "csv")
    assert code == 0
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["metric"], row["system"], float(row["score"])) == ("BLEU", "new", pytest.approx(bleu(MINE)))


def test_the_interval_of_one_system_is_students(call, files):
    write("gold", ["A", "B"] * 50)
    write("out", ["A"] * 100)
    arguments = ["compare", "out", "--ref", "gold", "--labels", "A,B", "--metric", "accuracy"]
    (line,) = json.loads(call(*arguments, "--format", "json")[1])["scores"]
    assert line["scores"] == [50.0]
    # 2.5% and 97.5% of Binomial(100, 1/2) are 40 and 60; of Student's t with 99 degrees 40.03 and 59.97.
    half = 1.98422 * 100 * (0.25 / 99) ** 0.5
    assert (line["low"], line["high"]) == (
        pytest.approx(50 - half, abs=1e-4),
        pytest.approx(50 + half, abs=1e-4),
    )


def test_languages(call, files):
    chinese = ["今天天气很好我们去公园散步吧", "他昨天买了一本新书"]
    write("zh.base", ["今天天气不好我们去公园走路吧", chinese[1]])
    write("zh.ref", chinese)
    expected = sacrebleu.corpus_bleu(
        Path("zh.base").read_text("utf-8").splitlines(), [chinese], tokenize="zh"
    ).score
    for code in ("zh", "zh-CN", "zh_TW", "zho", "cmn_Hans"):
        found = scores(call, "zh.ref", "zh.base", "--ref", "zh.ref", "--language", code)
        assert found[1] == [pytest.approx(expected)]
    code, out, error = call("compare", "base", "mine", "--ref", "ref", "--language", "klingonic")
    assert (code, out) == (2, "")
    assert error.startswith("error: 'klingonic' is no language code (from --language).")


def test_labels_that_are_not_stated_are_told(call):
    write("gold", ["A", "B", "C", "D"])
    write("bare", ["A", "B", "C", "A"])
    write("wrapped", ["**A**", "$B$", "The answer is C", "I don't know"])
    arguments = ["compare", "bare", "wrapped", "--ref", "gold", "--labels", "A,B,C,D", "--metric", "accuracy"]
    content = json.loads(call(*arguments, "--format", "json")[1])
    assert content["lines"][0]["comparison"]["score_b"] == [75.0]
    note = "wrapped: 1 of 4 outputs (25%) state no label and count as wrong, such as 'I don't know'"
    assert note in content["notes"]
    write("gold", ["A", "B", "C", "E"])
    error = call(*arguments)[2]
    assert error.startswith(
        "error: references that are none of the labels A, B, C, D: line 4 has 'E' (from --labels)"
    )


def test_what_a_task_checks_is_told_of_texts(call, files):
    spoiled = ["", "Gr\ufffdn", *(f"{text.replace('house', 'ho@@ use')} ." for text in MINE[2:])]
    write("odd", spoiled)
    notes = json.loads(call("compare", "base", "odd", "--ref", "ref", "--format", "json")[1])["notes"]
    told = [note for note in notes if note.startswith("odd: ")]
    assert told == [
        "odd: 1 of 20 outputs are empty (line 1)",
        "odd: 1 of 20 outputs hold U+FFFD (line 2): they were read under another encoding once",
        "odd: 18 of 20 outputs show marks of a tokeniser (' .', '@@', '▁', '&apos;'), unlike the references: "
        "metrics tokenise by themselves, so give them plain text",
    ]
    notes = json.loads(call("compare", "base", "ref", "--ref", "ref", "--format", "json")[1])["notes"]
    assert "ref: its outputs are the references themselves" in notes
    write("apart", ["o\u0308\u200b" + text for text in MINE])
    write("long", [f"{text} {text}" for text in MINE])
    notes = json.loads(call("compare", "apart", "long", "--ref", "ref", "--format", "json")[1])["notes"]
    assert "apart: 20 of 20 outputs hold characters of no width (line 1, line 2, line 3 and 17 more)" in notes
    assert any(note.startswith("apart: the outputs hold letters in parts (NFD)") for note in notes)
    assert any(
        note.startswith("long: its outputs have ") and "times the characters" in note for note in notes
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["base", "mine", "--src", "ref"], "--src is for text files; stored cells know their own."),
        (["base", "mine", "--language", "de"], "--language is for text files"),
        (["base", "mine", "--ref", "none"], "can't read none: there is no such file (from --ref)."),
        (["base", "none", "--ref", "ref"], "can't read none: there is no such file."),
        (["base", ".", "--ref", "ref"], "can't read .: it is a folder."),
        (["base", "mine", "--ref", "ref", "--src", "short"], "short has 1 lines, ref has 20 (from --src)."),
        (
            ["base", "mine", "--ref", "ref", "--groups", "short"],
            "short has 1 lines, ref has 20 (from --groups).",
        ),
        (["base", "cut.gz", "--ref", "ref"], "cut.gz can't be read: "),
    ],
)
def test_errors_name_what_was_typed(call, files, arguments, message):
    write("short", ["one"])
    Path("cut.gz").write_bytes(gzip.compress(b"one\n" * 20)[:-9])
    code, out, error = call("compare", *arguments)
    assert (code, out) == (2, "")
    assert error.startswith(f"error: {message}"), error
    assert error.count("\n") == 1


def test_options_of_texts_need_references(call, files):
    code, _, error = call("score", "runs", "--labels", "A,B")
    assert (code, error) == (2, "error: --labels is for texts. Name their references with --ref.\n")
    assert "mine is a file and not a results folder. Texts need --ref." in call("score", "mine")[2]
    for options, message in (
        (["--device", "cpu"], "texts are scored on a GPU where there is one (from --device)"),
        (["--set", "train.steps=2"], "train"),
        (
            ["--metrics", "bertscore", "--set", "score.bertscore.model=./nowhere"],
            "nowhere is not on this machine",
        ),
    ):
        code, out, error = call("score", "mine", "--ref", "ref", *options)
        assert (code, out) == (2, "")
        assert message in error
