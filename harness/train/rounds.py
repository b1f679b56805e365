"""The warmups of a batch in rounds: drawn, given or recalled, and each round scored in one pass.

Without a sampler there is one round with n warmups an input. A :class:`warmup_bench.contracts.method.Sampler`
may begin with fewer, go on with some inputs only, and take warmups of an earlier step from memory.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Batch
from warmup_bench.models.costs import Meter
from warmup_bench.models.device import waits
from warmup_bench.models.rollout import (
    Warmups,
    concatenate,
    lay_out,
    merge_equals,
    no_warmups,
    sample_warmups,
    score,
)
from warmup_bench.models.stacks.rows import Rows
from warmup_bench.models.state import State
from warmup_bench.train.objective import Objective


@dataclass(slots=True)
class Memory:
    """The warmups that each training input drew when it was last met, with their log p(c|x) then."""

    kept: dict[int, Warmups] = field(default_factory=dict)

    def knows(self, keys: Sequence[int]) -> Tensor:
        """Which of the inputs have been met, [inputs]."""
        return torch.tensor([key in self.kept for key in keys], dtype=torch.bool)

    def recall(self, keys: Sequence[int]) -> Warmups:
        """What the inputs drew, one after the other; ``logp`` is that of then."""
        return concatenate([self.kept[key] for key in keys])

    def of(self, keys: Sequence[int]) -> dict[int, Warmups]:
        """What is kept of the inputs that have been met; for :meth:`put_back`."""
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put_back(self, keys: Sequence[int], before: Mapping[int, Warmups]) -> None:
        """Make the memory of some inputs what it was, as if they had not been met since."""
        for key in keys:
            if key in before:
                self.kept[key] = before[key]
            else:
                self.kept.pop(key, None)

    def remember(self, keys: Sequence[int], warmups: Warmups, lc: Tensor) -> None:
        """Keep the warmups of the inputs, as many for each, with their log-probabilities now."""
        each = warmups.lengths.shape[0] // max(1, len(keys))
        now = Warmups(warmups.tokens, warmups.lengths, warmups.ended, lc)
        for place, key in enumerate(keys):
            rows = torch.arange(place * each, (place + 1) * each, device=lc.device)
            self.kept[key] = now.select(rows)


@dataclass(frozen=True, slots=True)
class Round:
    """Scored warmups.

    Attributes:
        inputs: The input of each row, [rows], the rows of an input together.
        warmups: The warmups.
        lc, ly: Their log-probabilities with their graph, [rows].
        plain_lc, plain_ly: The same without graph, and of a sampled warmup without dropout, [rows]: what
            coefficients, samplers and importance weights are made of.
        lc_reference: log p(c|x) under the reference, [rows]; None unless asked for.
        ratio: Truncated importance weight of each row, [rows]; None: drawn from the model as it is.
    """

    inputs: Tensor
    warmups: Warmups
    lc: Tensor
    ly: Tensor
    plain_lc: Tensor
    plain_ly: Tensor
    lc_reference: Tensor | None
    ratio: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """Where training stands when it asks for a loss; a method's sampler goes by it.

    Attributes:
        share: Share of the budget that is spent.
        keys: The training inputs of the batch, [batch].
        memory: What they drew when they were last met.
        rows_at_once: Warmups whose activations stand in memory at once; where there are more, each part is
            scored without them and computed again in the backward pass, for the same gradient. None: all.
    """

    share: float
    keys: Sequence[int]
    memory: Memory
    rows_at_once: int | None = None


@dataclass(slots=True)
class Rounds:
    """The rounds of one batch so far, and what they have cost.

    Attributes:
        backbone, batch, objective, turn, dropout: As :func:`warmup_bench.train.loss.batch_loss` has them.
        state: The encoded inputs.
        reference: The frozen reference and its encoding of the inputs.
        source: Tokens of each input, [batch], where the batch is.
        meter: Of the operations of the batch.
        scored: The rounds.
    """

    backbone: Backbone
    batch: Batch
    objective: Objective
    state: State
    reference: tuple[Backbone, State] | None
    source: Tensor
    dropout: float
    turn: Turn | None
    meter: Meter
    scored: list[Round] = field(default_factory=list)
    _plain: State | None = None

    def score(self, inputs: Tensor, warmups: Warmups, each: int, *, then: Tensor | None = None) -> Round:
        """Score ``each`` warmups of every input, [inputs]; ``then``: their log-probabilities when drawn.

        With dropout each row has a mask of its own, by which rows differ more than by their warmups: sampled
        ones are scored a second time without dropout and gradient, and weighed by that.
        """
        method, reference = self.objective.method, self.reference
        if self.dropout > 0 and method.warmup == "sampled":
            with self._undropped() as state:
                plain = self._pass(state, inputs, warmups, each, reference=reference)
            part = self._pass(self.state, inputs, warmups, each)
            part = replace(plain, lc=part.lc, ly=part.ly)
        else:
            direct = method.warmup == "none"
            part = self._pass(self.state, inputs, warmups, each, direct=direct, reference=reference)
        if then is not None and method.sampler is not None:
            part = replace(part, ratio=(part.plain_lc - then).exp().clamp(max=method.sampler.clip))
        self.scored.append(part)
        return part

    def score_direct(self) -> Tensor:
        """log p(y | x) of every input without a warmup, [batch]; none of the rounds."""
        every = torch.arange(self.batch.size, device=self.batch.source.device)
        nothing = no_warmups(self.batch.size, every.device)
        return self._pass(self.state, every, nothing, 1, direct=True).ly

    @contextmanager
    def _undropped(self) -> Iterator[State]:
        """The inputs as the model reads them without dropout, which it is without meanwhile, nor gradient."""
        model, training = self.backbone.model, self.backbone.model.training
        model.eval()
        try:
            with torch.no_grad():
                if self.dropout > 0 and self._plain is None:
                    self._plain = self.backbone.encode(self.batch.source, self.batch.mask)
                    self.meter.read(self.source)
                yield self.state if self._plain is None else self._plain
        finally:
            model.train(training)  # also where memory runs out: the step is then tried again

    def _pass(
        self,
        state: State,
        inputs: Tensor,
        warmups: Warmups,
        each: int,
        *,
        direct: bool = False,
        reference: tuple[Backbone, State] | None = None,
    ) -> Round:
        """Score ``each`` warmups of every input and count the operations.

        Equal warmups of an input are scored once: exact, unless dropout draws anew for each.
        """
        every = Rows.regular(inputs.shape[0], each, inputs.device)
        rows, scored, place = every, warmups, None
        plain = state is self._plain
        if (plain or self.dropout == 0) and each > 1 and not waits(inputs.device):
            kept, place = merge_equals(warmups, each)
            rows, scored = Rows.grouped(every.of[kept]), warmups.select(kept)
        part = _Part(self, inputs, direct)
        at_once = None if self.turn is None else self.turn.rows_at_once
        lc, ly = part.scored(self.backbone, state, scored, rows, at_once)
        lc_reference = None
        if reference is not None:
            with torch.no_grad():
                lc_reference, _ = part.scored(*reference, scored, rows, None)
        fed, positions = part.counted(scored, rows)
        times = (1.0 if plain else self.backbone.costs.backward) + (reference is not None)
        self.meter.write(self.source[inputs][rows.of], fed, positions, times)
        if place is not None:
            lc, ly = lc[place], ly[place]
            lc_reference = None if lc_reference is None else lc_reference[place]
        of = inputs.repeat_interleave(each)
        return Round(of, warmups, lc, ly, lc.detach(), ly.detach(), lc_reference)

    def draw(self, inputs: Tensor, draws: Tensor) -> Round:
        """Draw warmups for some inputs, [k], from uniform draws [k, each, cap], and score them."""
        each = draws.shape[1]
        with self._undropped() as state:
            warmups = sample_warmups(
                self.backbone,
                self.of(inputs, state),
                draws.flatten(0, 1),
                temperature=self.objective.warmup.temperature,
            )
        written = warmups.lengths + warmups.ended  # the last one drawn is never fed back
        self.meter.write(self.source[inputs].repeat_interleave(each), written - 1, written.sum())
        return self.score(inputs, warmups, each)

    def of(self, inputs: Tensor, state: State) -> State:
        """The state of some inputs, [k] in rising order."""
        return state if inputs.shape[0] == self.batch.size else state.select(inputs)


@dataclass(frozen=True, slots=True)
class _Part:
    """Some inputs of a batch whose rows are scored together: [k] in rising order."""

    rounds: Rounds
    inputs: Tensor
    direct: bool

    def scored(
        self, model: Backbone, state: State, warmups: Warmups, rows: Rows, at_once: int | None
    ) -> tuple[Tensor, Tensor]:
        """(lc, ly) of all rows; where there are more than ``at_once``, part by part."""
        state, count = self.rounds.of(self.inputs, state), rows.of.shape[0]
        if at_once is None or count <= at_once:
            return self._pass(model, state, warmups, rows, self.inputs)

        def some(picked: Tensor) -> tuple[Tensor, Tensor]:
            inputs, grouped = Rows.picked(rows.of[picked])
            chosen = state.select(inputs), warmups.select(picked), grouped, self.inputs[inputs]
            return self._pass(model, *chosen)

        parts = torch.split(torch.arange(count, device=rows.of.device), at_once)
        found = [checkpoint(some, picked, use_reentrant=False) for picked in parts]
        lc, ly = (torch.cat(values) for values in zip(*found, strict=True))
        return lc, ly

    def _pass(
        self, model: Backbone, state: State, warmups: Warmups, rows: Rows, inputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        batch, of = self.rounds.batch, inputs[rows.of]
        targets = batch.target[of], batch.target_lengths[of]
        sequences = lay_out(model, warmups, *targets, direct=self.direct)
        return score(model, state, sequences, rows, temperature=self.rounds.objective.warmup.temperature)

    def counted(self, warmups: Warmups, rows: Rows) -> tuple[Tensor, Tensor]:
        """Tokens that each row was fed, [rows], and all positions whose logits a score needs."""
        target = self.rounds.batch.target_lengths[self.inputs[rows.of]]
        fed = warmups.lengths + target - (1 if self.direct else 0)
        return fed, (target + warmups.lengths + warmups.ended).sum()


def draw_rounds(rounds: Rounds, draws: Tensor) -> None:
    """Draw what the method's sampler asks for; without one, or out of training, n warmups for every input.

    Args:
        rounds: Of the batch; filled.
        draws: Uniform draws, [batch, n, cap].
    """
    n, turn = draws.shape[1], rounds.turn
    every = torch.arange(draws.shape[0], device=draws.device)
    sampler = rounds.objective.method.sampler
    if turn is None or sampler is None:
        rounds.draw(every, draws)
        return
    count = min(n, sampler.first(turn.share, n))
    old = int(sampler.replayed * count)
    fresh = rounds.draw(every, draws[:, : count - old])
    if old:
        _recall(rounds, turn, draws[:, count - old : count], fresh, old)
    going = every
    while sampler.more is not None and count < n:
        so_far = [part.plain_ly[torch.isin(part.inputs, going)] for part in rounds.scored]
        goes_on, each = sampler.more(torch.cat([ly.view(len(going), -1) for ly in so_far], dim=1), n)
        going, each = going[goes_on], min(each, n - count)
        if each <= 0 or going.numel() == 0:
            break
        rounds.draw(going, draws[going, count : count + each])
        count += each


def _recall(rounds: Rounds, turn: Turn, draws: Tensor, fresh: Round, old: int) -> None:
    """``old`` warmups an input from its last visit, or drawn where it had none; keep the fresh ones."""
    every = torch.arange(draws.shape[0], device=draws.device)
    met = turn.memory.knows(turn.keys).to(draws.device)
    if bool(met.any()):
        recalled = turn.memory.recall([turn.keys[i] for i in every[met].tolist()])
        rounds.score(every[met], recalled, old, then=recalled.logp)
    if not bool(met.all()):
        rounds.draw(every[~met], draws[~met])
    rows = torch.arange(fresh.inputs.shape[0], device=draws.device).view(len(every), -1)[:, :old].flatten()
    turn.memory.remember(turn.keys, fresh.warmups.select(rows), fresh.plain_lc[rows])
