"""``warmup-jensen``: the lower bound E log p(y|x,c) (JEPO 2503.19618); with ``kl`` > 0, LaTRO (2411.04282).

    r_i = ly_i - kl * (lc_i - lc_ref_i)
    A_i = (r_i - mean_{j != i} r_j) / n,   B_i = 1/n

is unbiased for the gradient of E[log p(y|x,c)] - kl * KL(p(c|x) || p_ref(c|x)); the reference is the frozen
warm start. With one sample there is no other to compare with: the baseline is then 0.
"""

from warmup_bench import Coefficients, Method, Rollout, UserError


def make(kl: float = 0.0) -> Method:
    """The method at a weight ``kl`` >= 0 of the divergence from the warm start."""
    if not 0 <= kl < float("inf"):
        raise UserError(f"option kl={kl:g} is not 0 or more", origin="warmup-jensen")

    def coefficients(rollout: Rollout) -> Coefficients:
        reward, n = rollout.ly, rollout.samples
        if kl:
            if rollout.lc_reference is None:
                raise ValueError("a penalty needs log p(c|x) of the frozen reference")
            reward = reward - kl * (rollout.lc - rollout.lc_reference)
        baseline = (reward.sum(dim=1, keepdim=True) - reward) / (n - 1) if n > 1 else 0.0
        return Coefficients(a=(reward - baseline) / n, b=reward.new_full(reward.shape, 1 / n))

    return Method(
        name="warmup-jensen",
        summary="lower bound E log p(y|x,c); kl > 0 adds LaTRO's penalty",
        source="arXiv 2503.19618, 2411.04282",
        warmup="sampled",
        coefficients=coefficients,
        reference=kl > 0,
    )
