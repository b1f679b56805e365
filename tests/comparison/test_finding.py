"""The rule by which a difference holds for these models, and for other seeds: by hand and by simulation."""

from dataclasses import replace

import numpy as np
import pytest
from means import mean, valued
from scipy import stats

from warmup_bench.comparison import Comparison, compare, find
from warmup_bench.comparison.interval import Error


def comparison(p, joint=None, over_seeds=None, seeds=6):
    """A comparison with these p values."""
    return Comparison(
        score_a=(0.0,) * seeds,
        score_b=(1.0,) * seeds,
        difference=1.0,
        low=None,
        high=None,
        p_value=p,
        confidence=0.95,
        randomizations=100,
        seeds=seeds,
        examples=50,
        groups=50,
        notes=(),
        seed_p_value=over_seeds,
        joint_p_value=joint,
    )


@pytest.mark.parametrize(
    ("p", "joint", "over_seeds", "shown", "again"),
    [
        (0.001, 0.01, 0.031, True, True),
        (0.05, 0.05, 0.05, True, True),  # at the level is enough
        (0.001, 0.06, 0.031, True, False),  # the examples may be to blame
        (0.001, 0.01, 0.0625, True, False),  # five seeds
        (0.06, 0.01, 0.031, False, False),
        (0.001, None, None, True, False),
    ],
)
def test_one_comparison(p, joint, over_seeds, shown, again):
    (found,) = find([comparison(p, joint, over_seeds)], 0.05)
    assert (found.these_models, found.other_seeds) == (shown, again)
    assert (found.corrected_p, found.corrected_joint_p) == (p, joint)


def test_a_family_is_corrected_by_holm_in_both_tests():
    family = [
        comparison(0.01, 0.02, 0.031),
        comparison(0.001, 0.01, 0.031),
        comparison(0.02, None, None, seeds=1),
    ]
    first, second, third = find(family, 0.05)
    # 3 x 0.001, 2 x 0.01, 1 x 0.02; over seeds two are tested: 2 x 0.01, 1 x 0.02
    assert [f.corrected_p for f in (first, second, third)] == pytest.approx([0.02, 0.003, 0.02])
    assert [f.corrected_joint_p for f in (first, second)] == pytest.approx([0.02, 0.02])
    assert third.corrected_joint_p is None
    assert [f.other_seeds for f in (first, second, third)] == [True, True, False]
    without_spread = comparison(1.0, None, 1.0)
    first, second = find([comparison(0.001, 0.03, 0.031), without_spread], 0.05)
    assert (first.corrected_joint_p, first.other_seeds) == (pytest.approx(0.06), False)
    assert (second.corrected_joint_p, second.other_seeds) == (None, False)


def measured(difference, error, p=0.001):
    return replace(comparison(p, 0.01, 0.031), difference=difference, error=error)


@pytest.mark.parametrize(
    ("difference", "standard", "p", "outcome"),
    [
        (0.1, 0.2, 0.5, "no difference above the margin"),  # up to 0.1 + 1.81 x 0.2 = 0.46
        (0.2, 0.2, 0.5, "undecided"),  # 0.56
        (-0.2, 0.2, 0.5, "undecided"),
        (-0.13, 0.2, 0.5, "no difference above the margin"),
        (0.9, 0.2, 0.001, "better"),
        (-0.9, 0.2, 0.001, "worse"),
        (0.3, 0.01, 0.001, "no difference above the margin"),  # real, and too small to matter
    ],
)
def test_a_margin_of_half_a_point(difference, standard, p, outcome):
    c = measured(difference, Error(standard, 10.0), p)
    (found,) = find([c], 0.05, margin=0.5)
    assert found.outcome(difference > 0) == outcome
    t = (0.5 - abs(difference)) / standard
    assert found.corrected_equivalence_p == pytest.approx(stats.t.sf(t, 10))
    assert found.equivalent == (abs(difference) + c.error.half_width(0.9) <= 0.5)


def test_equivalence_is_corrected_too_and_needs_a_spread():
    family = [measured(0.0, Error(0.2, 10.0)), measured(0.3, None), measured(0.1, Error(0.25, 10.0))]
    found = find(family, 0.05, margin=0.5)
    first, last = stats.t.sf(0.5 / 0.2, 10), stats.t.sf(0.4 / 0.25, 10)  # 0.016 and 0.07, beside a 1
    assert found[0].corrected_equivalence_p == pytest.approx(3 * first)
    assert (found[1].corrected_equivalence_p, found[1].equivalent) == (None, False)
    assert found[2].corrected_equivalence_p == pytest.approx(2 * last)
    assert [f.equivalent for f in found] == [True, False, False]
    assert find(family, 0.05)[0].equivalent is None


@pytest.mark.parametrize(
    ("of_seed", "of_example", "rest"), [(1.0, 0.0, 0.3), (0.0, 1.0, 0.3), (0.0, 0.0, 1.0)]
)
def test_the_level_holds_for_other_seeds_and_examples(of_seed, of_example, rest):
    rng = np.random.default_rng(3)
    simulations, found, by_seeds = 300, 0, 0
    for number in range(simulations):
        parts = [
            size * rng.normal(size=s)
            for size, s in ((of_seed, (6, 1)), (of_example, (1, 40)), (rest, (6, 40)))
        ]
        gains = parts[0] + parts[1] + parts[2]
        c = compare(
            *(valued(side) for side in (np.zeros_like(gains), gains)),
            mean,
            ids=[str(i) for i in range(40)],
            randomizations=199,
            seed=number,
        )
        found += find([c], 0.05)[0].other_seeds
        by_seeds += c.seed_p_value <= 0.05
    assert found <= stats.binom.ppf(0.999, simulations, 0.05)
    if of_example:  # over seeds alone most nulls are rejected
        assert by_seeds > simulations / 2
