"""A softmax-table model of K warmups, in fp64: every expectation over draws is a finite sum, so it is exact.

Its logits are one flat vector: K of the sampler, then a row of three for each warmup, of which the first is
the target. An objective is a plain function of these logits; its derivative is taken with an imaginary step.
"""

import itertools

import numpy as np
import torch

from warmup_bench.contracts.method import Rollout

STEP = 1e-25  # of finite differences along the imaginary axis: no subtraction, so no rounding


def softmax(x):
    e = np.exp(x)
    return e / e.sum(-1, keepdims=True)


def derivative(function, flat):
    """Finite differences of a real-analytic function, Im f(x + ih) / h: exact to rounding, O(h^2) in h."""
    return np.array([function(flat + 1j * STEP * e).imag / STEP for e in np.eye(len(flat))])


def rollout_of(ly, lc=None, *, distinct=None, noise=None, lc_reference=None):
    """A rollout with these numbers; what is not given is zero, and all samples are distinct."""
    ly = torch.as_tensor(ly)
    zeros = torch.zeros(ly.shape, dtype=torch.long)
    return Rollout(
        torch.zeros_like(ly) if lc is None else torch.as_tensor(lc),
        ly,
        lengths=zeros,
        forced=zeros.bool(),
        distinct=~zeros.bool() if distinct is None else torch.as_tensor(distinct),
        noise=torch.zeros_like(ly) if noise is None else torch.as_tensor(noise),
        lc_reference=None if lc_reference is None else torch.as_tensor(lc_reference),
    )


class Toy:
    """p [k]: the sampler; rows [k, 3], w [k]: the output; p_reference [k]: a frozen sampler."""

    def __init__(self, k, seed, spread=1.0):
        rng = np.random.default_rng(seed)
        self.k = k
        self.flat = np.concatenate([rng.normal(size=k), rng.normal(scale=spread, size=3 * k)])
        self.p, self.w = self.tables(self.flat)
        self.rows = softmax(self.flat[k:].reshape(k, 3))
        self.p_reference = softmax(rng.normal(size=k))

    def tables(self, flat):
        """(p, w) of any logits, complex ones too."""
        return softmax(flat[: self.k]), softmax(flat[self.k :].reshape(self.k, 3))[:, 0]

    def gradient(self, a, b):
        """Gradient of sum_c a_c log p(c) + b_c log p(y|c) in the logits, [..., K + 3K]."""
        sampler = a - a.sum(-1, keepdims=True) * self.p  # d log p(c) / d logits = onehot(c) - p
        output = b[..., None] * (np.eye(3)[0] - self.rows)
        return np.concatenate([sampler, output.reshape(*output.shape[:-2], -1)], axis=-1)

    def of(self, objective):
        """Derivative of ``objective(p, w)`` in the logits, by finite differences."""
        return derivative(lambda flat: objective(*self.tables(flat)), self.flat)

    def every(self, n):
        """All K^n draws, [draws, n]."""
        return np.array(list(itertools.product(range(self.k), repeat=n)))

    def rollout(self, draws, noise=None):
        """What the harness would hand to a method for these draws."""
        equal = draws[:, :, None] == draws[:, None, :]
        return rollout_of(
            np.log(self.w)[draws],
            np.log(self.p)[draws],
            distinct=~np.tril(equal, -1).any(axis=2),
            noise=noise,
            lc_reference=np.log(self.p_reference)[draws],
        )

    def gradients(self, coefficients, draws, noise=None):
        """Minus the gradient of the loss at each row of draws, [draws, K + 3K]."""
        found = coefficients(self.rollout(draws, noise))
        onehot = np.eye(self.k)[draws]
        a = np.einsum("dn,dnk->dk", found.a.numpy(), onehot)
        b = np.einsum("dn,dnk->dk", found.b.numpy(), onehot)
        return self.gradient(a, b)

    def expected(self, coefficients, n, noises=None):
        """Mean and variance of each entry of the gradient, over all K^n draws and the method's own noise.

        ``noises`` maps the draws' posterior weights s to (noise, probability): [draws, m, n], [draws, m].
        """
        draws = self.every(n)
        probability = self.p[draws].prod(axis=1)
        noise = None
        if noises is not None:
            w = self.w[draws]
            noise, share = noises(w / w.sum(axis=1, keepdims=True))
            draws = np.repeat(draws, share.shape[1], axis=0)
            probability = (probability[:, None] * share).ravel()
            noise = noise.reshape(-1, n)
        assert abs(probability.sum() - 1) < 1e-12
        gradients = self.gradients(coefficients, draws, noise)
        mean = probability @ gradients
        return mean, probability @ np.square(gradients - mean)

    def expected_log_mean(self, n):
        """E log (1/n sum_i w_i) over all K^n draws, as a function of (p, w)."""
        draws = self.every(n)
        return lambda p, w: p[draws].prod(axis=1) @ np.log(w[draws].mean(axis=1))


def permutations(s):
    """Noise whose order is each permutation of the samples, all as likely."""
    n = s.shape[1]
    ranks = np.array(list(itertools.permutations(range(n)))) / n
    return np.tile(ranks, (len(s), 1, 1)), np.full((len(s), len(ranks)), 1 / len(ranks))


def categorical(s):
    """Noise at the middle of each interval of the inverse cumulative distribution of s, for n draws of it."""
    n = s.shape[1]
    middles = s.cumsum(axis=1) - s / 2
    choices = np.array(list(itertools.product(range(n), repeat=n)))
    return middles[:, choices], s[:, choices].prod(axis=2)
