"""Multiple choice without a parser: every option of an input, scored by its likelihood as the output."""

from collections.abc import Sequence
from dataclasses import dataclass

from warmup_bench.decode.choice import likeliest
from warmup_bench.decode.likelihood import Candidate, log_likelihoods
from warmup_bench.models.base import Backbone
from warmup_bench.models.parallel import ALONE, RankGroup


@dataclass(frozen=True, slots=True)
class Ranking:
    """The options of every input with their log-probabilities.

    Attributes:
        log_probs: log p(option, end | x, c) of each option, [inputs][options].
        best: The likeliest option of each input, ties to the first.
        flops: Forward operations, each input encoded once.
    """

    log_probs: list[list[float]]
    best: list[str]
    flops: float


def rank_options(
    backbone: Backbone,
    sources: Sequence[list[int]],
    options: Sequence[Sequence[str]],
    *,
    warmups: Sequence[list[int]] | None,
    batch_size: int,
    group: RankGroup = ALONE,
) -> Ranking:
    """Score every option of every input as the whole output, its end included.

    Args:
        backbone: The trained model.
        sources: Ids of the inputs.
        options: Texts of the options of each input, at least one.
        warmups: The warmup under which each input's options are scored: the one that its given output was
            written after; None: the direct path.
        batch_size: Options at once.
        group: The ranks that share the batches.
    """
    ids = {
        text: (*backbone.plain_ids(text, target=True), backbone.tokens.eos)
        for row in options
        for text in dict.fromkeys(row)
    }
    claims = [
        Candidate(i, None if warmups is None else tuple(warmups[i]), ids[text])
        for i, row in enumerate(options)
        for text in row
    ]
    values, flops = log_likelihoods(backbone, sources, claims, batch_size=batch_size, group=group)
    known = iter(values)
    log_probs = [[next(known) for _ in row] for row in options]
    best = [row[likeliest(scores)] for row, scores in zip(options, log_probs, strict=True)]
    return Ranking(log_probs, best, flops)
