"""ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum F-measures (Lin 2004) by the ``rouge-score`` package."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any, ClassVar, Literal

import numpy as np

from warmup_bench.contracts.language import known_language
from warmup_bench.contracts.metric import FloatArray, MetricContext
from warmup_bench.score.inputs import check_inputs

_UNSPACED = ("CJK ", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""How Unicode's names of letters begin in scripts that put no space between words."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")


@dataclass(frozen=True, slots=True)
class Rouge:
    """Mean ROUGE F-measure in 0..100, of the best reference where there are several.

    English gets rouge-score's own tokeniser and Porter stemmer, as the field reports it. That tokeniser keeps
    only a-z and 0-9, so that "Größe" is two words to it, and the stemmer's rules are those of English:
    any other language gets :func:`unicode_tokens`, and no stemmer.

    Attributes:
        context: Its target language chooses the tokeniser.
        variant: ``rouge1``, ``rouge2``, ``rougeL`` (the longest common subsequence of the whole text) or
            ``rougeLsum`` (the union of those of a reference's sentences, see :func:`sentences`).
    """

    higher_is_better: ClassVar[bool] = True
    best: ClassVar[float] = 100.0
    context: MetricContext
    variant: Literal["rouge1", "rouge2", "rougeL", "rougeLsum"] = "rouge1"

    @property
    def name(self) -> str:
        """Column name, e.g. ``ROUGE-1``."""
        return f"ROUGE-{self.variant.removeprefix('rouge')}"

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return [examples, 2]: the F-measure in 0..1, and 1 to count the example."""
        check_inputs(hypotheses, references)
        score_multi = _scorer(self.variant, _tokenizer_name(self.context.target_language)).score_multi
        read = sentences if self.variant == "rougeLsum" else str
        statistics = np.ones((len(hypotheses), 2))
        for row, hypothesis, golds in zip(statistics, hypotheses, references, strict=True):
            row[0] = score_multi([read(gold) for gold in golds], read(hypothesis))[self.variant].fmeasure
        return statistics

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return 100 times the mean F-measure of summed statistics [..., 2], with the shape [...]."""
        return 100.0 * statistics[..., 0] / statistics[..., 1]

    def signature(self) -> str:
        """Return measure, tokeniser, stemmer, how references are joined, and rouge-score's version."""
        from importlib.metadata import version

        tokenizer = _tokenizer_name(self.context.target_language)
        stemmer = "porter" if tokenizer == "rouge-score" else "none"
        split = "sents:nl-or-punct|" if self.variant == "rougeLsum" else ""
        return (
            f"measure:f1|case:lc|tok:{tokenizer}|stem:{stemmer}|{split}refs:max|"
            f"version:{version('rouge-score')}"
        )


ROUGE1 = partial(Rouge, variant="rouge1")
ROUGE2 = partial(Rouge, variant="rouge2")
ROUGEL = partial(Rouge, variant="rougeL")
ROUGELSUM = partial(Rouge, variant="rougeLsum")


def sentences(text: str) -> str:
    """A text with one sentence a line, as rouge-score reads summaries.

    Lines that are there are kept, as in CNN/DailyMail's highlights. A text of one line is split after ``.``,
    ``!`` and ``?`` before a space, and after the full-width ones: a model may write no line breaks (T5 has
    none in its vocabulary).
    """
    return text if "\n" in text.strip() else "\n".join(_SENTENCE_END.split(text.strip())).strip()


def unicode_tokens(text: str) -> list[str]:
    """Split lower-cased text into runs of letters, marks and digits of any script.

    Scripts without spaces between words (Chinese, Japanese, Thai, ...) give one token a character.
    """
    return "".join(map(spaced, text.lower())).split()


@cache
def spaced(char: str) -> str:
    """Return the character if it is part of a word, between spaces if it is one by itself, else a space."""
    if unicodedata.category(char)[0] not in "LMN":
        return " "
    return f" {char} " if unicodedata.name(char, "").startswith(_UNSPACED) else char


def _tokenizer_name(language: str) -> str:
    """``rouge-score`` for English, else ``unicode``."""
    return "rouge-score" if known_language(language) == "en" else "unicode"


class _CachedStemmer:
    """NLTK's Porter stemmer that stems a word once: stemming is most of rouge-score's tokenising time."""

    def __init__(self) -> None:
        from rouge_score.tokenizers import porter

        self.stem = lru_cache(maxsize=2**17)(porter.PorterStemmer().stem)


@cache
def _stemmer() -> _CachedStemmer:
    return _CachedStemmer()


class _Tokenizer:
    """What rouge-score asks of a tokeniser, for either of ours."""

    def __init__(self, name: str) -> None:
        from rouge_score import tokenize

        self.tokenize = (
            unicode_tokens if name == "unicode" else partial(tokenize.tokenize, stemmer=_stemmer())
        )


@cache
def _scorer(variant: str, tokenizer: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer([variant], tokenizer=_Tokenizer(tokenizer))
