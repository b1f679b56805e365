from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from stored_cells import Written, store
from warmup_bench.report.examples import example_set, marked, token_counts
from warmup_bench.score.rouge import unicode_tokens
from warmup_bench.store.folders import CorruptError
from warmup_bench.store.results import Result, read_result

SOURCES = ["eins zwei", "drei", "vier fünf"]
GOLDS = [["one two three"], ["three", "a three"], ["four five"]]
SFT = (["one two", "three", "four"], ["one", "a", "five four"], ["one two three", "three", "x"])
WARMUP = (["one two three", "three", "four five"], ["two", "the", "four"])
CHRF = sacrebleu.CHRF(word_order=2)


def chrf(hypotheses: list[str]) -> list[float]:
    return [CHRF.sentence_score(h, g).score for h, g in zip(hypotheses, GOLDS, strict=True)]


def results(out: Path, method: str, outputs: tuple[list[str], ...], **kwargs: object) -> dict[int, Result]:
    warmup = None if method == "sft" else "One, four: five two"
    return {
        seed: read_result(
            store(out, method, seed, SOURCES, GOLDS, [Written(text, warmup) for text in texts], **kwargs)
        )
        for seed, texts in enumerate(outputs)
    }


@pytest.mark.parametrize(
    ("text", "references", "pieces"),
    [
        ("South Korea: south, korea", ["Korea and SOUTH"], ("", "South Korea", ": south, korea")),
        ("a a a", ["a b", "a a"], ("", "a a", " a")),  # as often as in the reference that has most
        ("a, b", ["b a"], ("", "a", ", ", "b", "")),  # a comma between two marks is not marked
        ("我们 爱北", ["我爱北京"], ("", "我", "们 ", "爱北", "")),  # a character is a token
        ("naïve café", ["CAFÉ"], ("naïve ", "café", "")),
        ("x", ["xy"], ("x",)),
        ("", ["a"], ("",)),
        ("?!", ["?!"], ("?!",)),
    ],
)
def test_tokens_that_stand_in_a_reference_are_marked(
    text: str, references: list[str], pieces: tuple[str, ...]
) -> None:
    assert marked(text, token_counts(references)) == pieces


TEXT = st.text(alphabet="ab ,.我İßé😀", max_size=20)


@given(text=TEXT, references=st.lists(TEXT, max_size=3))
def test_marks_lose_no_character_and_hold_only_tokens_of_a_reference(
    text: str, references: list[str]
) -> None:
    pieces = marked(text, token_counts(references))
    assert len(pieces) % 2 == 1
    assert "".join(pieces) == text
    tokens = [token for reference in references for token in unicode_tokens(reference)]
    for piece in pieces[1::2]:
        assert piece.strip() == piece != ""
        assert all(token in tokens for token in unicode_tokens(piece))


@given(text=TEXT)
def test_a_text_stands_in_itself_whole(text: str) -> None:
    pieces = marked(text, token_counts([text]))
    assert not any(unicode_tokens(piece) for piece in pieces[::2])


def test_scores_and_differences_are_those_of_single_sentences(tmp_path: Path) -> None:
    examples = example_set(
        "all, nano",
        {"warmup": results(tmp_path, "warmup", WARMUP), "sft": results(tmp_path, "sft", SFT)},
        "sft",
    )
    assert (examples.title, examples.language, examples.baseline) == ("all, nano", "en", "sft")
    assert examples.ids == ("e0", "e1", "e2")
    assert examples.sources == tuple(SOURCES)
    assert examples.references == tuple(map(tuple, GOLDS))
    assert [method.name for method in examples.methods] == ["sft", "warmup"]
    sft, warmup = examples.methods
    assert [run.seed for run in sft.runs] == [0, 1, 2]
    for method, outputs in ((sft, SFT), (warmup, WARMUP)):
        for run, texts in zip(method.runs, outputs, strict=True):
            assert run.outputs == tuple(texts)
            assert run.scores["chrf++"] == pytest.approx(chrf(texts), abs=1e-9)
    # Seeds 0 and 1 are matched; the baseline's third has no partner.
    expected = np.mean([np.subtract(chrf(WARMUP[s]), chrf(SFT[s])) for s in (0, 1)], axis=0)
    assert warmup.differences["chrf++"] == pytest.approx(expected, abs=1e-9)
    assert sft.differences == {}
    assert sft.runs[0].warmups == (None, None, None)
    assert warmup.runs[0].warmups[2] == ("One, ", "four", ": ", "five", " two")


def test_it_begins_with_the_metric_that_tells_most_examples_apart(tmp_path: Path) -> None:
    examples = example_set("t", {"sft": results(tmp_path, "sft", SFT)}, None)
    assert [metric.key for metric in examples.metrics] == ["bleu", "chrf++"]
    assert examples.start == "chrf++"  # BLEU of these short sentences is 0 throughout
    assert examples.baseline is None
    assert examples.methods[0].differences == {}


def test_a_method_without_a_matched_seed_has_no_differences(tmp_path: Path) -> None:
    sft, warmup = results(tmp_path, "sft", SFT), results(tmp_path, "warmup", WARMUP)
    examples = example_set("t", {"sft": {0: sft[0]}, "warmup": {1: warmup[1]}}, "sft")
    assert examples.methods[1].differences == {}


def test_a_cell_that_was_not_scored_with_a_metric_has_no_score_of_it(tmp_path: Path) -> None:
    sft = results(tmp_path, "sft", SFT[:1], metric_names=("chrf++",))
    examples = example_set("t", {"sft": sft, "warmup": results(tmp_path, "warmup", WARMUP[:1])}, "sft")
    assert sorted(metric.key for metric in examples.metrics) == ["bleu", "chrf++"]
    assert set(examples.methods[0].runs[0].scores) == {"chrf++"}
    assert set(examples.methods[1].differences) == {"chrf++"}


def test_cells_with_other_examples_are_refused(tmp_path: Path) -> None:
    other = store(tmp_path, "other", 0, SOURCES[:2], GOLDS[:2], [Written("a"), Written("b")])
    with pytest.raises(CorruptError, match="holds other examples"):
        example_set("t", {"sft": results(tmp_path, "sft", SFT), "other": {0: read_result(other)}}, "sft")
