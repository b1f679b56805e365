"""Verdicts on published gains, worked out by hand; the power against scipy's noncentral t distribution."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nct, t

from warmup_bench.comparison.interval import Error
from warmup_bench.comparison.verdict import judge


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 2.0, "reproduced"),
        (0.999999, 2.0, "reproduced"),
        (0.1, 0.9, "smaller"),
        (-3.0, -0.5, "smaller"),
        (1.1, 3.0, "larger"),
        (-0.4, 0.4, "not distinguishable from 0"),  # excludes the published gain
        (-0.1, 1.1, "not distinguishable from 0"),  # covers it with a power of 90%
        (-0.5, 1.5, "underpowered"),
        (-0.000001, 5.0, "underpowered"),
    ],
)
def test_every_verdict_on_a_gain_of_one_point(low: float, high: float, verdict: str) -> None:
    error = Error((high - low) / 2 / -t.ppf(0.025, 30), 30.0)
    assert judge(1.0, (low + high) / 2, error, 0.95).verdict == verdict
    assert judge(-1.0, -(low + high) / 2, error, 0.95).verdict == verdict


@given(st.floats(0.05, 5), st.floats(-4, 4), st.floats(0.05, 6), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_power_is_that_of_a_t_test(published: float, low: float, width: float, confidence: float) -> None:
    least = t.isf((1 - confidence) / 2, 12)
    error = Error(width / 2 / least, 12.0)
    found = judge(published, low + width / 2, error, confidence)
    shift = published / error.standard
    expected = nct.sf(least, 12, shift) + nct.sf(least, 12, -shift)
    assert math.isnan(expected) or found.power == pytest.approx(expected, abs=1e-6)
    covers, holds_0 = (low <= value <= low + width for value in (published, 0))
    near = min(abs(end - value) for end in (low, low + width) for value in (published, 0))
    assert near < 1e-9 or (found.verdict == "reproduced") == (covers and not holds_0)
    if found.verdict == "underpowered":
        assert found.power < 0.8


def test_what_is_no_question() -> None:
    with pytest.raises(ValueError, match="no published gain"):
        judge(0.0, 1.0, Error(1.0, 9.0), 0.95)
