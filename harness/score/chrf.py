"""chrF++ (Popović 2017) with sacreBLEU's n-gram counts, and a vectorised score."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from warmup_bench.contracts.metric import FloatArray, MetricContext
from warmup_bench.score.inputs import check_inputs, reference_streams
from warmup_bench.score.ngrams import Vocabulary, characters, counted_in_blocks, ngram_counts, tokens

CHAR_ORDER, WORD_ORDER, BETA = 6, 2, 2
"""Longest character and word n-grams, and the weight of recall: what makes chrF into chrF++."""


@dataclass(frozen=True, slots=True)
class ChrF:
    """Corpus chrF++ as sacreBLEU's ``CHRF(word_order=2)``: mixed case, no spaces, effective order.

    Attributes:
        context: Its references stand in the signature; nothing else of it is used.
    """

    name: ClassVar[str] = "chrF++"
    higher_is_better: ClassVar[bool] = True
    best: ClassVar[float] = 100.0
    context: MetricContext

    def segment_statistics(
        self, hypotheses: Sequence[str], references: Sequence[Sequence[str]], sources: Sequence[str]
    ) -> FloatArray:
        """Return counts [examples, 24]: hypothesis, reference and match of each order, characters first.

        Several references: the counts against the one with the best chrF++, as in sacreBLEU.
        """
        check_inputs(hypotheses, references)
        if not hypotheses:
            return np.zeros((0, 3 * (CHAR_ORDER + WORD_ORDER)))
        if all(len(golds) == 1 for golds in references):
            return counted_in_blocks(_counts, hypotheses, [golds[0] for golds in references])
        # sacreBLEU's own split into statistics and score; its corpus_score calls this very function.
        counts = _scorer()._extract_corpus_statistics(hypotheses, reference_streams(references))
        return np.array(counts, dtype=np.float64)

    def aggregate(self, statistics: FloatArray) -> FloatArray:
        """Return chrF++ in 0..100 of summed counts [..., 24], with the shape [...].

        Precision and recall are means over the orders that both sides have n-grams of (effective order);
        the score is ``(1 + beta^2) P R / (beta^2 P + R)``, and 0 where P and R are.
        """
        hyp, ref, match = (statistics[..., part::3] for part in range(3))
        counted = (hyp > 0) & (ref > 0)
        orders = np.maximum(counted.sum(axis=-1), 1)
        precision = (counted * match / np.where(counted, hyp, 1.0)).sum(axis=-1) / orders
        recall = (counted * match / np.where(counted, ref, 1.0)).sum(axis=-1) / orders
        weighted = BETA**2 * precision + recall
        fscore = (1 + BETA**2) * precision * recall / np.where(weighted > 0, weighted, 1.0)
        score: FloatArray = 100.0 * fscore
        return score

    def signature(self) -> str:
        """Return sacreBLEU's signature; without ``nrefs`` where the context does not tell it."""
        from sacrebleu.metrics.chrf import CHRFSignature

        return str(CHRFSignature({**vars(_scorer()), "num_refs": self.context.references}))


def _counts(vocabulary: Vocabulary, hypotheses: tuple[str, ...], references: tuple[str, ...]) -> FloatArray:
    """SacreBLEU's counts against one reference each, [examples, 24], without its loop over n-grams."""
    sides = hypotheses, references
    ours, theirs = map(characters, sides)
    by_character = ngram_counts(ours, theirs, CHAR_ORDER)
    ours, theirs = (tokens(vocabulary, side, _cut) for side in sides)
    counts = np.concatenate([by_character, ngram_counts(ours, theirs, WORD_ORDER)], axis=1)
    counts[..., 0] *= counts[..., 1] > 0  # sacreBLEU counts no n-gram of an order that the reference lacks
    return counts.reshape(len(hypotheses), 3 * (CHAR_ORDER + WORD_ORDER))


def _cut(stretches: list[str]) -> list[list[str]]:
    return list(map(_scorer()._remove_punctuation, stretches))


@cache
def _scorer() -> Any:
    import sacrebleu.metrics

    return sacrebleu.metrics.CHRF(char_order=CHAR_ORDER, word_order=WORD_ORDER, beta=BETA)
