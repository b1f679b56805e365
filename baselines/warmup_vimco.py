"""``warmup-vimco``: the exact gradient of the multi-sample bound (VIMCO 1602.06725; JEPO 2503.19618).

    A_i = log W - log W_-i,   B_i = s_i,   W = mean_j w_j,   w_j = p(y|x,c_j)

is unbiased for the gradient of E log W. W_-i, the mean without i, does not depend on c_i, so it is a baseline
that leaves the expectation as it is. With one sample there is nothing left out: the baseline is then 0.
"""

from warmup_bench import Coefficients, Method, Rollout
from warmup_bench.baselines.log_means import log_mean, log_mean_without


def coefficients(rollout: Rollout) -> Coefficients:
    """A = log W - log W_-i and B = softmax(ly), [batch, samples]."""
    advantage = log_mean(rollout.ly)
    if rollout.samples > 1:
        advantage = advantage - log_mean_without(rollout.ly)
    return Coefficients(a=advantage.expand_as(rollout.ly), b=rollout.ly.softmax(dim=1))


METHOD = Method(
    name="warmup-vimco",
    summary="E log mean p(y|x,c), exactly unbiased, leave-one-out baseline",
    source="arXiv 1602.06725, 2503.19618",
    warmup="sampled",
    coefficients=coefficients,
)
