"""log p(y | x, c) of many (x, c, y), each input encoded once a batch and nothing sampled."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from warmup_bench.decode.loop import gathered, parts_of
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded, collate, encode_sources
from warmup_bench.models.costs import Meter
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.models.rollout import given_warmups, lay_out, no_warmups, score
from warmup_bench.models.stacks.rows import Rows


@dataclass(frozen=True, slots=True)
class Candidate:
    """An output to score.

    Attributes:
        input: Index of the input.
        warmup: Ids of the warmup; None: the direct path.
        target: Ids of the output with its eos; one that was cut has none, and is scored as it stands.
    """

    input: int
    warmup: tuple[int, ...] | None
    target: tuple[int, ...]


@torch.no_grad()
def log_likelihoods(
    backbone: Backbone,
    sources: Sequence[list[int]],
    claims: Sequence[Candidate],
    *,
    batch_size: int,
    group: RankGroup = ALONE,
) -> tuple[list[float], float]:
    """log p(y | x, c) of every claim, and the operations with each input encoded once.

    The ranks of ``group`` share the batches, of ``batch_size`` claims.
    All claims have a warmup, or none has.
    """
    backbone.model.eval()
    # Claims of one input stand together, so that a batch encodes few inputs.
    order = sorted(range(len(claims)), key=lambda k: (-len(sources[claims[k].input]), claims[k].input))

    def work(picked: Sequence[int]) -> tuple[list[float], float]:
        return _scored(backbone, sources, [claims[k] for k in picked]), 0.0  # see _flops

    values, _ = gathered(group, parts_of(order, batch_size), work)
    return values, _flops(backbone, sources, claims)


def _scored(backbone: Backbone, sources: Sequence[list[int]], claims: Sequence[Candidate]) -> list[float]:
    """log p(y | x, c) of the claims of one batch."""
    tokens, device = backbone.tokens, backbone.device
    inputs = list(dict.fromkeys(claim.input for claim in claims))
    place = {i: k for k, i in enumerate(inputs)}
    targets = collate([Encoded([tokens.eos], list(claim.target)) for claim in claims], tokens.pad, device)
    given = [list(claim.warmup) for claim in claims if claim.warmup is not None]
    if given:
        warmups = given_warmups(given, max(1, *map(len, given), 0), tokens.pad, device)
    else:
        warmups = no_warmups(len(claims), device)
    sequences = lay_out(backbone, warmups, targets.target, targets.target_lengths, direct=not given)
    sequences = replace(sequences, in_warmup=torch.zeros_like(sequences.in_target))  # only y is asked for
    rows = torch.tensor([place[claim.input] for claim in claims], device=device)
    state = encode_sources(backbone, [sources[i] for i in inputs])
    ly: list[float] = score(backbone, state, sequences, Rows.grouped(rows))[1].tolist()
    return ly


def _flops(backbone: Backbone, sources: Sequence[list[int]], claims: Sequence[Candidate]) -> float:
    """Forward operations: an input is encoded once, all but the last token of a claim are fed."""
    if not claims:
        return 0.0
    encoded = np.array([len(sources[i]) for i in sorted({claim.input for claim in claims})])
    lengths = np.array([len(sources[claim.input]) for claim in claims])
    targets = np.array([len(claim.target) for claim in claims])
    prefixes = np.array([0 if claim.warmup is None else len(claim.warmup) + 1 for claim in claims])
    meter = Meter(backbone.costs)
    meter.read(encoded)
    meter.write(lengths, prefixes + targets - 1, float(targets.sum()))
    return float(meter.flops)
