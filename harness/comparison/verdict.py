"""A published gain and the one measured here: does the second reproduce the first?"""

from dataclasses import dataclass
from typing import Literal

from warmup_bench.comparison.power import power

Verdict = Literal["reproduced", "smaller", "larger", "not distinguishable from 0", "underpowered"]

ENOUGH = 0.8
"""Power from which a difference that can't be told from 0 speaks against the published gain."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a measured interval says of a published gain.

    Attributes:
        verdict: In one word or a few.
        power: Chance that a comparison with this one's standard error finds the published gain.
    """

    verdict: Verdict
    power: float


def judge(published: float, low: float, high: float, confidence: float) -> Judgement:
    """Judge a published gain by the interval of the measured one.

    The interval excludes 0: ``reproduced`` where it covers the published gain, else ``smaller`` or ``larger``
    (a loss is smaller). It holds 0: ``not distinguishable from 0``; or ``underpowered``, where it covers the
    published gain too and the power to find that gain is below 80%, so that nothing follows. The standard
    error is that of a normal interval of this width.

    Args:
        published: Gain in score points, not 0.
        low, high: Ends of the measured gain's interval.
        confidence: Its nominal coverage; 1 - confidence is the level of the test.

    Raises:
        ValueError: An empty interval, or a published gain of 0.
    """
    from scipy import special

    if low > high or published == 0:
        raise ValueError(f"no interval [{low}, {high}], or no published gain: {published}")
    level = 1 - confidence
    error = (high - low) / 2 / -float(special.ndtri(level / 2))
    chance = power(published, error, level)
    covers = low <= published <= high
    verdict: Verdict
    if low <= 0 <= high:
        verdict = "underpowered" if covers and chance < ENOUGH else "not distinguishable from 0"
    elif covers:
        verdict = "reproduced"
    else:
        beyond = low > published if published > 0 else high < published
        verdict = "larger" if beyond else "smaller"
    return Judgement(verdict, chance)
