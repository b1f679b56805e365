"""``python -m benchmarks.coverage``: how often 95% intervals hold the true difference, by simulation.

Ours (:mod:`warmup_bench.comparison.interval`) beside others of two crossed random effects: a pigeonhole
bootstrap (seeds, then examples; Owen 2007), the same widened for few seeds (Hesterberg 2015), a bootstrap-t,
and variance components with a t of all three mean squares' degrees of freedom (Satterthwaite 1946). The
others see an example's jackknife values, so that a corpus metric costs them no more than a mean.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

from benchmarks.simulated import CORPUS_DIFFERENCE, KINDS, Study, corpus_study, mean_study
from warmup_bench.comparison.interval import crossed_error, left_out
from warmup_bench.contracts.metric import FloatArray

SEEDS, EXAMPLES, RESAMPLES, CONFIDENCE = (2, 3, 6, 10, 20), (30, 300, 3000), 399, 0.95
Interval = tuple[float, float]
METRICS: dict[str, tuple[Callable[..., Study], float]] = {
    "mean": (mean_study, 0.0),
    "corpus": (corpus_study, CORPUS_DIFFERENCE),
}
OTHERS = ("three mean squares", "bootstrap", "widened bootstrap", "bootstrap-t")


def ours(study: Study) -> Interval:
    """The interval that the package prints."""
    totals = [study.aggregate(side.sum(axis=1)) for side in (study.a, study.b)]
    difference = float((totals[1] - totals[0]).mean())
    error = crossed_error(study.a, study.b, study.aggregate, [study.a.shape[1]])
    half = 0.0 if error is None else error.half_width(CONFIDENCE)
    return difference - half, difference + half


def others(study: Study, rng: np.random.Generator) -> dict[str, Interval]:
    """The intervals that were not chosen."""
    values = _pseudo_values(study)
    resampled, errors = _resampled(values, rng)
    seeds, middle, error = len(values), float(values.mean()), _error(values)
    tails = np.array([0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    percentiles = np.quantile(resampled, tails)
    widened = _t(CONFIDENCE, seeds - 1) / _t(CONFIDENCE, np.inf) * (seeds / (seeds - 1)) ** 0.5
    known = errors > 1e-9 * error
    ratios = np.quantile((resampled[known] - middle) / errors[known], tails)
    half = _t(CONFIDENCE, _freedom(values)) * error
    intervals = (
        np.array([middle - half, middle + half]),
        percentiles,
        middle + widened * (percentiles - middle),
        middle - error * ratios[::-1],
    )
    return {name: (float(low), float(high)) for name, (low, high) in zip(OTHERS, intervals, strict=True)}


def _t(confidence: float, freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.5 + confidence / 2, freedom))


def _pseudo_values(study: Study) -> FloatArray:
    examples = study.a.shape[1]
    totals = [study.aggregate(side.sum(axis=1)) for side in (study.a, study.b)]
    without = left_out(study.a, study.b, study.aggregate)
    observed = (totals[1] - totals[0])[:, None]
    # Their mean is the jackknife's estimate; the observed difference takes its place.
    return observed + (examples - 1) * (without.mean(axis=1, keepdims=True) - without)


def _squares(values: FloatArray) -> tuple[float, float, float]:
    """Mean squares of seeds, examples and the rest, over seeds times examples: parts of the variance."""
    seeds, examples = values.shape
    by_seed, by_example = values.mean(axis=1), values.mean(axis=0)
    rest = values - by_seed[:, None] - by_example + values.mean()
    return (
        float(by_seed.var(ddof=1)) / seeds,
        float(by_example.var(ddof=1)) / examples,
        float((rest**2).sum()) / ((seeds - 1) * (examples - 1)) / values.size,
    )


def _error(values: FloatArray) -> float:
    of_seeds, of_examples, rest = _squares(values)
    return (of_seeds + max(0.0, of_examples - rest)) ** 0.5


def _freedom(values: FloatArray) -> float:
    seeds, examples = values.shape
    freedoms = (seeds - 1, examples - 1, (seeds - 1) * (examples - 1))
    spread = sum(part**2 / freedom for part, freedom in zip(_squares(values), freedoms, strict=True))
    return _error(values) ** 4 / spread


def _resampled(values: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Means of resamples of seeds and of examples, and the standard error of each."""
    seeds, examples = values.shape
    of_seeds, of_examples = (
        rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)
        for count in values.shape
    )
    by_seed = of_examples @ values.T / examples  # [resamples, seeds]
    means = (of_seeds * by_seed).sum(axis=1) / seeds
    by_example = of_seeds @ values / seeds  # [resamples, examples]
    between = (of_examples * (by_example - means[:, None]) ** 2).sum(axis=1) / examples / (examples - 1)
    over_seeds = (of_seeds * (by_seed - means[:, None]) ** 2).sum(axis=1) / seeds
    within = (of_examples * (of_seeds @ values**2 / seeds - by_example**2)).sum(axis=1) / examples
    rest = (within - over_seeds) / (seeds - 1) / (examples - 1)
    variances = over_seeds / (seeds - 1) + np.maximum(0.0, between - rest)
    return means, np.sqrt(variances)


def coverage(
    metric: str, kind: str, seeds: int, examples: int, simulations: int, *, compared: bool = False
) -> dict[str, float]:
    """The share of simulated studies, in percent, whose interval holds the true difference, by method."""
    make, truth = METRICS[metric]
    rng = np.random.default_rng([seeds, examples, *f"{metric} {kind}".encode()])
    held: dict[str, int] = {}
    for _ in range(simulations):
        study = make(kind, seeds, examples, rng)
        intervals = {"ours": ours(study), **(others(study, rng) if compared else {})}
        for name, (low, high) in intervals.items():
            held[name] = held.get(name, 0) + (low <= truth <= high)
    return {name: 100 * count / simulations for name, count in held.items()}


def main(
    simulations: Annotated[int, typer.Option(min=1, help="Studies of each cell.")] = 2000,
    compared: Annotated[bool, typer.Option("--compared", help="The other methods too.")] = False,
    metric: Annotated[list[str] | None, typer.Option(help="mean, corpus; both.")] = None,
    examples: Annotated[list[int] | None, typer.Option(help="Sizes of test sets.")] = None,
) -> None:
    """Print the share of 95% intervals that hold the truth, a Markdown table."""
    print("| metric | varies | examples | method | " + " | ".join(f"{count} seeds" for count in SEEDS) + " |")
    print("|---|---|--:|---|" + "--:|" * len(SEEDS))
    for name in metric or METRICS:
        for kind in KINDS:
            for size in examples or EXAMPLES:
                cells = [coverage(name, kind, count, size, simulations, compared=compared) for count in SEEDS]
                for method in cells[0]:
                    shares = " | ".join(f"{cell[method]:.1f}" for cell in cells)
                    print(f"| {name} | {kind} | {size:,} | {method} | {shares} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
