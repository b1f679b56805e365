"""``shuffled``: the credit of ``warmup``, given to the wrong samples (spurious rewards, arXiv 2506.10947).

    A_i = s_pi(i) - 1/n,   B_i = s_i,   pi a random permutation

The sampler's credit has the right sizes and no meaning. What remains of a gain is not due to the reward.
"""

from warmup_bench import Coefficients, Method, Rollout
from warmup_bench.baselines import warmup


def coefficients(rollout: Rollout) -> Coefficients:
    """``warmup``'s coefficients with A permuted over the samples of an input."""
    right = warmup.coefficients(rollout)
    return Coefficients(a=right.a.gather(1, rollout.noise.argsort(dim=1)), b=right.b)


METHOD = Method(
    name="shuffled",
    summary="warmup with the sampler's credit permuted over the samples (control)",
    source="arXiv 2506.10947",
    warmup="sampled",
    coefficients=coefficients,
)
