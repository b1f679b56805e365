"""Counts by sorting against sacreBLEU's loops, and by hand."""

from unittest.mock import patch

import numpy as np
import pytest
import sacrebleu.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score import ngrams
from warmup_bench.score.bleu import BLEU
from warmup_bench.score.chrf import ChrF

TEXT = st.text(alphabet="abx_ .(,-1\n\u3000\x85猫\ud800é\u0301²Ⅷ&<;", max_size=14) | st.sampled_from(
    ["<skipped>", "a <skipped> &quot;b", "x&amp;x,x"]
)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6)


def test_by_hand():
    # "aab" and "ab" against "aba": 1-grams a a b / a b a match 2 a + 1 b; 2-grams aa ab / ab ba match ab
    vocabulary = ngrams.Vocabulary()
    hypotheses, references = (ngrams.words(vocabulary, side) for side in (("a a b", ""), ("a b a", "c")))
    counts = ngrams.ngram_counts(hypotheses, references, orders=4)
    assert counts.tolist() == [
        [[3, 3, 3], [2, 2, 1], [1, 1, 0], [0, 0, 0]],
        [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
    assert references.ids.tolist() == [0, 1, 0, 2]


def test_each_word_is_cut_once():
    vocabulary, asked = ngrams.Vocabulary(), []

    def cut(words):
        asked.extend(words)
        return [[] if word == "..." else [word[:-1], word[-1]] for word in words]

    first = ngrams.tokens(vocabulary, ("a b, c.", "b, ..."), cut)
    second = ngrams.tokens(vocabulary, ("c. d! b,",), cut)
    assert asked == ["b,", "c.", "...", ",", ".", "d!"]  # tokens of before may be words too
    names = list(vocabulary.numbers)
    assert [names[i] for i in first.ids] == ["a", "b", ",", "c", ".", "b", ","]
    assert first.lengths.tolist() == [5, 2]
    assert [names[i] for i in second.ids] == ["c", ".", "d", "!", "b", ","]


def test_each_text_is_split_once_for_two_systems_and_two_metrics():
    golds = [[f"reference {i} of this test"] for i in range(5)]
    systems = [[f"system {name}, segment {i}" for i in range(5)] for name in "ab"]
    before = [cached.cache_info().misses for cached in (ngrams.words, ngrams.characters)]
    for outputs in systems:
        for make in (BLEU, ChrF):
            make(MetricContext()).segment_statistics(outputs, golds, [])
    after = [cached.cache_info().misses for cached in (ngrams.words, ngrams.characters)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [3, 3]


@pytest.mark.parametrize("block", [1, 9, 2**14])
@settings(max_examples=80, deadline=None)
@given(PAIRS)
def test_equal_to_sacrebleu_on_any_text(block, pairs):
    hypotheses, golds = [h for h, _ in pairs], [r for _, r in pairs]
    small = {"BLOCK_SYMBOLS": block, "BLOCK_PAIRS": max(2, block // 4), "VOCABULARY_WORDS": block}
    with patch.multiple(ngrams, **small):
        got = {
            make: make(MetricContext()).segment_statistics(hypotheses, [[r] for r in golds], [])
            for make in (BLEU, ChrF)
        }
    for make, library in (
        (BLEU, sacrebleu.metrics.BLEU()),
        (ChrF, sacrebleu.metrics.CHRF(word_order=2)),
    ):
        assert got[make].tolist() == library._extract_corpus_statistics(hypotheses, [golds])


def test_a_large_alphabet_needs_no_hashing():
    # 20,000 kinds of symbols to the power of 6 do not fit in 64 bits: the codes are numbered anew on the way
    rng = np.random.default_rng(3)
    points = rng.integers(0x4E00, 0x4E00 + 20_000, size=(2, 3000))
    points[1, ::3] = points[0, ::3]
    points[1, 100:400] = points[0, 100:400]
    hypothesis, gold = ("".join(map(chr, side)) for side in points)
    texts = (
        [hypothesis[i : i + 300] for i in range(0, 3000, 300)],
        [gold[i : i + 300] for i in range(0, 3000, 300)],
    )
    got = ChrF(MetricContext()).segment_statistics(texts[0], [[t] for t in texts[1]], [])
    library = sacrebleu.metrics.CHRF(word_order=2)
    assert got.tolist() == library._extract_corpus_statistics(texts[0], [texts[1]])
    assert got[:, 17].sum() > 200  # matches of 6 characters


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="a1 .,-'&;(%\t\u00a0/<>", max_size=20)
    | st.sampled_from(["5, .5", "1-\n2", "a &quot;b, <skipped>"])
)
def test_the_13a_tokenizer_sees_nothing_across_white_space(text):
    tokenize = sacrebleu.metrics.BLEU().tokenizer
    if "-\n" not in text:
        assert [t for word in text.split() for t in tokenize(word).split()] == tokenize(text).split()
    got = BLEU(MetricContext()).segment_statistics([text], [["a 1-2 .5"]], [])
    assert got.tolist() == sacrebleu.metrics.BLEU()._extract_corpus_statistics([text], [["a 1-2 .5"]])
