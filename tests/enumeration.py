"""Every warmup of one input of a tiny model, in fp64 and without the harness, and the harness's own loss."""

import torch

from tiny import (
    CONTENT,
    PAD,
    SEPARATOR,
    Reference,
    batch_of,
    draws_of,
    every_warmup,
    source_of,
)
from warmup_bench.contracts.settings import Warmup
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective

CAP = 2


def loss_of(backbone, sources, targets, method, *, n, uniforms=None):
    objective = Objective(method, Warmup(samples=n, max_tokens=CAP))
    backbone.model.train()
    if uniforms is None:
        uniforms = torch.zeros(len(sources), n, CAP)
    return batch_loss(backbone, batch_of(sources, targets), objective, draws_of(uniforms))


def uniforms_for(reference, source, c):
    """Uniforms [cap] that make the sampler draw ``c``: the middles of the intervals of its tokens."""
    middles = []
    for step in range(CAP):
        token = c[step] if step < len(c) else SEPARATOR
        p = reference.policy(reference.logits(source, [*c[:step], PAD])[-1]).exp()
        middles.append(float(p[:token].sum() + p[token] / 2))
        if token == SEPARATOR:
            break
    return middles + [0.5] * (CAP - len(middles))


class Enumeration:
    """Everything about one input, enumerated in fp64: log p(c|x), log p(y|x,c), and their gradients."""

    def __init__(self, backbone, content, target):
        self.backbone, self.target = backbone, target
        self.source = source_of(backbone, content)
        self.reference = Reference(backbone)
        self.every = every_warmup(CAP, CONTENT)
        pairs = [self.reference.log_c_and_y(self.source, c, CAP, target) for c in self.every]
        self.lc, self.ly = (torch.stack(values) for values in zip(*pairs, strict=True))
        with torch.no_grad():
            self.uniforms = torch.tensor([uniforms_for(self.reference, self.source, c) for c in self.every])

    def gradient(self, a, b):
        """Gradient of sum_c a_c log p(c|x) + b_c log p(y|x,c)."""
        return self.reference.gradient((a * self.lc + b * self.ly).sum())
