"""What a plan will cost, before it runs: operations, time on this machine, disk."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from warmup_bench.contracts.method import Method
from warmup_bench.contracts.settings import Budget, Decode, Lora, Settings
from warmup_bench.models.costs import Costs, IntArray
from warmup_bench.plan.matches import spent_by
from warmup_bench.plan.plan import Plan
from warmup_bench.spec.cell import Cell

UTILISATION = 0.35
"""Share of a matrix rate that training reaches (our choice; printed with every estimate)."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Floating-point operations by how they run.

    Attributes:
        scored: Of whole sequences at once: training, forward and backward.
        written: Token by token: sampling warmups, decoding the test set.
    """

    scored: float = 0.0
    written: float = 0.0

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(self.scored + other.scored, self.written + other.written)

    def __mul__(self, times: float) -> "Operations":
        return Operations(times * self.scored, times * self.written)

    @property
    def total(self) -> float:
        """All of them."""
        return self.scored + self.written


@dataclass(frozen=True, slots=True)
class PerExample:
    """Mean operations of one example, for one method.

    Attributes:
        plain: Of training on it without a warmup.
        training: Of training on it as the method does.
        drafting: Of what the warm start writes of it, before the training, for a method that gives drafts.
        decoding: Of decoding it.
        target_tokens: Its target's length.
    """

    plain: Operations
    training: Operations
    drafting: Operations
    decoding: Operations
    target_tokens: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan will cost: operations, seconds on this machine, bytes on disk."""

    flops: float
    seconds: float
    disk: int
    rate: float
    """Floating-point operations a second that the estimate assumes."""


@dataclass(frozen=True, slots=True)
class _Passes:
    """Mean forward operations of one example, by what is read or written.

    Attributes:
        read: The source.
        answer: The output, without a warmup.
        write: A warmup, token by token.
        given: A warmup that is there already, with nothing predicted.
        after: The output behind a warmup.
    """

    read: float
    answer: float
    write: float
    given: float
    after: float


def _passes(costs: Costs, cap: int, source: IntArray, target: IntArray) -> _Passes:
    import numpy as np

    count, c = len(source), np.full_like(source, cap)
    given = costs.advance(source, c) / count
    predicted = costs.predict(target.sum())
    return _Passes(
        read=costs.encode(source) / count,
        answer=(costs.advance(source, target) + predicted) / count,
        write=given + costs.predict(c.sum()) / count,
        given=given,
        after=(costs.advance(source, c + target) + predicted) / count - given,
    )


def per_example(
    costs: Costs, settings: Settings, method: Method, source: IntArray, target: IntArray
) -> PerExample:
    """Operations of an example from a model's shape, a method, and the lengths of some examples.

    Every warmup counts at its longest, and no two warmups or outputs drawn for an input are equal: an upper
    bound, and what a sampler that never ends one early spends. An output is as long as its target.

    Args:
        costs: Of the model.
        settings: Number and length of the warmups, and how outputs are written.
        method: Whose training and decoding is counted.
        source, target: Tokens of the examples, [examples].
    """
    one = _passes(costs, settings.warmup.max_tokens, source, target)
    plain = Operations(scored=costs.backward * (one.read + one.answer))
    drafting = Operations(written=one.read + one.write if method.drafts else 0.0)
    return PerExample(
        plain=plain,
        training=plain if method.warmup == "none" else _training(costs, settings, method, one),
        drafting=drafting,
        decoding=_decoding(settings.decode, method, one)
        + (drafting if method.given_at_inference else Operations()),
        target_tokens=float(target.mean()),
    )


def _training(costs: Costs, settings: Settings, method: Method, one: _Passes) -> Operations:
    """Of training on an example with n drawn warmups or a given one, as the ledger counts a step."""
    sampled = method.warmup == "sampled"
    n = settings.warmup.samples if sampled else 1
    scored = one.read + n * (one.write + one.after)
    direct = one.answer if settings.warmup.direct_weight else 0.0
    return Operations(
        scored=costs.backward * (scored + direct) + (scored if method.reference else 0.0),
        written=n * one.write if sampled else 0.0,
    )


def _decoding(decode: Decode, method: Method, one: _Passes) -> Operations:
    """Of decoding an example, as :func:`warmup_bench.decode.infer` does."""
    drawn = decode.samples if decode.warmup == "sampled" else 0
    if method.warmup == "none" or decode.warmup == "none":
        written = one.read + (drawn or decode.beams) * one.answer
        rescored = drawn * one.answer
    else:
        # Beams and given warmups take a pass of their own behind the warmup.
        behind = one.read + one.given + decode.beams * one.after
        rescored = drawn**2 * (one.given + one.after)  # every output under every warmup
        if drawn:
            written = one.read + drawn * (one.write + behind)
        elif method.gives_at_inference:
            written = behind
        elif decode.beams > 1 or decode.warmup == "shuffled":
            written = one.read + one.write + behind
        else:
            written = one.read + one.write + one.after
    if drawn and decode.select == "marginal":
        return Operations(scored=one.read + rescored, written=written)
    return Operations(written=written)


def warm_start_operations(each: PerExample, settings: Settings) -> Operations:
    """Operations of a warm start."""
    return each.plain * (settings.warm_start.steps * settings.train.batch_size)


def training_operations(
    each: PerExample, settings: Settings, *, train: int, rate: float, matched: bool = False
) -> Operations:
    """Operations of a training.

    Args:
        each: Operations of one example.
        settings: Of the training.
        train: Examples of the training split.
        rate: Operations a second: what a budget in seconds buys.
        matched: Whether plain training is given these operations.
    """
    step, batch = each.training, settings.train.batch_size
    steps = _steps(
        settings.budget.in_steps(train, batch), batch * step.total, batch * each.target_tokens, rate
    )
    spent = step * (batch * steps) + each.drafting * train
    return Operations(scored=spent.total) if matched else spent


def disk_bytes(costs: Costs, lora: Lora, *, starts: int = 0, trainings: int = 0, decoded: int = 0) -> int:
    """Bytes that models (fp32) and predictions (about 300 for each decoded example) take."""
    kept = costs.trainable if lora.rank else costs.parameters
    return 4 * (trainings * kept + starts * costs.parameters) + 300 * decoded


def estimate(
    plan: Plan, *, warm_starts: list[Cell], trainings: list[Cell], cells: list[Cell], workers: int
) -> Estimate:
    """Estimate what is still to be done, from the models' shapes and the mean lengths of 200 examples.

    Args:
        plan: The plan.
        warm_starts: A cell of each warm start to make.
        trainings: A cell of each training to run.
        cells: The cells to decode and score.
        workers: Processes that share the work.
    """
    import numpy as np

    from warmup_bench.models.batching import encode_examples

    own = plan.matchable()
    spent, disk = Operations(), 0
    rate = UTILISATION * _matrix_rate(plan.device)
    for (preset, subset, lora), alike in _alike(cells, _model):
        splits = plan.data[subset]
        backbone = _backbone(plan, preset, subset, lora)
        costs = backbone.costs
        limits = alike[0].settings.train.max_source_tokens, alike[0].settings.train.max_target_tokens
        sample, _ = encode_examples(backbone, splits.train[:200], *limits)
        lengths = np.array([len(item.source) for item in sample]), np.array([len(i.target) for i in sample])

        def each(cell: Cell, costs: Costs = costs, lengths: Any = lengths) -> PerExample:
            return per_example(costs, cell.settings, plan.methods[cell.method].value, *lengths)

        starts, trained = (
            [cell for cell in kind if _model(cell) == (preset, subset, lora)]
            for kind in (warm_starts, trainings)
        )
        for cell in starts:
            spent += warm_start_operations(each(cell), cell.settings)
        for cell in trained:
            by = spent_by(cell, own)
            spent += training_operations(
                each(by), by.settings, train=len(splits.train), rate=rate, matched=bool(cell.matched)
            )
        tests = 0
        for cell in alike:
            count = len(getattr(splits, cell.settings.decode.split))
            spent += each(cell).decoding * count
            tests += count
        disk += disk_bytes(costs, lora, starts=len(starts), trainings=len(trained), decoded=tests)
    return Estimate(spent.total, spent.total / rate / max(1, workers), disk, rate)


def _model(cell: Cell) -> tuple[str, str, Lora]:
    """What makes a cell's lengths and costs."""
    return cell.backbone, cell.subset, cell.settings.lora


def _alike(cells: list[Cell], by: Callable[[Cell], Any]) -> list[tuple[Any, list[Cell]]]:
    """Cells that share something, together."""
    together: dict[Any, list[Cell]] = defaultdict(list)
    for cell in cells:
        together[by(cell)].append(cell)
    return list(together.items())


def _backbone(plan: Plan, preset: str, subset: str, lora: Lora) -> Any:
    """A model of a preset, with a tokenizer of some of the training examples."""
    import torch

    from warmup_bench.models.load import make_backbone

    texts = [t for ex in plan.data[subset].train[:200] for t in (ex.source, ex.target)]
    torch.manual_seed(0)
    card = plan.task.value.card.subsets[subset]
    return make_backbone(
        next(entry.value for entry in plan.presets.values() if entry.name == preset),
        texts,
        dropout=0.0,
        offline=plan.spec.offline,
        languages=(card.source_language, card.target_language),
        lora=lora,
    )


def _steps(budget: Budget, step: float, tokens: float, rate: float) -> float:
    """Steps that a budget buys where one costs ``step`` operations and trains on ``tokens`` tokens."""
    if budget.flops is not None:
        return budget.flops / step
    if budget.seconds is not None:
        return budget.seconds * rate / step
    return budget.tokens / tokens if budget.tokens is not None else float(budget.steps or 0)


def _matrix_rate(device: str) -> float:
    """Operations a second of a 512 x 512 fp32 matrix product on one thread of this device, best of 5."""
    import torch

    a = torch.ones(512, 512, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        b = a @ a
        _ = float(b[0, 0])
        best = min(best, time.perf_counter() - started)
    torch.set_num_threads(threads)
    return 2 * 512**3 / best
