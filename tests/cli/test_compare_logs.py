"""``warmup-bench compare`` on logs of other harnesses."""

import csv
import gzip
import io
import json
import math
from pathlib import Path

import pytest
from scipy.stats import binomtest

from log_files import comet_compare, comet_score, inspect_log, samples

A = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
B = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]
"""One right in A alone, five in B alone."""


def found(call, *arguments):
    code, out, error = call("compare", *arguments, "--format", "json")
    assert code == 0, error
    return json.loads(out)


def refused(call, *arguments):
    code, out, error = call("compare", *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1), error
    return error


def test_two_files_of_lm_evaluation_harness(call):
    a, b = (
        samples(Path("a"), "arc_easy", {"acc": A, "acc_norm": B}),
        samples(Path("b"), "arc_easy", {"acc": B, "acc_norm": B}),
    )
    content = found(call, f"base={a}", f"mine={b}")
    assert content["task"] == "arc_easy"
    acc, norm = content["lines"]
    assert (acc["metric"], acc["baseline"], acc["system"]) == ("acc", "base", "mine")
    assert (acc["comparison"]["score_a"], acc["comparison"]["score_b"]) == ([40.0], [80.0])
    assert acc["comparison"]["test"] == "exact McNemar's test"
    assert acc["comparison"]["p_value"] == pytest.approx(binomtest(1, 6).pvalue)
    assert norm["comparison"]["difference"] == 0.0
    moved = {m["id"]: m["influence"] for m in content["moved"]}
    assert moved["doc 6"] == pytest.approx(-10)
    assert content["moved"][0]["system_output"].startswith("answer ")
    assert content["moved"][0]["source"].endswith("A:")
    title = call("compare", f"base={a}", f"mine={b}")[1].split("\n")[1]
    assert title == "arc_easy · acc (higher is better) · 10 examples · one run"


def test_folders_task_by_task(call):
    for folder, values in (("runs/base", A), ("runs/mine", B)):
        samples(
            Path(folder, "org__model"),
            "gsm8k",
            {"exact_match": values},
            filters=("strict-match", "flexible-extract"),
        )
        samples(Path(folder, "org__model"), "arc_easy", {"acc": values})
        Path(folder, "org__model", "notes.txt").write_text("mine")
    samples(Path("runs/mine/org__model"), "extra", {"acc": A})
    tasks = {of["task"]: of for of in found(call, "runs/base", "runs/mine")}
    assert list(tasks) == ["arc_easy", "gsm8k"]
    keys = [line["key"] for line in tasks["gsm8k"]["lines"]]
    assert keys == ["exact_match,strict-match", "exact_match,flexible-extract"]
    notes = tasks["arc_easy"]["notes"]
    assert "tasks that not every system has were left out: extra" in notes
    assert any("none is corrected for the number of tasks" in note for note in notes)
    rows = list(csv.DictReader(io.StringIO(call("compare", "runs/base", "runs/mine", "--format", "csv")[1])))
    assert [row["task"] for row in rows] == ["arc_easy", "gsm8k", "gsm8k"]
    assert found(call, "runs/base", "runs/mine", "--where", "task=gsm8k")["task"] == "gsm8k"
    for format_ in ("text", "md"):
        shown = call("compare", "runs/base", "runs/mine", "--format", format_)[1]
        assert shown.index("arc_easy · acc") < shown.index("gsm8k · exact_match,strict-match")
    assert refused(call, "runs/base", "runs/mine", "--where", "task=arc") == (
        "error: the logs have no task=arc (from --where). They have: task=arc_easy, task=gsm8k.\n"
    )
    alone = found(call, "runs/base", "--where", "task=arc_easy")
    assert alone["scores"][0]["scores"] == [40.0]


def test_the_newest_of_several_logs_of_a_task_and_several_models(call):
    samples(Path("base/m"), "t", {"acc": A})
    samples(Path("mine/m"), "t", {"acc": A})
    newer = samples(Path("mine/m"), "t", {"acc": B}, date="2026-02-01T00-00-00.000000")
    content = found(call, "base", "mine")
    assert content["lines"][0]["comparison"]["score_b"] == [80.0]
    assert f"mine: mine has 2 logs of t: the newest is read, {newer.name}" in content["notes"]
    samples(Path("mine/other"), "t", {"acc": B})
    error = refused(call, "base", "mine")
    assert error.startswith("error: mine holds logs of task 't' in several folders.")
    assert error.endswith("Name one of the folders: mine/m, mine/other.\n")


def test_seeds_are_matched(call):
    for seed in range(2):
        samples(Path(f"a{seed}"), "t", {"acc": A})
        samples(Path(f"b{seed}"), "t", {"acc": B if seed else A})
    comparison = found(call, "a0,a1", "b0,b1")["lines"][0]["comparison"]
    assert comparison["seeds"] == 2
    assert comparison["score_b"] == [40.0, 80.0]
    assert comparison["difference"] == pytest.approx(20)
    assert comparison["seed_p_value"] == 1.0


def test_another_test_set_is_refused_and_other_prompts_are_told(call):
    base = samples(Path("a"), "t", {"acc": A})
    other = samples(Path("b"), "t", {"acc": B}, doc="another {i}")
    error = refused(call, base, other)
    assert error.startswith(f"error: doc 0 of {other} ({other}) is another document than in {base}")
    shots = samples(Path("c"), "t", {"acc": B}, prompt="Q: 1+1\nA: 2\n\nQ: {i}\nA:")
    assert any(
        "the prompts of 10 of 10 examples are others than" in note
        for note in found(call, base, shots)["notes"]
    )
    shifted = samples(Path("d"), "t", {"acc": B[2:]}, first=2)
    assert "hold different examples: 2 are in one only, such as 'doc 0'" in refused(call, base, shifted)
    assert found(call, base, shifted, "--intersect")["lines"][0]["comparison"]["examples"] == 8
    renamed = samples(Path("e"), "t2", {"acc": B})
    assert any("tasks have other names: t, t2" in note for note in found(call, base, renamed)["notes"])


def test_likelihoods_become_perplexities_and_directions_are_known(call):
    pairs = {
        "word_perplexity": ([[-2.0, 1], [-6.0, 3]], [[-1.0, 1], [-5.0, 3]]),
        "bits_per_byte": ([[-2.0, 4], [-6.0, 12]], [[-1.0, 4], [-5.0, 12]]),
        "perplexity": ([-2.0, -4.0], [-1.0, -2.0]),
        "ter": ([0.5, 0.25], [0.25, 0.25]),
        "oddity": ([3.0, 5.0], [2.0, 4.0]),
        "bleu": ([["ref", "out"]] * 2, [["ref", "out"]] * 2),
    }
    a, b = (
        samples(
            Path(name), "t", {key: of[i] for key, of in pairs.items()}, higher={"ter": True, "oddity": True}
        )
        for i, name in enumerate("ab")
    )
    content = found(call, a, b, "--lower-is-better", "oddity")
    lines = {line["key"]: line for line in content["lines"]}
    assert not any(line["higher_is_better"] for line in lines.values())
    scores = {
        key: (line["comparison"]["score_a"][0], line["comparison"]["score_b"][0])
        for key, line in lines.items()
    }
    assert scores == {
        "word_perplexity": pytest.approx((math.exp(8 / 4), math.exp(6 / 4))),
        "bits_per_byte": pytest.approx((8 / 16 / math.log(2), 6 / 16 / math.log(2))),
        "perplexity": pytest.approx((math.exp(3), math.exp(1.5))),
        "ter": pytest.approx((37.5, 25)),
        "oddity": pytest.approx((4, 3)),
    }
    assert "without a number of every example, and left out: bleu" in content["notes"]
    assert "--lower-is-better is for logs" in refused(call, "x:sft", "y:sft", "--lower-is-better", "ter")
    error = refused(call, a, b, "--metric", "bleu")
    assert error.startswith(
        "error: the logs have not a number of every example under 'bleu' (from --metric)."
    )


def test_an_older_line_without_hashes_and_a_packed_file(call):
    path = samples(Path("a"), "t", {"acc": A})
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        for key in ("metrics", "filter", "doc_hash", "prompt_hash", "target_hash"):
            del line[key]
        line["arguments"] = [["Q\nA:", " no"], ["Q\nA:", " yes"]]
        line["filtered_resps"] = [[-2.5, False], [-1.5, True]]
    old = Path("samples_t_2024-01-01T00-00-00.jsonl.gz")
    old.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines[::-1]).encode()))
    content = found(call, old, samples(Path("b"), "t", {"acc": B}))
    assert content["lines"][0]["comparison"]["score_a"] == [40.0]
    assert {m["baseline_output"] for m in content["moved"]} == {"yes"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-9], "line 10 is not JSON"),
        (lambda text: text + text.splitlines()[3] + "\n", "holds example 'doc 3' twice"),
        (lambda text: text + "{}\n", "line 11: doc_id: Field required"),
    ],
)
def test_damaged_logs(call, change, message):
    a, b = (samples(Path(name), "t", {"acc": A}) for name in "ab")
    b.write_text(change(b.read_text()))
    assert f"{b}: {message}" in (error := refused(call, a, b)) or f"{b} {message}" in error


def test_epochs_of_inspect(call):
    a = inspect_log(
        Path("logs/a.json"),
        {"match": [["C", "I", "I", "N"], ["C", "C", "I", "P"]], "size": [[1, 2, 3, 4]] * 2},
    )
    b = inspect_log(
        Path("logs/b.json"),
        {"match": [["C", "C", "C", "I"], ["C", "C", "C", "C"]], "size": [[2, 3, 4, 5]] * 2},
    )
    content = found(call, a, b)
    match, size = (line["comparison"] for line in content["lines"])
    assert (match["seeds"], match["examples"]) == (2, 4)
    assert (match["score_a"], match["score_b"]) == ([25.0, 62.5], [75.0, 100.0])
    assert (size["score_a"], size["difference"]) == ([2.5, 2.5], 1.0)
    assert content["task"] == "geo"
    assert content["moved"][0]["references"] == [f"town {content['moved'][0]['id'].removeprefix('c')}"]


def test_inspect_scorers_with_several_values_and_samples_that_failed(call):
    values = [{"good": "yes", "far": 2}, {"good": False, "far": 0.5}, {"good": True, "far": "1"}, None]
    a = inspect_log(Path("a.json"), {"judge": [values]}, status="error")
    b = inspect_log(Path("b.json"), {"judge": [[values[0]] * 4]})
    assert "1 are in one only, such as 'c3'" in refused(call, a, b)
    content = found(call, a, b, "--intersect")
    good, far = (line["comparison"] for line in content["lines"])
    assert (good["score_a"], good["score_b"]) == ([pytest.approx(200 / 3)], [100.0])
    assert far["score_a"] == [pytest.approx(3.5 / 3)]
    notes = " ".join(content["notes"])
    assert "a.json: its evaluation ended with 'error'" in notes
    assert "a.json: 1 of 4 samples have no score" in notes
    c = inspect_log(Path("c.json"), {"judge": [[values[0]] * 4]}, system="Be brief.")
    assert any("the prompts of 4 of 4 examples are others" in note for note in found(call, b, c)["notes"])
    d = inspect_log(Path("d.json"), {"judge": [[values[0]] * 4]}, inputs="River of {i}?")
    assert "is another document than in" in refused(call, b, d)


def test_a_folder_of_inspect(call):
    inspect_log(Path("a/2026-01-01_geo.json"), {"match": [["C", "I"]]})
    inspect_log(Path("a/2026-01-01_maths.json"), {"match": [["C", "C"]]}, task="maths")
    inspect_log(Path("b/2026-01-01_geo.json"), {"match": [["C", "C"]]})
    Path("a/settings.json").write_text('{"version": 1}')
    content = found(call, "a", "b")
    assert (content["task"], content["lines"][0]["comparison"]["score_a"]) == ("geo", [50.0])


def test_eval_logs_by_their_own_library(call):
    log = pytest.importorskip("inspect_ai.log")
    path = inspect_log(Path("a.json"), {"match": [["C", "I", "C"]]})
    log.write_eval_log(log.read_eval_log(str(path)), "a.eval")
    content = found(call, "a.eval", inspect_log(Path("b.json"), {"match": [["C", "C", "C"]]}))
    assert content["lines"][0]["comparison"]["score_a"] == [pytest.approx(200 / 3)]


def test_an_eval_log_without_its_library(call, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "inspect_ai.log", None)
    Path("a.eval").write_bytes(b"PK")
    error = refused(call, "a.eval", "a.eval")
    assert error.startswith(
        "error: a.eval is read by inspect_ai, which is not installed. pip install 'warmup-bench[inspect]'"
    )


@pytest.mark.parametrize("write", [comet_score, comet_compare])
def test_comet(call, write):
    path = write(Path("comet.json"), {"base.txt": [0.8, 0.7, 0.9], "mine.txt": [0.9, 0.7, 1.05]})
    content = found(call, path)
    (line,) = content["lines"]
    assert (line["baseline"], line["system"], line["metric"]) == ("base.txt", "mine.txt", "COMET")
    assert line["comparison"]["score_a"] == [pytest.approx(80)]
    assert line["comparison"]["difference"] == pytest.approx(25 / 3)
    assert content["moved"][0]["system_output"] in ("mine.txt 0", "mine.txt 2")
    swapped = found(call, f"{path}:mine.txt", f"x={path}:base.txt")["lines"][0]
    assert (swapped["system"], swapped["comparison"]["difference"]) == ("x", pytest.approx(-25 / 3))
    assert (
        refused(call, f"{path}:nobody", path)
        == "error: comet.json has no system 'nobody'. Its systems: base.txt, mine.txt.\n"
    )


def test_comet_without_references_and_with_a_broken_number(call):
    a = comet_score(Path("a.json"), {"a": [0.5, 0.25]}, references=False)
    b = comet_score(Path("b.json"), {"b": [0.5, 0.75]}, references=False)
    assert found(call, a, b)["lines"][0]["comparison"]["difference"] == pytest.approx(25)
    comet_score(a, {"a": [0.5, float("nan")]}, references=False)
    assert "no metric has a number of every example. The logs have: COMET." in refused(call, a, b)


def test_columns_of_numbers(call):
    Path("a.csv").write_text("id,score\n1,0.5\n2,3\n3,1\n")
    Path("b.jsonl").write_text('{"score": 1.5}\n{"score": 3}\n{"score": 1}\n')
    line = found(call, "a.csv:score", "b.jsonl:score")["lines"][0]
    assert (line["metric"], line["comparison"]["difference"]) == ("score", pytest.approx(1 / 3))
    assert "a.csv is a table, and no column of it is named. Its columns: id, score." in refused(
        call, "a.csv", "b.jsonl:score"
    )
    Path("b.jsonl").write_text('{"score": "good"}\n')
    assert "row 1 of b.jsonl:score holds 'good' and not a number" in refused(
        call, "a.csv:score", "b.jsonl:score"
    )


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ({"name": "BLEU", "score": 28.1, "signature": "nrefs:1"}, "name the files of outputs, with --ref"),
        ([{"system": "a", "BLEU": {"score": 28.1}}], "name the files of outputs, with --ref"),
        ({"results": {}, "configs": {}}, "Evaluate with --log_samples"),
    ],
)
def test_scores_of_whole_test_sets_can_not_be_paired(call, content, hint):
    Path("a.json").write_text(json.dumps(content))
    error = refused(call, "a.json", "a.json")
    assert error.startswith("error: a.json holds scores of whole test sets, none of an example.")
    assert hint in error


def test_logs_and_other_systems_do_not_mix(call):
    a = samples(Path("a"), "t", {"acc": A})
    Path("out.txt").write_text("text\n")
    assert refused(call, a, "out.txt").startswith("error: out.txt is no log, and others are.")
    b = samples(Path("b"), "u", {"acc": A})
    assert "are of other tasks: t, u" in refused(call, f"{a},{b}", a)
    samples(Path("b"), "v", {"acc": A})
    samples(Path("c"), "w", {"acc": A})
    samples(Path("c"), "x", {"acc": A})
    assert refused(call, "b", "c").startswith("error: the logs have no task in common (b: u, v; c: w, x).")
    assert "the logs are of 2 tasks. Choose with --where task=NAME (u, v)." in call("power", "b", "b")[2]
