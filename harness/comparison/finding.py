"""What a family of comparisons shows: the one rule that every sentence, table and plan follows.

A difference holds *for these models* where Holm's p of the paired test over examples is at most the level. It
holds *for other seeds too* where, beside that, both tests that look at seeds agree:

- the t test over seeds and examples (``joint_p_value``, the interval's) is at most the level after Holm's
  correction over the same family, and
- the sign-flip test over the seeds is at most the level. It assumes no distribution, and so can't be under
  2 / 2^seeds, but holds the test set fixed: alone it rejects 19 to 73% of true nulls where the difference
  varies over examples. It is not corrected, since the corrected test beside it bounds the family's error.

With one seed, and with fewer than the sign flips need (6 at 5%), nothing is shown for other seeds.

Where a margin is declared, the smallest difference that matters, *no difference above it* is shown where two
one-sided t tests, of no gain of that size and of no loss of it, both are at most the level after Holm's
correction: where the interval at 1 - 2 level lies within the margin (Schuirmann 1987). The error is that of
the interval, over seeds and examples; with one seed it is about these models.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from warmup_bench.comparison.correction import holm
from warmup_bench.comparison.paired import Comparison

Reach = Literal["other seeds", "these models", "nobody"]
"""For whom a difference is shown: for other seeds and examples too, for the trained models alone, or not."""
Outcome = Literal["better", "worse", "no difference above the margin", "undecided"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one comparison of a family shows.

    Attributes:
        corrected_p: Holm's p for these models.
        corrected_joint_p: Holm's p over seeds and examples; None where there is no such test.
        these_models: Whether the difference holds for these trained models.
        other_seeds: Whether it is shown for other seeds and examples too.
        other_seeds_p: The larger of the two p that it rests on: the joint one, and the sign flips' over
            seeds; None where one is missing.
        corrected_equivalence_p: Holm's p of the larger of both one-sided tests; None without a margin or an
            interval.
        equivalent: Whether a difference above the margin is excluded either way; None without a margin.
    """

    corrected_p: float
    corrected_joint_p: float | None
    these_models: bool
    other_seeds: bool
    other_seeds_p: float | None = None
    corrected_equivalence_p: float | None = None
    equivalent: bool | None = None

    @property
    def reach(self) -> Reach:
        """For whom the difference is shown."""
        return "other seeds" if self.other_seeds else "these models" if self.these_models else "nobody"

    def outcome(self, better: bool | None) -> Outcome:
        """In a word. A difference that is real but within the margin is none that matters.

        Args:
            better: Whether it is an improvement, by the metric's direction; None: it is exactly 0.
        """
        if self.equivalent:
            return "no difference above the margin"
        if not self.these_models or better is None:
            return "undecided"
        return "better" if better else "worse"


def find(comparisons: Sequence[Comparison], level: float, margin: float | None = None) -> list[Finding]:
    """The findings of a family, in the order given.

    Args:
        comparisons: All that are corrected for together: every comparison of one metric in one table.
        level: Of each family of tests; a table's is 1 - confidence.
        margin: Smallest difference that matters, in score points; None: none was declared.
    """
    within = [_equivalence_p(c, margin) for c in comparisons]
    both_sides = holm([1.0 if p is None else p for p in within]).tolist()
    corrected = holm([c.p_value for c in comparisons]).tolist()
    # Without a spread there is no test over seeds; it counts in the family as one that finds nothing.
    over_seeds = [i for i, c in enumerate(comparisons) if c.seeds > 1]
    joint = holm([1.0 if (p := comparisons[i].joint_p_value) is None else p for i in over_seeds]).tolist()
    by_place = dict(zip(over_seeds, joint, strict=True))
    findings = []
    for i, (c, p) in enumerate(zip(comparisons, corrected, strict=True)):
        both = None if c.joint_p_value is None else by_place[i]
        shown = p <= level
        again = None if both is None or c.seed_p_value is None else max(both, c.seed_p_value)
        sides = None if within[i] is None else both_sides[i]
        equivalent = None if margin is None else sides is not None and sides <= level
        other_seeds = shown and again is not None and again <= level
        findings.append(Finding(p, both, shown, other_seeds, again, sides, equivalent))
    return findings


def _equivalence_p(comparison: Comparison, margin: float | None) -> float | None:
    """The larger p of both one-sided tests; None where there is no margin or no error."""
    if margin is None or comparison.error is None:
        return None
    return comparison.error.tail(margin - abs(comparison.difference))
