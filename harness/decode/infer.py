"""What the keys of ``decode`` ask for: where the warmup comes from, how y is written, which y is given."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Decode
from warmup_bench.decode.beam import beam_outputs
from warmup_bench.decode.choice import by_marginal, by_minimum_bayes_risk, by_vote, derangement
from warmup_bench.decode.likelihood import Candidate, log_likelihoods
from warmup_bench.decode.loop import Decoded, decode_all
from warmup_bench.decode.sample import draw, uniforms, writing_outputs
from warmup_bench.models.base import Backbone
from warmup_bench.models.parallel import ALONE, RankGroup

Progress = Callable[[int, int], None]


def infer(
    backbone: Backbone,
    sources: Sequence[list[int]],
    settings: Decode,
    *,
    warmup_cap: int,
    seed: int,
    report: Progress,
    given: Sequence[list[int]] | None = None,
    group: RankGroup = ALONE,
) -> tuple[list[Decoded], float]:
    """Decode every input as ``settings`` say, which :meth:`Decode.check` has let pass.

    Args:
        backbone: The trained model.
        sources: Ids of the inputs.
        settings: The keys of ``decode``.
        warmup_cap: Most tokens of a warmup; 0 for a method without one.
        seed: Of every draw.
        report: Called with (done, total) while outputs are written.
        given: The warmups that the method itself gives.
        group: The ranks that share the batches; every rank is given all outputs.

    Returns:
        The outputs in the order of ``sources``, and the forward floating-point operations of all of it.

    Raises:
        UserError: One input alone, whose warmup can't be shuffled.
    """
    if settings.warmup == "shuffled" and len(sources) < 2:
        raise UserError(
            "decode.warmup=shuffled needs at least two test inputs",
            origin="decode.warmup",
            hint="Raise limit.test.",
        )
    cap = 0 if settings.warmup == "none" else warmup_cap
    writer = _Writer(backbone, settings, cap, group)
    if settings.warmup == "sampled":
        return _chosen(writer, sources, seed, report)
    spent = 0.0
    if settings.warmup == "shuffled":
        warmups, spent = writer.warmups(sources)
        given = [warmups[i] for i in derangement(len(warmups), seed)]
    decoded, flops = writer.outputs(sources, given, report)
    return decoded, flops + spent


@dataclass(frozen=True, slots=True)
class _Writer:
    """The one way in which a cell writes warmups and outputs; ``cap`` 0 is the direct path."""

    backbone: Backbone
    settings: Decode
    cap: int
    group: RankGroup

    def warmups(self, sources: Sequence[list[int]]) -> tuple[list[list[int]], float]:
        """The greedy warmups alone, and their operations."""
        decoded, flops = self._greedy(sources, None, 0, lambda done, total: None)
        return [d.warmup for d in decoded], flops

    def outputs(
        self, sources: Sequence[list[int]], given: Sequence[list[int]] | None, report: Progress
    ) -> tuple[list[Decoded], float]:
        """The outputs after the given warmups, or after greedy ones, and the operations."""
        settings, spent = self.settings, 0.0
        if settings.beams == 1:
            return self._greedy(sources, given, settings.max_tokens, report)
        if self.cap == 0:
            given = None
        elif given is None:
            given, spent = self.warmups(sources)
        else:
            given = [c[: self.cap] for c in given]
        decoded, flops = beam_outputs(
            self.backbone,
            sources,
            given,
            warmup_cap=self.cap,
            output_cap=settings.max_tokens,
            beams=settings.beams,
            length_penalty=settings.length_penalty,
            batch_size=settings.batch_size,
            report=report,
            group=self.group,
        )
        return decoded, flops + spent

    def drawn(
        self, model: Backbone, sources: Sequence[list[int]], cap: int, seed: int
    ) -> tuple[list[list[list[int]]], float]:
        """What ``model`` draws for each input, ids [inputs][n] of at most ``cap``, and the operations."""
        return draw(
            model,
            sources,
            uniforms(len(sources), self.settings.samples, cap, seed),
            temperature=self.settings.temperature,
            batch_size=self.settings.batch_size,
            group=self.group,
        )

    def _greedy(
        self,
        sources: Sequence[list[int]],
        given: Sequence[list[int]] | None,
        output_cap: int,
        report: Progress,
    ) -> tuple[list[Decoded], float]:
        return decode_all(
            self.backbone,
            sources,
            given=given,
            warmup_cap=self.cap,
            output_cap=output_cap,
            batch_size=self.settings.batch_size,
            report=report,
            group=self.group,
        )


def _chosen(
    writer: _Writer, sources: Sequence[list[int]], seed: int, report: Progress
) -> tuple[list[Decoded], float]:
    """n candidates an input, and one of them chosen."""
    sample = _after_warmups if writer.cap else _outputs
    candidates, flops = sample(writer, sources, seed, report)
    if writer.settings.select == "marginal":
        chosen, spent = _likeliest(writer, sources, candidates)
        return chosen, flops + spent
    pick = by_vote if writer.settings.select == "vote" else by_minimum_bayes_risk
    texts = [[writer.backbone.text(d.output) for d in row] for row in candidates]
    return [row[pick(text)] for row, text in zip(candidates, texts, strict=True)], flops


def _after_warmups(
    writer: _Writer, sources: Sequence[list[int]], seed: int, report: Progress
) -> tuple[list[list[Decoded]], float]:
    """The output after each of n sampled warmups, [inputs][n]; equal warmups of an input are decoded once."""
    drawn, spent = writer.drawn(writer.backbone, sources, writer.cap, seed)
    pairs = list(dict.fromkeys((i, tuple(c)) for i, row in enumerate(drawn) for c in row))
    decoded, flops = writer.outputs([sources[i] for i, _ in pairs], [list(c) for _, c in pairs], report)
    written = dict(zip(pairs, decoded, strict=True))
    return [[written[i, tuple(c)] for c in row] for i, row in enumerate(drawn)], spent + flops


def _outputs(
    writer: _Writer, sources: Sequence[list[int]], seed: int, report: Progress
) -> tuple[list[list[Decoded]], float]:
    """n outputs sampled on the direct path, [inputs][n]."""
    cap = writer.settings.max_tokens
    drawn, flops = writer.drawn(writing_outputs(writer.backbone), sources, cap, seed)
    report(len(sources), len(sources))
    return [[Decoded([], False, y, len(y) < cap) for y in row] for row in drawn], flops


def _likeliest(
    writer: _Writer, sources: Sequence[list[int]], candidates: Sequence[Sequence[Decoded]]
) -> tuple[list[Decoded], float]:
    """For each input the output y with the highest mean_i p(y | x, c_i), under its best warmup."""
    eos, cap = writer.backbone.tokens.eos, writer.cap
    targets = [
        list(dict.fromkeys((*d.output, eos) if d.finished else tuple(d.output) for d in row))
        for row in candidates
    ]
    drawn = [Counter(tuple(d.warmup) for d in row) for row in candidates]
    claims = [
        Candidate(i, c if cap else None, y)
        for i, (ys, cs) in enumerate(zip(targets, drawn, strict=True))
        if len(ys) * len(cs) > 1  # else there is nothing to choose
        for y in ys
        for c in cs
    ]
    values, flops = log_likelihoods(
        writer.backbone,
        sources,
        claims,
        batch_size=writer.settings.batch_size,
        group=writer.group,
    )
    known = iter(values)
    chosen = []
    for ys, cs in zip(targets, drawn, strict=True):
        best, under = 0, 0
        if len(ys) * len(cs) > 1:
            table = np.array([[next(known) for _ in cs] for _ in ys])
            best, under = by_marginal(table, np.array(list(cs.values()), dtype=np.float64))
        y, c = ys[best], list(list(cs)[under])
        finished = y[-1] == eos
        chosen.append(Decoded(c, cap > 0 and len(c) >= cap, list(y[:-1] if finished else y), finished))
    return chosen, flops
