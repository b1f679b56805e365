import numpy as np
import pytest
from scipy import stats

from warmup_bench.comparison import draws


def gathered(blocks):
    return np.concatenate(list(blocks))


def resamples(units, rounds, seed):
    """Of one test set, or of two that share the units."""
    return draws.resample_counts((units,) if units < 64 else (units - 40, 40), rounds, seed)


@pytest.mark.parametrize("make", [draws.swap_masks, resamples])
@pytest.mark.parametrize("units", [1, 7, 64, 130])
def test_draws_depend_only_on_seed_units_and_rounds(make, units, monkeypatch):
    whole = gathered(make(units, 50, seed=3))
    assert whole.shape == (50, units)
    assert whole.dtype == np.float64
    assert np.array_equal(whole, gathered(make(units, 50, seed=3)))
    assert np.array_equal(whole[:20], gathered(make(units, 20, seed=3)))
    if units > 1:
        assert not np.array_equal(whole, gathered(make(units, 50, seed=4)))
    monkeypatch.setattr(draws, "BLOCK_BYTES", 8 * 140 * 3)  # a few rows a block
    monkeypatch.setattr(draws, "KEPT_DRAWS", 0)
    assert len(list(make(units, 50, seed=3))) > 3
    assert np.array_equal(whole, gathered(make(units, 50, seed=3)))


def test_masks_are_fair_independent_coins():
    masks = gathered(draws.swap_masks(100, 2000, seed=1))
    assert set(np.unique(masks)) == {0.0, 1.0}
    low, high = stats.binom.interval(0.9999, masks.size, 0.5)
    assert low <= masks.sum() <= high
    correlations = np.corrcoef(masks.T)[np.triu_indices(100, k=1)]
    assert np.abs(correlations).max() < 6 / np.sqrt(2000)


def test_every_swap_is_there_once(monkeypatch):
    monkeypatch.setattr(draws, "BLOCK_BYTES", 8 * 32 * 5)
    masks = gathered(draws.every_swap(6))
    assert masks.shape == (64, 6)
    assert len({tuple(row) for row in masks}) == 64
    assert masks[0].sum() == 0
    assert gathered(draws.every_swap(0)).shape == (1, 0)


def test_counts_are_exact_resamples_of_the_same_size():
    counts = gathered(draws.resample_counts((40,), 3000, seed=2))
    assert (counts.sum(axis=1) == 40).all()
    # a unit's count is binomial(40, 1/40)
    seen = np.bincount(counts.astype(int).ravel(), minlength=6)[:6] / counts.size
    assert seen == pytest.approx(stats.binom.pmf(np.arange(6), 40, 1 / 40), abs=0.01)


def test_each_of_several_test_sets_keeps_its_size_and_has_draws_of_its_own():
    counts = gathered(draws.resample_counts((30, 5, 30), 2000, seed=2))
    first, small, last = np.split(counts, [30, 35], axis=1)
    for part, size in ((first, 30), (small, 5), (last, 30)):
        assert (part.sum(axis=1) == size).all()
    assert np.array_equal(first, gathered(draws.resample_counts((30,), 2000, seed=2)))
    assert not np.array_equal(first, last)
    assert abs(np.corrcoef(first[:, 0], last[:, 0])[0, 1]) < 6 / np.sqrt(2000)


def test_seeds_have_a_stream_of_their_own():
    two = draws.seed_counts(2, 4000, seed=9)
    assert (two.sum(axis=1) == 2).all()
    both_once = int((two[:, 0] == 1).sum())
    low, high = stats.binom.interval(0.9999, 4000, 0.5)
    assert low <= both_once <= high
    assert not np.array_equal(two, gathered(draws.resample_counts((2,), 4000, seed=9)))
    assert (draws.seed_counts(1, 5, seed=9) == 1).all()
