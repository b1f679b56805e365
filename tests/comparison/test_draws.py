import numpy as np
import pytest
from scipy import stats

from warmup_bench.comparison import draws


def gathered(blocks):
    return np.concatenate(list(blocks))


@pytest.mark.parametrize("units", [1, 7, 64, 130])
def test_draws_depend_only_on_seed_units_and_rounds(units, monkeypatch):
    whole = gathered(draws.swap_masks(units, 50, seed=3))
    assert whole.shape == (50, units)
    assert whole.dtype == np.float64
    assert np.array_equal(whole, gathered(draws.swap_masks(units, 50, seed=3)))
    assert np.array_equal(whole[:20], gathered(draws.swap_masks(units, 20, seed=3)))
    if units > 1:
        assert not np.array_equal(whole, gathered(draws.swap_masks(units, 50, seed=4)))
    monkeypatch.setattr(draws, "BLOCK_BYTES", 8 * 140 * 3)  # a few rows a block
    assert len(list(draws.swap_masks(units, 50, seed=3))) > 3
    assert np.array_equal(whole, gathered(draws.swap_masks(units, 50, seed=3)))


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
