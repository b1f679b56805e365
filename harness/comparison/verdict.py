"""A published gain and the one measured here: does the second reproduce the first?"""

from dataclasses import dataclass
from typing import Literal

from warmup_bench.comparison.interval import Error
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


def judge(published: float, difference: float, error: Error, confidence: float) -> Judgement:
    """Judge a published gain by the interval of the measured one.

    The interval excludes 0: ``reproduced`` where it covers the published gain, else ``smaller`` or ``larger``
    (a loss is smaller). It holds 0: ``not distinguishable from 0``; or ``underpowered``, where it covers the
    published gain too and the power to find that gain is below 80%, so that nothing follows.

    Args:
        published: Gain in score points, not 0.
        difference: The measured gain.
        error: Behind its interval.
        confidence: Nominal coverage of that; 1 - confidence is the level of the test.

    Raises:
        ValueError: A published gain of 0.
    """
    if published == 0:
        raise ValueError("no published gain: 0")
    half = error.half_width(confidence)
    low, high = difference - half, difference + half
    chance = power(published, error.standard, 1 - confidence, error.freedom)
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
