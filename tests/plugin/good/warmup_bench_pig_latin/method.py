"""``warmup-best``: learn from the warmup that makes the target most likely, and from no other.

A = B = 1 for the sample with the largest ly, 0 for the rest
"""

from warmup_bench import Coefficients, Method, Rollout


def coefficients(rollout: Rollout) -> Coefficients:
    """Return A = B, one-hot over the samples."""
    best = rollout.ly.argmax(dim=1, keepdim=True)
    chosen = rollout.ly.new_zeros(rollout.ly.shape).scatter(1, best, 1.0)
    return Coefficients(a=chosen, b=chosen)


METHOD = Method(
    name="warmup-best",
    summary="likelihood of the best of the sampled warmups",
    source="best of n",
    warmup="sampled",
    coefficients=coefficients,
)
