"""``warmup``: the marginal likelihood of the target over sampled warmups (arXiv 2502.12304).

    P(y|x) = E_{c ~ p(c|x)} p(y|x,c)
    A_i = s_i - 1/n,   B_i = s_i,   s = softmax(ly)

B is the gradient of log P through the output; A is the gradient through the sampler: the score-function
term w_i / sum_j w_j, with 1/n as its baseline, the mean of the weights. It is a constant, so it leaves the
expectation of the gradient exactly as it is; the ratio itself has a bias of O(1/n). At n = 1 the sampler gets
no gradient.

The paper states the objective (its abstract); this estimator, n, the cap, the temperature and the
separator are our choice, since its body does not fix them for us.
"""

from warmup_bench import Coefficients, Method, Rollout


def coefficients(rollout: Rollout) -> Coefficients:
    """A = s - 1/n and B = s, [batch, samples]."""
    weights = rollout.ly.softmax(dim=1)
    return Coefficients(a=weights - 1.0 / weights.shape[1], b=weights)


METHOD = Method(
    name="warmup",
    summary="log of the mean of p(y|x,c) over sampled warmups c (the paper's objective)",
    source="arXiv 2502.12304; estimator: our choice",
    warmup="sampled",
    coefficients=coefficients,
)
