"""Studies whose truth is known: statistics of two systems, with the spread where it is wanted."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from warmup_bench.contracts.metric import FloatArray

KINDS = ("seeds", "examples", "neither", "all")
"""What the difference varies over: seeds; examples, alike under every seed; each example under each seed by
itself; all of them, each as much as the others."""


@dataclass(frozen=True)
class Study:
    """Statistics [seeds, examples, k] of a baseline and another system, and their metric."""

    a: FloatArray
    b: FloatArray
    aggregate: Callable[[FloatArray], FloatArray]


def mean(totals: FloatArray) -> FloatArray:
    """A value and a count to their ratio."""
    score: FloatArray = totals[..., 0] / totals[..., 1]
    return score


def mean_study(kind: str, seeds: int, examples: int, rng: np.random.Generator, effect: float = 0.0) -> Study:
    """A mean over examples whose true difference is ``effect``, with normal parts."""
    of_seed, of_example, rest = {
        "seeds": (1.0, 0.0, 0.3),
        "examples": (0.0, 1.0, 0.3),
        "neither": (0.0, 0.0, 1.0),
        "all": (examples**-0.5, 1.0, 1.0),
    }[kind]
    gains = effect + of_seed * rng.normal(size=(seeds, 1)) + of_example * rng.normal(size=(1, examples))
    gains = gains + rest * rng.normal(size=(seeds, examples))
    return Study(valued(np.zeros_like(gains)), valued(gains), mean)


def valued(values: FloatArray) -> FloatArray:
    """Values [seeds, examples] as the statistics of a mean, [seeds, examples, 2]."""
    return np.stack([values, np.ones_like(values)], axis=-1)


HYPOTHESIS = 0.95
"""Words of an output for one of its reference: both systems are a little short."""
HARDER = 0.6
"""Matching pairs of words for one matching word."""


def corpus_score(totals: FloatArray) -> FloatArray:
    """Like BLEU of two orders: sums of matches and of words, of one and two, and the reference's words."""
    ones, words, twos, pairs, reference = np.moveaxis(totals, -1, 0)
    score: FloatArray = (
        100.0 * np.sqrt(ones / words * twos / pairs) * np.exp(np.minimum(0, 1 - reference / words))
    )
    return score


GAIN = 0.02
"""By how much more often a word of system B is right."""
CORPUS_DIFFERENCE = 100.0 * GAIN * HARDER**0.5 * float(np.exp(1 - 1 / HYPOTHESIS))
"""True difference of the corpus score of a :func:`corpus_study`."""


def corpus_study(kind: str, seeds: int, examples: int, rng: np.random.Generator) -> Study:
    """A corpus metric on sentences of very different length; its difference is :data:`CORPUS_DIFFERENCE`.

    How often a word is right differs between examples, its gain as the kind says; which words are right is
    drawn anew for every seed, or with ``examples`` for every example once and for all.
    """
    lengths = 5 + rng.gamma(2.0, 10.0, size=(1, examples)).astype(int)
    of_seed, of_example = {
        "seeds": (0.05, 0.0),
        "examples": (0.0, 0.1),
        "neither": (0.0, 0.0),
        "all": (0.12 * examples**-0.5, 0.08),
    }[kind]
    right = 0.45 + 0.1 * rng.normal(size=(1, examples))
    better = (
        right + GAIN + of_seed * rng.normal(size=(seeds, 1)) + of_example * rng.normal(size=(1, examples))
    )
    drawn = (1 if kind == "examples" else seeds, examples)
    sides = []
    for rates in (np.broadcast_to(right, (seeds, examples)), better):
        words = np.maximum(2, rng.binomial(lengths, HYPOTHESIS, size=drawn))
        rate = np.clip(rates[: drawn[0]], 0.01, 0.99)
        counts = [rng.binomial(words, rate), words, rng.binomial(words - 1, HARDER * rate), words - 1]
        side = np.stack([*counts, np.broadcast_to(lengths, drawn)], axis=-1).astype(np.float64)
        sides.append(np.broadcast_to(side, (seeds, examples, 5)).copy())
    return Study(sides[0], sides[1], corpus_score)
