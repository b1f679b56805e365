"""What a number of matched training seeds can and cannot show."""

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
