"""``warmup-bench compare`` on text files and on stored cells, in this process."""

import csv
import io
import json
import random
from pathlib import Path

import pytest
import sacrebleu

from warmup_bench.comparison.where import choose, telling_apart
from warmup_bench.contracts.settings import Score, Settings
from warmup_bench.score.cells import score_cell
from warmup_bench.spec.cell import Cell
from warmup_bench.store.folders import write_json, write_table, writing
from warmup_bench.store.results import read_result
from warmup_bench.train.ledger import Ledger

GOLD = [f"the cat number {i} sat on the red mat of house {i * 7}" for i in range(40)]


def hypotheses(wrong, seed=0):
    """The first ``wrong`` lack a word; a seed spoils one line more."""
    lines = [g.replace("red ", "") if i < wrong else g for i, g in enumerate(GOLD)]
    lines[39 - seed] = "nothing"
    return lines


def bleu(wrong, seed=0, start=0):
    return sacrebleu.corpus_bleu(hypotheses(wrong, seed)[start:], [GOLD[start:]]).score


def store_cell(
    out, method, seed, wrong, *, examples=range(40), gold=GOLD, group=None, decode=None, backbone="nano"
):
    settings = Settings() if decode is None else Settings(decode=decode)
    cell = Cell(
        task="t",
        task_version=1,
        subset="all",
        scale="mini",
        backbone=backbone,
        method=method,
        warmup="sampled",
        seed=seed,
        settings=settings,
        data="feed",
        code={"task": "1", "backbone": "1", "method": "1"},
    )
    folder = out / "cells" / cell.id
    training = out / "trainings" / cell.training_id
    if not training.exists():
        with writing(training) as path:
            write_json(path / "ledger.json", Ledger(steps=3, train_flops=1.0, train_seconds=2.0).to_dict())
            write_json(path / "provenance.json", {"device": "cpu"})
    lines = hypotheses(wrong, seed)
    with writing(folder / "decode") as path:
        columns = {
            "id": [f"e{i}" for i in examples],
            "group": [group and group(i) for i in examples],
            "source": [f"source {i}" for i in examples],
            "references": [[gold[i]] for i in examples],
            "hypothesis": [lines[i] for i in examples],
        }
        write_table(path / "predictions.parquet", columns)
        write_json(path / "ledger.json", {"decode_flops": 1.0, "decode_seconds": 1.0, "truncated": 0})
        write_json(path / "cell.json", cell.model_dump(mode="json"))
        facts = {"target_language": "en", "labels": [], "metrics": ["bleu", "chrf++"], "references": 1}
        write_json(path / "task.json", facts)
    score_cell(folder, ("bleu", "chrf++"), Score())
    return folder


@pytest.fixture
def texts(tmp_path):
    rng = random.Random(4)
    for name, share in (("a", 0.7), ("b", 0.8), ("c", 0.7)):
        lines = [" ".join(w if rng.random() < share else "x" for w in g.split()) for g in GOLD]
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "ref").write_text("\n".join(GOLD) + "\n", encoding="utf-8")
    (tmp_path / "src").write_text("".join(f"Quelle {i}\n" for i in range(40)), encoding="utf-8")
    return tmp_path


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines()


def test_text_files_with_every_number_in_json(call, texts):
    arguments = ["compare", "a", "b", "c", "--ref", "ref", "--src", "src", "--examples", 2]
    code, out, _ = call(*arguments, "--format", "json")
    assert code == 0
    content = json.loads(out)
    lines = [(line["key"], line["system"]) for line in content["lines"]]
    assert lines == [("bleu", "b"), ("bleu", "c"), ("chrf++", "b"), ("chrf++", "c")]
    first = content["lines"][0]
    scores = [sacrebleu.corpus_bleu(lines_of(texts / name), [GOLD]).score for name in "ab"]
    assert first["comparison"]["score_a"] == pytest.approx([scores[0]])
    assert first["comparison"]["difference"] == pytest.approx(scores[1] - scores[0])
    assert first["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a")
    raw = [line["comparison"]["p_value"] for line in content["lines"][:2]]
    corrected = [line["finding"]["corrected_p"] for line in content["lines"][:2]]
    assert min(corrected) == pytest.approx(2 * min(raw))
    moved = [m for m in content["moved"] if m["system"] == "b"]
    assert [m["influence"] > 0 for m in moved] == [True, True, False, False]
    assert moved[0]["influence"] >= moved[1]["influence"]
    number = int(moved[0]["id"].removeprefix("line ")) - 1
    assert moved[0]["source"] == f"Quelle {number}"
    assert moved[0]["system_output"] == lines_of(texts / "b")[number]


def test_the_four_formats_show_the_same_numbers(call, texts):
    arguments = ["compare", "a", "b", "--ref", "ref", "--randomizations", 500]
    comparison = json.loads(call(*arguments, "--format", "json")[1])["lines"][0]["comparison"]
    rows = list(csv.DictReader(io.StringIO(call(*arguments, "--format", "csv")[1])))
    assert [row["metric"] for row in rows] == ["BLEU", "chrF++"]
    assert float(rows[0]["difference"]) == comparison["difference"]
    assert float(rows[0]["p"]) == comparison["p_value"]
    for format_ in ("text", "md"):
        shown = call(*arguments, "--format", format_)[1].replace("\\", "")
        assert f"{comparison['difference']:+.2f}" in shown
        assert f"[{comparison['low']:+.2f}, {comparison['high']:+.2f}]" in shown
        assert "two-sided paired randomisation (500 swaps)" in shown
        assert "13a" in shown
    assert call(*arguments)[1] == call(*arguments)[1]


def test_identical_systems_differ_in_nothing(call, texts):
    content = json.loads(call("compare", "a", "a", "--ref", "ref", "--format", "json")[1])
    for line in content["lines"]:
        comparison = line["comparison"]
        assert comparison["p_value"] == 1.0
        assert comparison["difference"] == 0.0
        assert comparison["low"] is comparison["high"] is None  # nothing tells of a spread
    assert content["moved"] == []


def test_runs_of_a_system_and_documents(call, texts):
    (texts / "docs").write_text("".join(f"d{i // 4}\n" for i in range(40)))
    arguments = ["compare", "a,b", "c,b", "--ref", "ref", "--groups", "docs", "--metric", "bleu"]
    arguments += ["--format", "json"]
    comparison = json.loads(call(*arguments)[1])["lines"][0]["comparison"]
    assert (comparison["seeds"], comparison["groups"], comparison["examples"]) == (2, 10, 40)
    assert comparison["seed_p_value"] in (0.5, 1.0)
    (texts / "docs").write_text("".join(f"d{i // 4}\n" if i < 20 else "\n" for i in range(40)))
    comparison = json.loads(call(*arguments)[1])["lines"][0]["comparison"]
    assert comparison["groups"] == 5 + 20  # a line without a document is a unit by itself


def test_labels(call, texts):
    (texts / "gold").write_text("A\nB\nA\nB\n")
    (texts / "x").write_text("A\nA\nA\nA\n")
    (texts / "y").write_text("A\nB\nA\nno idea\n")
    arguments = ["compare", "x", "y", "--ref", "gold", "--metric", "accuracy,macro-f1", "--labels", "A,B"]
    lines = json.loads(call(*arguments, "--format", "json")[1])["lines"]
    scores = [line["comparison"]["score_b"] for line in lines]
    assert scores == [[75.0], [pytest.approx(100 * (1 + 2 / 3) / 2)]]
    assert lines[0]["comparison"]["test"] == "exact McNemar's test"


def test_scores_of_an_older_signature_are_read_where_they_are_made_alike(call, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("warmup_bench.score.bleu.BLEU.signature", lambda self: "tok:13a|version:0.1")
        old = [store_cell(tmp_path, method, 0, wrong) for method, wrong in (("sft", 20), ("warmup", 8))]
        patch.setattr("warmup_bench.score.bleu.BLEU.aggregate", lambda self, statistics: statistics[..., 0])
        other = store_cell(tmp_path, "other", 0, 8)
    code, out, error = call("compare", *old, "--metric", "bleu", "--format", "json")
    assert code == 0, error
    (line,) = json.loads(out)["lines"]
    assert line["signature"] == "tok:13a|version:0.1"
    assert line["comparison"]["difference"] == pytest.approx(bleu(8) - bleu(20))
    new = store_cell(tmp_path, "new", 0, 8)
    for pair, message in (((old[0], new), "were scored differently"), ((other, new), "with other settings")):
        code, _, error = call("compare", *pair, "--metric", "bleu")
        assert code == 2
        assert message in error


def test_all_seeds_of_two_methods(call, tmp_path):
    for seed in (0, 1):
        store_cell(tmp_path / "runs", "sft", seed, 20)
        store_cell(tmp_path / "runs", "warmup", seed, 8)
    store_cell(tmp_path / "runs", "warmup", 2, 0)
    code, out, error = call("compare", "runs:sft", "runs:warmup", "--format", "json")
    assert code == 0, error
    content = json.loads(out)
    comparison = content["lines"][0]["comparison"]
    by_hand = [bleu(8, seed) - bleu(20, seed) for seed in (0, 1)]
    assert comparison["difference"] == pytest.approx(sum(by_hand) / 2)
    assert comparison["seeds"] == 2
    assert any("seeds without a partner were left out: 2" in note for note in content["notes"])
    assert content["moved"][0]["source"].startswith("source ")
    text = call("compare", "runs:sft", "runs:warmup")[1]
    assert "2 matched seeds" in text
    assert "p, other seeds" in text and "° " in text


def test_the_baseline_is_shown_on_the_seeds_of_each_comparison(call, tmp_path):
    for seed in (0, 1, 2):
        store_cell(tmp_path / "runs", "sft", seed, 20 - 6 * seed)
        store_cell(tmp_path / "runs", "other", seed, 4)
    store_cell(tmp_path / "runs", "warmup", 0, 8)
    out = call("compare", "runs:sft", "runs:warmup", "runs:other", "--metric", "bleu", "--format", "md")[1]
    rows = [line.split(" | ") for line in out.splitlines() if line.startswith("| ")][2:]
    assert [row[0].strip("| ") for row in rows] == ["sft", "warmup", "sft", "other"]
    assert rows[0][1] == f"{bleu(20):.2f}"
    mean = sum(bleu(20 - 6 * seed, seed) for seed in (0, 1, 2)) / 3
    assert rows[2][1].startswith(f"{mean:.2f} ± ")
    assert "1 or 3 matched seeds" in out
    assert "other seeds and other examples" in out


def test_other_warm_starts_are_told(call, tmp_path):
    for seed in (0, 1):
        store_cell(tmp_path / "small", "sft", seed, 20)
        store_cell(tmp_path / "small", "warmup", seed, 8)
        store_cell(tmp_path / "large", "warmup", seed, 8, backbone="nano-2")
    note = "warmup: its models began from other warm starts than the baseline's"
    assert note in " ".join(call("compare", "small:sft", "large:warmup")[1].split())
    assert "warm starts" not in call("compare", "small:sft", "small:warmup")[1]


def test_where_chooses_among_the_cells_of_a_seed(call, tmp_path):
    for seed in (0, 1):
        store_cell(tmp_path / "runs", "sft", seed, 20)
        store_cell(tmp_path / "runs", "sft", seed, 12, decode={"beams": 3})
        store_cell(tmp_path / "runs", "warmup", seed, 8)
        store_cell(tmp_path / "runs", "warmup", seed, 2, decode={"beams": 3})
    for beams, baseline, other in (("1", 20, 8), ("3.0", 12, 2)):
        where = ("--where", f"decode.beams={beams}", "--where", "subset=all")
        code, out, error = call("compare", "runs:sft", "runs:warmup", *where, "--format", "json")
        assert code == 0, error
        by_hand = sum(bleu(other, seed) - bleu(baseline, seed) for seed in (0, 1)) / 2
        assert json.loads(out)["lines"][0]["comparison"]["difference"] == pytest.approx(by_hand)
    for where, message in (
        ("decode.beams=2", "no stored cell of runs:sft has decode.beams=2 (from --where). Stored: "),
        ("decode.beams=many", "has decode.beams=many"),
        ("beams=3", "stored cells have no 'beams'"),
        ("subset", "'subset' is not a condition"),
    ):
        code, out, error = call("compare", "runs:sft", "runs:warmup", "--where", where)
        assert (code, out) == (2, "")
        assert message in error, error


def test_a_condition_on_warmups_leaves_methods_without_them_alone(tmp_path):
    sft = read_result(store_cell(tmp_path, "sft", 0, 20)).cell
    warmup = sft.model_copy(update={"warmup": "sampled"})
    plain = sft.model_copy(update={"warmup": "none"})
    assert choose([warmup, plain], ["decode.warmup=shuffled"], "x") == [plain]
    other = warmup.model_copy(update={"subset": "some"})
    assert telling_apart([warmup, other, plain]) == "Choose with --where subset=VALUE (all, some)."
    assert choose([warmup, plain], ["decode.warmup=greedy", "lora.rank=0"], "x") == [warmup, plain]


def test_two_cells_by_their_folders(call, tmp_path):
    a, b = (
        store_cell(tmp_path, method, 0, wrong, group=lambda i: f"d{i // 8}")
        for method, wrong in (("sft", 20), ("warmup", 8))
    )
    content = json.loads(call("compare", a, b, "--metric", "chrf++", "--format", "json")[1])
    assert [line["key"] for line in content["lines"]] == ["chrf++"]
    assert content["lines"][0]["comparison"]["groups"] == 5


def test_unequal_examples_need_intersect(call, tmp_path):
    a = store_cell(tmp_path, "sft", 0, 20)
    b = store_cell(tmp_path, "warmup", 0, 8, examples=[*range(39, 4, -1)])
    code, _, error = call("compare", a, b)
    assert code == 2
    assert "5 are in one only" in error
    content = json.loads(call("compare", a, b, "--intersect", "--format", "json")[1])
    assert content["lines"][0]["comparison"]["examples"] == 35
    assert any("5 examples that stand in one system only were dropped" in note for note in content["notes"])
    expected = bleu(8, start=5) - bleu(20, start=5)
    assert content["lines"][0]["comparison"]["difference"] == pytest.approx(expected)


def test_what_can_not_be_paired(call, tmp_path):
    a = store_cell(tmp_path, "sft", 0, 20)
    other_test_set = store_cell(tmp_path, "odd", 0, 8, gold=[g.upper() for g in GOLD])
    other_seed = store_cell(tmp_path, "late", 5, 8)
    store_cell(tmp_path, "sft", 0, 15, decode={"beams": 3})
    for arguments, message in (
        ([a, other_test_set], "example 'e0' has other references"),
        ([a, other_seed], "share no seed"),
        (
            [f"{tmp_path}:sft", a],
            "means several cells of one seed. Choose with --where decode.beams=VALUE (1, 3)",
        ),
        ([f"{other_test_set},{a}", a], "several cells of one seed. Name the cell folders of one"),
        ([f"{tmp_path}:stf", a], "no stored cell of method 'stf'"),
        ([a, a, "--metric", "rouge1"], "has no scores of metric 'rouge1'"),
        ([a, a, "--labels", "A"], "--labels is for text files"),
        ([a, tmp_path / "cells"], "is not a stored cell"),
    ):
        code, out, error = call("compare", *arguments)
        assert code == 2, arguments
        assert message in error, error
        assert "Traceback" not in error
        assert out == ""


def test_text_files_that_can_not_be_used(call, texts):
    (texts / "short").write_text("one\n")
    (texts / "empty").write_text("")
    (texts / "latin").write_bytes("Grün\n".encode("latin-1") * 40)
    for arguments, message in (
        (["a"], "a is a text file"),
        (["a", "b"], "a is a text file"),
        (["a", "b", "--ref", "none"], "can't read none"),
        (["a", "short", "--ref", "ref"], "short has 1 lines, ref has 40"),
        (["a", "b", "--ref", "empty"], "empty is empty"),
        (["a", "latin", "--ref", "ref"], "not UTF-8"),
        (["a", "b", "--ref", "ref", "--src", "short"], "short has 1 lines"),
        (["a", "b", "--ref", "ref", "--metric", "bluе"], "unknown metric"),
        (["a", "b", "--ref", "ref", "--metric", "accuracy"], "needs a closed set of labels"),
        (["a", "b", "--ref", "ref", "--format", "pdf"], "Formats: text, md, csv, json"),
    ):
        code, out, error = call("compare", *arguments)
        assert (code, out) == (2, ""), arguments
        assert message in error, error
        assert error.count("\n") == 1


def test_unicode_separators_end_no_line_and_markup_is_shown_as_it_is(call, tmp_path):
    (tmp_path / "ref").write_text("a\u2028b [bold]c\r\nd <b>*e*\r\n", encoding="utf-8", newline="")
    (tmp_path / "x").write_text("a\u2028b [bold]c\nd\n", encoding="utf-8")
    (tmp_path / "y").write_text("a\nd <b>*e*\n", encoding="utf-8")
    arguments = ["compare", "x", "y", "--ref", "ref", "--metric", "chrf++"]
    text = call(*arguments)[1]
    assert "2 examples" in text
    assert "[bold]c" in text
    assert "d <b>*e*" in text
    assert "d &lt;b&gt;\\*e\\*" in call(*arguments, "--format", "md")[1]


def test_a_narrow_terminal_cuts_no_number(call, texts, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    content = json.loads(call("compare", "a", "b", "c", "--ref", "ref", "--format", "json")[1])
    text = call("compare", "a", "b", "c", "--ref", "ref", "--examples", 0)[1]
    assert max(map(len, text.splitlines())) <= 60
    for line in content["lines"]:
        comparison = line["comparison"]
        assert f"[{comparison['low']:+.2f}, {comparison['high']:+.2f}]" in text


def test_nothing_is_written(call, texts):
    before = sorted(Path().rglob("*"))
    call("compare", "a", "b", "--ref", "ref")
    assert sorted(Path().rglob("*")) == before
