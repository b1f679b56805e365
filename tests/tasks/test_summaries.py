"""The three published summarisation sets, in their layouts."""

from pathlib import Path

from layouts import SIZES, json_lines, load, words, write

from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.rouge import ROUGE1


def test_xsum(tmp_path: Path) -> None:
    splits = load("xsum", write("xsum", tmp_path))
    example = splits.test[3]
    texts = words("test body 3", 40), words("test line 3")
    assert (example.id, example.source, example.target) == ("test3", *texts)
    assert len(splits.train) == SIZES["train"]


def test_cnn_dailymail_reads_all_parts_and_keeps_the_lines(tmp_path: Path) -> None:
    splits = load("cnn_dailymail", write("cnn_dailymail", tmp_path))
    assert len({e.id for e in splits.train}) == SIZES["train"]
    assert splits.test[0].target == f"{words('test a 0')}\n{words('test b 0')}"


def test_scitldr_has_several_references_and_the_best_one_counts(tmp_path: Path) -> None:
    splits = load("scitldr", write("scitldr", tmp_path))
    assert {len(e.golds) for e in splits.train} == {1}
    assert [len(e.golds) for e in splits.test[:4]] == [2, 3, 2, 3]
    example = splits.test[1]
    assert example.id == "test-1"
    assert example.source == " ".join(words(f"test 1 s{k}") for k in range(4))
    assert example.target == example.golds[0] == words("test 1 t0")
    # the third reference itself as the hypothesis
    statistics = ROUGE1(MetricContext()).segment_statistics([words("test 1 t2")], [example.golds], [])
    assert statistics.tolist() == [[1.0, 1.0]]


def test_scitldr_without_a_summary_is_left_out(tmp_path: Path) -> None:
    write("scitldr", tmp_path)
    rows = [
        {"source": ["A text."], "target": [" "], "paper_id": "none"},
        {"source": [" A  text.", "More."], "target": ["", "Short."], "paper_id": "one"},
    ]
    json_lines(tmp_path / "scitldr" / "dev.jsonl.gz", rows)
    (only,) = load("scitldr", tmp_path).validation
    assert (only.id, only.source, only.target, only.golds) == ("one", "A text. More.", "Short.", ("Short.",))
