"""BLEU (Papineni et al. 2002) with sacreBLEU's tokenisation and counts, and a vectorised score."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from warmup_bench.contracts.language import known_language
from warmup_bench.contracts.metric import FloatArray, MetricContext
from warmup_bench.score.inputs import check_inputs, reference_streams
from warmup_bench.score.ngrams import Vocabulary, counted_in_blocks, ngram_counts, tokens, words

ORDER = 4
"""Longest n-gram."""

_CHINESE, _UNSPACED = ("zh",), ("flores200", "char")
TOKENIZERS = {
    **dict.fromkeys(("zh", "yue", "lzh", "wuu"), _CHINESE),
    "ja": ("ja-mecab", "char"),
    "ko": ("ko-mecab", "char"),
    **dict.fromkeys(("th", "lo", "km", "my", "shn", "bo", "dz"), _UNSPACED),
}
"""Tokenizers by target language, best first; the next one serves where MeCab is not installed, or where
sacreBLEU's cache does not hold the model of FLORES-200: no score fetches anything.

Falling back on characters is our choice: 13a takes a Thai or Japanese sentence for one word. The signature
tells.
"""
_NEEDS = {
    "ja-mecab": "pip install 'sacrebleu[ja]'",
    "ko-mecab": "pip install 'sacrebleu[ko]'",
    "flores200": "sacrebleu -tok flores200 fetches its model",
}
"""How a tokenizer comes that not every machine has."""

_LETTERS = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class BLEU:
    """Corpus BLEU as sacreBLEU's default: mixed case, orders 1 to 4, exponential smoothing.

    Attributes:
        context: Its target language chooses the tokenizer (:data:`TOKENIZERS`, else 13a).
    """

    name: ClassVar[str] = "BLEU"
    higher_is_better: ClassVar[bool] = True
    best: ClassVar[float] = 100.0
    context: MetricContext

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return counts [examples, 10]: hypothesis length, reference length, 4 matches, 4 totals.

        Several references: clipped by the largest count of any, the length of the closest, as in sacreBLEU.
        """
        check_inputs(hypotheses, references)
        if not hypotheses:
            return np.zeros((0, 2 + 2 * ORDER))
        scorer = _scorer(self.context.target_language)
        if all(len(golds) == 1 for golds in references):
            return counted_in_blocks(partial(_counts, scorer), hypotheses, [golds[0] for golds in references])
        # sacreBLEU's own split into statistics and score; its corpus_score calls this very function.
        counts = scorer._extract_corpus_statistics(hypotheses, reference_streams(references))
        return np.array(counts, dtype=np.float64)

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return BLEU in 0..100 of summed counts [..., 10], with the shape [...].

        ``bp * exp(mean_n log p_n)``; the k-th order without a match counts as ``1 / (2^k total)``
        ("exp" smoothing of mteval-v13a); 0 with no match at all or with an order that has no n-gram.
        """
        sys_len, ref_len = statistics[..., 0], statistics[..., 1]
        correct, total = statistics[..., 2 : 2 + ORDER], statistics[..., 2 + ORDER :]
        defined = (correct > 0).any(axis=-1) & (total > 0).all(axis=-1)
        missed = correct == 0
        smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=-1), correct)
        log_precision = np.log(smoothed / np.where(total > 0, total, 1.0)).mean(axis=-1)
        # A length of 0 implies no match, which is 0 whatever the penalty.
        log_penalty = np.minimum(0.0, 1.0 - ref_len / np.where(sys_len > 0, sys_len, 1.0))
        score: FloatArray = np.where(defined, 100.0 * np.exp(log_penalty + log_precision), 0.0)
        return score

    def notes(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[str]:
        """Whether another tokenizer serves than the first one of the language."""
        wanted = TOKENIZERS.get(known_language(self.context.target_language) or "", ("13a",))[0]
        used = _scorer(self.context.target_language).tokenizer_signature
        if used == wanted:
            return []
        return [f"BLEU counts characters: sacreBLEU's tokenizer {wanted} is not here ({_NEEDS[wanted]})"]

    def signature(self) -> str:
        """Return sacreBLEU's signature; without ``nrefs`` where the context does not tell it."""
        from sacrebleu.metrics.bleu import BLEUSignature

        scorer = _scorer(self.context.target_language)
        return str(BLEUSignature({**vars(scorer), "num_refs": self.context.references}))


def _counts(
    scorer: Any, vocabulary: Vocabulary, hypotheses: tuple[str, ...], references: tuple[str, ...]
) -> FloatArray:
    """SacreBLEU's counts against one reference each, [examples, 10], without its loop over n-grams.

    Its 13a tokenizer looks at a character and its neighbours only, so that white space ends all it sees, but
    for a hyphen at a line's end; other tokenizers get the whole text.
    """
    sides = hypotheses, references
    if scorer.tokenizer_signature == "13a" and not any("-\n" in text for side in sides for text in side):
        ours, theirs = (tokens(vocabulary, side, _cut_by_13a) for side in sides)
    else:
        ours, theirs = (words(vocabulary, tuple(map(scorer._preprocess_segment, side))) for side in sides)
    counts = ngram_counts(ours, theirs, ORDER)
    lengths = np.stack([ours.lengths, theirs.lengths], axis=1)
    return np.concatenate([lengths, counts[..., 2], counts[..., 0]], axis=1)


def _cut_by_13a(stretches: list[str]) -> list[list[str]]:
    """The tokens of words, tokenized once for all that differ in their letters only.

    Letters in a row are one to 13a, and all letters the same, but in its entities and its ``<skipped>``.
    """
    tokenize = _scorer("").tokenizer  # which knows what it was asked
    special = {stretch for stretch in stretches if "&" in stretch or "<" in stretch}
    joined = " ".join("" if stretch in special else stretch for stretch in stretches)
    between = "\n".join(map(tokenize, _LETTERS.sub("x", joined).split(" "))).split("x")
    cut = "".join(chain.from_iterable(zip(between, [*_LETTERS.findall(joined), ""], strict=True)))
    return [
        (tokenize(stretch) if stretch in special else line).split()
        for stretch, line in zip(stretches, cut.split("\n"), strict=False)  # no words are one line
    ]


@lru_cache(maxsize=8)
def _scorer(language: str) -> Any:
    """SacreBLEU's scorer with the first tokenizer of the language that can be had here."""
    import sacrebleu.metrics

    *wanted, last = TOKENIZERS.get(known_language(language) or "", ("13a",))
    for tokenizer in wanted:
        if tokenizer == "flores200" and not _has_flores_model():
            continue
        try:
            return sacrebleu.metrics.BLEU(tokenize=tokenizer)
        except RuntimeError:  # what sacreBLEU raises when MeCab is missing
            continue
    return sacrebleu.metrics.BLEU(tokenize=last)


def _has_flores_model() -> bool:
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    name = str(SPM_MODELS["flores200"]["url"]).rsplit("/", 1)[-1]
    return Path(SACREBLEU_DIR, "models", name).is_file()
