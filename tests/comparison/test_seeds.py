import itertools

import numpy as np
import pytest
from scipy import stats

from warmup_bench.comparison.seeds import (
    interval_note,
    least_seeds,
    seed_level_note,
    seed_level_p,
    smallest_seed_level_p,
)


@pytest.mark.parametrize("seeds", range(1, 9))
def test_smallest_p_by_enumerating_all_sign_flips(seeds):
    differences = np.arange(1.0, seeds + 1)  # all in one direction: the most extreme that there is
    flipped = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=seeds)]
    p = np.mean([value >= differences.sum() for value in flipped])
    assert smallest_seed_level_p(seeds) == pytest.approx(p, abs=1e-15)


def test_fewest_seeds_that_reach_a_level():
    # 1/4, 1/8, 1/16, 1/32 with 3 to 6 seeds; 1/128 with 8, 1/256 with 9
    assert [least_seeds(level) for level in (0.5, 0.25, 0.0625, 0.05, 0.01, 0.05 / 8)] == [2, 3, 5, 6, 8, 9]


def test_note_until_six_seeds():
    assert "one seed" in seed_level_note(1)
    assert "p = 0.25" in seed_level_note(3)
    assert "p = 0.0625" in seed_level_note(5)
    assert seed_level_note(6) is None
    assert seed_level_note(20) is None


@pytest.mark.parametrize("seeds", [2, 5, 9])
def test_p_over_seeds_by_enumeration(seeds):
    differences = np.random.default_rng(seeds).normal(0.5, 1, size=seeds).tolist()
    flipped = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=seeds)]
    expected = np.mean([value >= abs(sum(differences)) - 1e-12 for value in flipped])
    assert seed_level_p(differences, 1000, seed=1) == pytest.approx(expected, abs=1e-15)


def test_p_over_seeds_of_one_seed_of_equal_ones_and_of_many():
    assert seed_level_p([0.7], 1000, seed=1) is None
    assert seed_level_p([0.0, 0.0, 0.0], 1000, seed=1) == 1.0
    assert seed_level_p([1.0] * 5, 1000, seed=1) == smallest_seed_level_p(5) == 0.0625
    many = np.random.default_rng(1).normal(0.4, 1, size=40)
    flips = stats.permutation_test(
        (many, np.zeros(40)),
        lambda u, v: np.mean(u - v),
        permutation_type="samples",
        n_resamples=4_000,
        vectorized=False,
        rng=np.random.default_rng(2),
    )
    assert seed_level_p(many.tolist(), 4_000, seed=1) == pytest.approx(flips.pvalue, abs=0.02)


def test_type_one_error_over_seeds():
    rng = np.random.default_rng(3)
    simulations = 1_000
    ps = [seed_level_p(rng.normal(size=7).tolist(), 1000, seed=1) for _ in range(simulations)]
    rejected = sum(p <= 0.05 for p in ps)
    level = 6 / 128  # 6 of 128 flips: the largest level under 5%
    assert rejected <= stats.binom.ppf(0.999, simulations, level)
    assert rejected >= stats.binom.ppf(0.001, simulations, level)


def test_an_interval_of_two_seeds_says_that_it_is_rough():
    assert "2 seeds" in interval_note(2)
    assert [interval_note(seeds) for seeds in (1, 3, 6, 20)] == [None] * 4
