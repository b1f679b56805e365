"""Which of several outputs is given: pure functions of likelihoods or of texts, ties to the first."""

from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def log_mean_exp(table: FloatArray, counts: FloatArray) -> FloatArray:
    """log of the mean of exp(table) [candidates, warmups], a warmup counted ``counts`` [warmups] times."""
    top = table.max(axis=1)
    means: FloatArray = top + np.log(np.exp(table - top[:, None]) @ (counts / counts.sum()))
    return means


def by_marginal(table: FloatArray, counts: FloatArray) -> tuple[int, int]:
    """The candidate with the highest mean likelihood, and the warmup under which it is likeliest.

    Args:
        table: log p(y_d | x, c_m), [candidates, distinct warmups].
        counts: How often each distinct warmup was drawn, [distinct warmups].
    """
    candidate = int(log_mean_exp(table, counts).argmax())
    return candidate, int(table[candidate].argmax())


def likeliest(log_probs: Sequence[float]) -> int:
    """The place of the highest log-probability."""
    return int(np.argmax(log_probs))


def by_vote(texts: Sequence[str]) -> int:
    """The first of the most frequent text."""
    counts = Counter(texts)
    return max(range(len(texts)), key=lambda i: counts[texts[i]])


def by_minimum_bayes_risk(texts: Sequence[str]) -> int:
    """The text with the highest mean sentence chrF (sacreBLEU's) against the other texts.

    Equal texts count as often as they stand there (Eikema and Aziz 2020; Kumar and Byrne 2004).
    """
    from sacrebleu.metrics import CHRF

    if len(texts) == 1:
        return 0
    scorer = CHRF()

    @cache
    def chrf(hypothesis: str, reference: str) -> float:
        return float(scorer.sentence_score(hypothesis, [reference]).score)

    counts = Counter(texts)

    def gain(text: str) -> float:
        others = counts - Counter([text])
        return sum(k * chrf(text, other) for other, k in others.items()) / others.total()

    gains = {text: gain(text) for text in counts}
    return max(range(len(texts)), key=lambda i: gains[texts[i]])


def derangement(count: int, seed: int) -> list[int]:
    """For each of ``count`` >= 2 places another place than its own, each taken once: a random cycle."""
    order = np.random.default_rng(seed).permutation(count)
    other = np.empty(count, dtype=np.int64)
    other[order] = np.roll(order, 1)
    return [int(i) for i in other]
