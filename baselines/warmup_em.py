"""``warmup-em``: learn from warmups drawn by their posterior weight.

The wake phase of EM (TRICE, arXiv 2312.02179; PAFT, arXiv 2604.25907):

    A_i = B_i = W^(1-q) * count_i / K,   K draws with replacement from s = softmax(ly)

has the mean of ``warmup-garl`` at the same q: E[count_i / K] = s_i = w_i / (n W). K = n, our choice. There is
no baseline: at n = 1 and q = 1 it is A = B = 1.
"""

from warmup_bench import Coefficients, Method, Rollout, UserError
from warmup_bench.baselines.log_means import log_mean


def make(q: float = 1.0) -> Method:
    """The method at a power ``q`` in 0..1; 1 is maximum likelihood."""
    if not 0 <= q <= 1:
        raise UserError(f"option q={q:g} is not in 0..1", origin="warmup-em")

    def coefficients(rollout: Rollout) -> Coefficients:
        n = rollout.samples
        upper = rollout.ly.softmax(dim=1).cumsum(dim=1)
        upper = upper / upper[:, -1:]  # rounding may leave the sum under 1, and then draw a weight of 0
        # Inverse of the cumulative distribution at K = n uniform draws, [batch, K, samples] one-hot.
        drawn = (rollout.noise[:, :, None] >= upper[:, None, :]).sum(dim=2).clamp(max=n - 1)
        counts = (drawn[:, :, None] == drawn.new_tensor(range(n))).sum(dim=1)
        share = ((1 - q) * log_mean(rollout.ly)).exp() * counts / n
        return Coefficients(a=share, b=share)

    return Method(
        name="warmup-em",
        summary="likelihood of warmups resampled by their weight (EM's wake phase)",
        source="arXiv 2312.02179, 2604.25907",
        warmup="sampled",
        coefficients=coefficients,
    )
