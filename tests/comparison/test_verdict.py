"""Verdicts on published gains, worked out by hand; the power against scipy's normal distribution."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from warmup_bench.comparison.verdict import judge


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 2.0, "reproduced"),
        (1.0, 2.0, "reproduced"),  # an end counts as covered
        (0.1, 0.9, "smaller"),
        (-3.0, -0.5, "smaller"),
        (1.1, 3.0, "larger"),
        (-0.4, 0.4, "not distinguishable from 0"),  # excludes the published gain
        (0.0, 0.0, "not distinguishable from 0"),  # identical systems
        (-0.1, 1.1, "not distinguishable from 0"),  # covers it with a power of 90%
        (-0.5, 1.5, "underpowered"),
        (0.0, 5.0, "underpowered"),  # 0 at the end is not excluded
    ],
)
def test_every_verdict_on_a_gain_of_one_point(low: float, high: float, verdict: str) -> None:
    assert judge(1.0, low, high, 0.95).verdict == verdict
    assert judge(-1.0, -high, -low, 0.95).verdict == verdict


@given(st.floats(0.05, 5), st.floats(-4, 4), st.floats(0.05, 6), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_power_is_that_of_a_normal_test(
    published: float, low: float, width: float, confidence: float
) -> None:
    found = judge(published, low, low + width, confidence)
    least = norm.isf((1 - confidence) / 2)
    shift = published / (width / 2 / least)
    assert found.power == pytest.approx(norm.sf(least - shift) + norm.cdf(-least - shift))
    covers, holds_0 = (low <= value <= low + width for value in (published, 0))
    assert (found.verdict == "reproduced") == (covers and not holds_0)
    if found.verdict == "underpowered":
        assert found.power < 0.8


def test_what_is_no_question() -> None:
    with pytest.raises(ValueError, match="no interval"):
        judge(1.0, 2.0, 1.0, 0.95)
    with pytest.raises(ValueError, match="no published gain"):
        judge(0.0, -1.0, 1.0, 0.95)
