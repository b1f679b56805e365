"""``warmup-joint``: the log of a sum of joint probabilities over the distinct samples.

arXiv 2502.12304, read literally:

    A_i = B_i = softmax(lc + ly)_i over the distinct warmups, 0 at repetitions

is the gradient of log sum_c p(c|x) p(y|x,c) over the warmups that were drawn. They were already drawn from
p(c|x), so p(c|x) counts twice, and while few of the probable warmups have been drawn, more samples need not
lower the bias (it is gone only when they cover all of them: the sum is then P itself). It is kept because the
paper's text can be read so.
"""

import torch

from warmup_bench import Coefficients, Method, Rollout


def coefficients(rollout: Rollout) -> Coefficients:
    """A = B = softmax(lc + ly) over the distinct samples, [batch, samples]."""
    share = (rollout.lc + rollout.ly).masked_fill(~rollout.distinct, -torch.inf).softmax(dim=1)
    return Coefficients(a=share, b=share)


METHOD = Method(
    name="warmup-joint",
    summary="log of the sum of p(c|x) p(y|x,c) over distinct samples (biased)",
    source="arXiv 2502.12304, read literally",
    warmup="sampled",
    coefficients=coefficients,
)
