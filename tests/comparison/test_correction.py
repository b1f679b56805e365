import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warmup_bench.comparison import holm
from warmup_bench.comparison.correction import enough_swaps


def test_by_hand():
    # sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04, which must not fall: 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm([0.2]).tolist() == [0.2]
    assert holm([]).tolist() == []


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_equals_statsmodels(p_values):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    expected = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("wrong", [[0.1, np.nan], [-0.1], [1.1], [[0.1]]])
def test_what_is_no_p_value_is_refused(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(wrong)


def test_swaps_are_enough_for_a_family():
    # the smallest p is 1 / (swaps + 1): 100 comparisons at 5% need 1,999 swaps
    assert enough_swaps(10_000, 100, 0.05) == 10_000
    assert enough_swaps(1_999, 100, 0.05) == 1_999
    assert enough_swaps(1_998, 100, 0.05) == 20_000
    assert enough_swaps(99, 1, 0.05) == 99
    assert holm([1 / 20_001] + [1.0] * 99)[0] <= 0.05 < holm([1 / 1_999] + [1.0] * 99)[0]
