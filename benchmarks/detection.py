"""``python -m benchmarks.detection``: the power that is foretold, and how often the report's tests find it.

Studies of a mean over examples, whose parts of the variance are known and given to ``power``; the comparison
and its rule are the package's own.
"""

import math
from typing import Annotated

import numpy as np
import typer

from benchmarks.simulated import valued
from warmup_bench.comparison import compare, find
from warmup_bench.comparison.power import PowerModel, Variances
from warmup_bench.contracts.metric import FloatArray

LEVEL, SWAPS = 0.05, 999
KINDS = {
    "seeds": (0.0, 0.3, 0.25),
    "examples": (1.0, 0.1, 0.0),
    "neither": (0.0, 1.0, 0.0),
    "all": (1.0, 1.0, 0.02),
}
"""Variances of examples, of the rest and of seeds."""


def variances(kind: str) -> Variances:
    """The parts of a kind."""
    examples, rest, seeds = KINDS[kind]
    return Variances(examples, rest, seeds)


def gains(parts: Variances, effect: float, seeds: int, examples: int, rng: np.random.Generator) -> FloatArray:
    """Differences of one study, [seeds, examples]."""
    drawn: FloatArray = (
        effect
        + math.sqrt(parts.seeds or 0.0) * rng.normal(size=(seeds, 1))
        + math.sqrt(parts.examples) * rng.normal(size=(1, examples))
        + math.sqrt(parts.residual) * rng.normal(size=(seeds, examples))
    )
    return drawn


def found(kind: str, effect: float, seeds: int, examples: int, simulations: int) -> tuple[float, float]:
    """Shares of studies that find the effect: for these models, and for other seeds.

    For these models the seeds' part is left out: theirs is then the effect.
    """
    rng = np.random.default_rng([seeds, examples, *f"{kind} {effect}".encode()])
    parts = variances(kind)
    counts = [0, 0]
    for number in range(simulations):
        for which, own in enumerate((Variances(parts.examples, parts.residual, 0.0), parts)):
            drawn = gains(own, effect, seeds, examples, rng)
            comparison = compare(
                valued(np.zeros_like(drawn)),
                valued(drawn),
                lambda totals: totals[..., 0] / totals[..., 1],
                ids=[str(i) for i in range(examples)],
                randomizations=SWAPS,
                seed=number,
            )
            (finding,) = find([comparison], LEVEL)
            counts[which] += (finding.these_models, finding.other_seeds)[which]
    return counts[0] / simulations, counts[1] / simulations


def main(
    simulations: Annotated[int, typer.Option(min=1, help="Studies of each cell.")] = 1000,
    examples: Annotated[int, typer.Option(min=2, help="Of the test set.")] = 100,
) -> None:
    """Print power as foretold and as found, a Markdown table."""
    print("| varies | seeds | true gain | these models: foretold | found | other seeds: foretold | found |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for kind in KINDS:
        for seeds in (3, 6, 10):
            for errors in (0.0, 2.0, 3.5):
                parts = variances(kind)
                error = math.sqrt(
                    (parts.seeds or 0) / seeds + (parts.examples + parts.residual / seeds) / examples
                )
                plan = PowerModel(parts, errors * error, LEVEL)
                foretold = [plan.power(examples, seeds, other_seeds=other) or 0.0 for other in (False, True)]
                shares = found(kind, plan.effect, seeds, examples, simulations)
                cells = " | ".join(
                    f"{100 * f:.1f} | {100 * s:.1f}" for f, s in zip(foretold, shares, strict=True)
                )
                print(f"| {kind} | {seeds} | {plan.effect:.2f} | {cells} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
