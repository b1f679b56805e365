"""``warmup-garl``: a power q between the gradient of P and that of log P.

GARL (arXiv 2604.25907); q = 0 is VeriFree (arXiv 2505.21493):

    A_i = (w_i W^-q - W_-i^(1-q)) / n,   B_i = w_i W^-q / n,   w_i = p(y|x,c_i)

estimates P^-q grad P, P = E_c p(y|x,c). q = 0 is unbiased for grad P; q = 1 is ``warmup`` in ratio form. All
in log space. For q < 1 the gradient shrinks with P^(1-q), which vanishes on long targets: that is the method.
"""

import torch

from warmup_bench import Coefficients, Method, Rollout, UserError
from warmup_bench.baselines.log_means import log_mean, log_mean_without


def make(q: float = 1.0) -> Method:
    """The method at a power ``q`` in 0..1."""
    if not 0 <= q <= 1:
        raise UserError(f"option q={q:g} is not in 0..1", origin="warmup-garl")

    def coefficients(rollout: Rollout) -> Coefficients:
        n = rollout.samples
        weight = (rollout.ly - q * log_mean(rollout.ly)).exp()
        # One sample leaves none: the empty mean is 0, and 0 to the power 0 is 1, as for n > 1.
        left = log_mean_without(rollout.ly) if n > 1 else torch.full_like(rollout.ly, -torch.inf)
        baseline = ((1 - q) * left).exp() if q < 1 else torch.ones_like(weight)
        return Coefficients(a=(weight - baseline) / n, b=weight / n)

    return Method(
        name="warmup-garl",
        summary="P^-q grad P between likelihood (q=1) and expected probability (q=0)",
        source="arXiv 2604.25907, 2505.21493",
        warmup="sampled",
        coefficients=coefficients,
    )
