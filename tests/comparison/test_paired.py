import dataclasses
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from means import mean
from scipy import stats

from warmup_bench.comparison import compare
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.bleu import BLEU


def ratio(statistics):
    return 100 * statistics[..., 0] / (1.0 + statistics[..., 1])


def names(n):
    return [f"t-{i}" for i in range(n)]


def quick(a, b, aggregate=ratio, **options):
    n = np.shape(a)[1]
    return compare(a, b, aggregate, **{"ids": names(n), "randomizations": 199, **options})


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 12)).flatmap(
    lambda shape: npst.arrays(np.float64, (2, *shape, 2), elements=st.integers(0, 9).map(float))
)


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_swapping_the_systems_mirrors_everything_but_p(pair):
    there, back = quick(pair[0], pair[1]), quick(pair[1], pair[0])
    assert (back.score_a, back.score_b) == (there.score_b, there.score_a)
    assert back.difference == -there.difference
    assert back.p_value == there.p_value
    if there.error is None:
        assert (back.low, back.high, back.error) == (None, None, None)
    else:
        assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_scores_do_not_depend_on_the_order_of_examples(pair, shuffler):
    n = pair.shape[2]
    order = shuffler.sample(range(n), n)
    straight, shuffled = quick(pair[0], pair[1]), quick(pair[0][:, order], pair[1][:, order])
    assert straight.score_a == shuffled.score_a
    assert straight.score_b == shuffled.score_b
    assert straight.difference == shuffled.difference


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_identical_systems(pair):
    result = quick(pair[0], pair[0].copy())
    assert result.p_value == 1.0
    assert (result.difference, result.low, result.high) == (0.0, None, None)


def test_a_comparison_worked_out_by_hand():
    # means 0.5 and 0.75 in the first seed, 0.25 and 1.0 in the second
    a = np.array([[[1.0, 1], [0, 1], [1, 1], [0, 1]], [[0, 1], [0, 1], [1, 1], [0, 1]]])
    b = np.array([[[1.0, 1], [1, 1], [1, 1], [0, 1]], [[1, 1], [1, 1], [1, 1], [1, 1]]])
    result = quick(a, b, mean)
    assert result.score_a == (0.5, 0.25)
    assert result.score_b == (0.75, 1.0)
    assert result.difference == 0.5
    # the third example is equal; gains over both seeds are 1, 2, 1: of 8 swaps, +4 and -4 reach 4
    assert result.p_value == 2 / 8
    assert result.randomizations == 8
    assert (result.seeds, result.examples, result.groups) == (2, 4, 4)
    # squared errors: of the seeds' 0.25 and 0.75 1/16, of the examples' 0.5, 1, 0 and 0.5 1/24, and +-1/4 are
    # left everywhere: 1/48. So 1/16 and 1/24 - 1/48, of one degree of freedom and of three
    assert result.error.standard == pytest.approx(12**-0.5)
    assert result.error.freedom == pytest.approx((1 / 12) ** 2 / (1 / 16**2 + 1 / 48**2 / 3))
    half = stats.t.isf(0.025, result.error.freedom) * 12**-0.5
    assert (result.low, result.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert result.joint_p_value == pytest.approx(2 * stats.t.sf(0.5 * 12**0.5, result.error.freedom))
    assert any("2 matched seeds" in note and "0.5" in note for note in result.notes)
    assert any("all 8 distinct swaps" in note for note in result.notes)


def test_one_example():
    result = quick([[[1.0, 2]]], [[[3.0, 2]]])
    assert result.p_value == 1.0
    assert result.difference == pytest.approx(200 / 3)
    assert (result.low, result.high, result.joint_p_value) == (None, None, None)
    assert any(note.startswith("no interval") for note in result.notes)
    assert any(note.startswith("one seed") for note in result.notes)


def test_p_at_its_floor_is_told():
    values = np.random.default_rng(1).normal(size=(1, 60, 1))
    a = np.concatenate([values, np.ones((1, 60, 1))], axis=-1)
    b = a + np.concatenate([1 + 0.1 * values, np.zeros((1, 60, 1))], axis=-1)
    result = quick(a, b, mean)
    assert (result.p_value, result.p_at_floor) == (1 / 200, True)
    assert any("p is at most 0.005" in note for note in result.notes)
    assert not quick(a, a[:, ::-1], mean).p_at_floor


@pytest.mark.parametrize(("units", "least"), [(3, 0.25), (5, 0.0625), (6, None)])
def test_too_few_units_for_any_result_are_told(units, least):
    a = np.stack([np.zeros((1, units)), np.ones((1, units))], axis=-1)
    b = a + np.stack([np.arange(1.0, units + 1)[None], np.zeros((1, units))], axis=-1)
    told = [note for note in quick(a, b, mean).notes if "could be significant" in note]
    assert len(told) == (least is not None)
    if least is not None:
        assert f"{units} examples, which are too few: p cannot be under {least:g}," in told[0]
        assert quick(a, b, mean).p_value == least
    more = [np.concatenate([side, np.tile([1.0, 1.0], (1, 40, 1))], axis=1) for side in (a, b)]
    assert any("of which too few differ" in note for note in quick(*more, mean).notes) == (least is not None)


def test_skewed_differences_of_few_units_are_told():
    rng = np.random.default_rng(2)
    for gains, expected in (
        (rng.exponential(size=30) - 1, True),  # skewness of about 2: 25 x 4 units would do
        (rng.exponential(size=400) - 1, False),
        (rng.normal(size=30), False),
    ):
        a = np.stack([np.zeros_like(gains), np.ones_like(gains)], axis=-1)[None]
        b = a + np.stack([gains, np.zeros_like(gains)], axis=-1)[None]
        told = any("skewed" in note for note in quick(a, b, mean).notes)
        assert told == expected == (stats.skew(gains) ** 2 * 25 >= len(gains) and stats.skew(gains) > 1)


def test_groups_are_swapped_and_counted_whole():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, size=(2, 2, 9, 2)).astype(float)
    groups = ["d1", "d2", "d1", None, "d3", None, "d2", "d1", "d3"]
    members = [[0, 2, 7], [1, 6], [3], [4, 8], [5]]
    by_hand = [np.stack([side[:, rows].sum(axis=1) for rows in members], axis=1) for side in (a, b)]
    grouped, expected = quick(a, b, groups=groups), quick(*by_hand)
    assert (grouped.examples, grouped.groups, expected.examples) == (9, 5, 5)
    assert any("5 groups" in note for note in grouped.notes)
    same = {"examples": 5, "notes": ()}
    assert dataclasses.replace(grouped, **same) == dataclasses.replace(expected, **same)


def test_an_example_without_group_is_not_the_group_of_its_name():
    a, b = np.random.default_rng(2).normal(size=(2, 1, 3, 2))
    result = compare(a, b, ratio, ids=["x", "y", "z"], groups=["y", None, "y"], randomizations=9)
    assert result.groups == 2


def test_groups_of_one_change_nothing():
    a, b = np.random.default_rng(2).random((2, 1, 20, 2))
    assert quick(a, b, groups=names(20)) == quick(a, b) == quick(a, b, groups=[None] * 20)


def recording(seen, columns):
    """An additive metric over ``columns`` that keeps every total that it is asked about."""

    def aggregate(totals):
        seen.append(totals[..., :columns].copy())
        return totals.sum(axis=-1)

    return aggregate


def test_all_metrics_of_a_table_share_their_draws():
    # column u counts unit u of system B alone, so that the totals spell out the masks
    units = 30
    marks = np.eye(units)[None]
    wide = np.concatenate([marks, marks * 7, marks * 3], axis=-1)
    first, second = [], []
    quick(np.zeros_like(marks), marks, recording(first, units))
    quick(np.zeros_like(wide), wide, recording(second, units))
    assert len(first) == len(second) > 4
    assert all(np.array_equal(u, v) for u, v in zip(first, second, strict=True))
    assert any(1 < totals.sum() < totals.size for totals in first)  # swapped ones among them
    other = []
    quick(np.zeros_like(marks), marks, recording(other, units), seed=54321)
    assert not all(np.array_equal(u, v) for u, v in zip(first, other, strict=True))


def test_same_seed_same_result():
    a, b = np.random.default_rng(3).random((2, 3, 50, 2))
    assert quick(a, b) == quick(a, b)
    assert quick(a, b).p_value != quick(a, b, seed=1).p_value


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_statistic_that_is_not_finite_is_refused_with_its_example(value):
    a, b = np.zeros((2, 2, 5, 2))
    b[1, 3, 0] = value
    with pytest.raises(UserError, match=r"example 't-3' is not finite \(system B, run 1\)"):
        quick(a, b)


def test_a_metric_that_is_not_finite_on_a_changed_test_set_is_refused():
    a, b = np.random.default_rng(4).random((2, 1, 5, 2))
    with pytest.raises(UserError, match="no finite score"):
        quick(a, b, lambda totals: np.full(totals.shape[:-1], np.nan))
    with pytest.raises(ValueError, match="aggregate turned"):
        quick(a, b, lambda totals: totals.sum())


def test_what_cannot_be_paired_is_refused():
    a = np.zeros((2, 3, 4))
    with pytest.raises(UserError, match=r"\(2, 3, 4\) and \(2, 2, 4\)"):
        quick(a, a[:, :2])
    with pytest.raises(UserError, match="cannot pair"):
        quick(a[:, :0], a[:, :0])
    with pytest.raises(UserError, match="2 ids for statistics of 3"):
        quick(a, a, ids=["x", "y"])
    with pytest.raises(UserError, match="'x' occurs twice"):
        quick(a, a, ids=["x", "y", "x"])
    with pytest.raises(UserError, match="1 groups for 3"):
        quick(a, a, groups=["g"])
    for wrong in ({"randomizations": 0}, {"confidence": 1.0}):
        with pytest.raises(ValueError, match="cannot use"):
            quick(a, a, **wrong)


def test_input_is_left_as_it_was():
    a, b = np.random.default_rng(5).random((2, 2, 6, 2))
    kept = a.copy(), b.copy()
    quick(a, b, groups=["g"] * 3 + ["h"] * 3)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])


def test_memory_stays_bounded():
    # 20,000 examples and 1,000 swaps: the masks alone would take 160 MB as float64 at once
    a, b = np.random.default_rng(6).random((2, 1, 20_000, 2))
    tracemalloc.start()
    try:
        quick(a, b, randomizations=1_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 120e6


def test_bleu_end_to_end_prefers_the_better_system():
    references = [f"the cat number {i} sat on the mat of house {i * 7}" for i in range(40)]
    worse = [r.replace("sat on the", "sits by a") for r in references]
    better = [r if i % 5 else w for i, (r, w) in enumerate(zip(references, worse, strict=True))]
    metric = BLEU(MetricContext())
    a, b = (metric.segment_statistics(side, [[r] for r in references], [])[None] for side in (worse, better))
    result = compare(a, b, metric.aggregate, ids=names(40), randomizations=999)
    assert result.difference > 20
    assert result.p_value == 0.001
    assert 0 < result.low < result.difference < result.high
