"""What a number of matched training seeds can and cannot show."""

from collections.abc import Sequence
from itertools import count

import numpy as np

from warmup_bench.comparison.randomization import randomization_test

LEVEL = 0.05
"""The usual level of a test."""


def smallest_seed_level_p(seeds: int) -> float:
    """Return ``2 / 2**seeds``: the smallest two-sided p of an exact sign-flip (or sign) test over seeds.

    There are ``2**seeds`` ways to flip the differences of the pairs; two of them, the real one and its
    mirror image, are at least as extreme as the most extreme. 3 seeds: 0.25; 4: 0.125; 5: 0.0625; 6: 0.03125;
    8: 0.0078. (An unpaired permutation of 2 x n runs reaches ``2 / binomial(2n, n)``: 3 runs 0.1, 4 runs
    0.029, 5 runs 0.008. A t-test can be smaller with fewer, on the strength of its normal distribution.)
    """
    return min(1.0, 2.0 / 2.0**seeds)


def least_seeds(level: float = LEVEL) -> int:
    """Return the fewest matched seeds with which that test can reach ``level`` (over 0); 5%: 6, 1%: 8."""
    return next(seeds for seeds in count(1) if smallest_seed_level_p(seeds) <= level)


def seed_level_p(differences: Sequence[float], rounds: int, seed: int) -> float | None:
    """Return the two-sided sign-flip p over the matched seeds' score differences; None with one seed.

    Null hypothesis: trained again with another seed, either method is as likely to come out ahead by as much.
    The seeds are the units and the test set is held fixed. All ``2**seeds`` flips are tried where they are no
    more than ``rounds``, else random ones; p cannot go under :func:`smallest_seed_level_p`.
    """
    if len(differences) < 2:
        return None
    gains = np.stack([np.asarray(differences, dtype=np.float64), np.ones(len(differences))], axis=-1)[None]
    level = np.stack([np.zeros(len(differences)), np.ones(len(differences))], axis=-1)[None]
    return randomization_test(level, gains, lambda sums: sums[..., 0] / sums[..., 1], rounds, seed).p_value


def seed_level_note(seeds: int) -> str | None:
    """Say what cannot be claimed from this many matched seeds; None from 6 on, where 5% can be reached."""
    if seeds == 1:
        return "one seed: p and interval are about these two trained models, not about training again"
    if (least := smallest_seed_level_p(seeds)) >= LEVEL:
        return (
            f"{seeds} matched seeds: an exact two-sided test over seeds cannot give less than p = {least:g} "
            "(under 5% takes 6), so the numbers do not show that the difference holds for other seeds"
        )
    return None


def interval_note(seeds: int) -> str | None:
    """Say what two seeds can't tell an interval; None with one (which it doesn't speak of) and from 3 on."""
    if seeds != 2:
        return None
    return "an interval over 2 seeds is a rough one: two runs hardly tell how far others would be from them"
