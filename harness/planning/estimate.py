"""What a plan will cost, before it runs: operations, time on this machine, disk."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.backbones.costs import Costs, IntArray
from harness.cell import Cell
from harness.planning.plan import Plan
from harness.settings import Budget, Lora, Settings

UTILISATION = 0.35
"""Share of a matrix rate that training reaches (our choice; printed with every estimate)."""

Kind = Literal["direct", "warmup", "matched"]
"""What a cell spends: plain fine-tuning, warmups, or plain fine-tuning with a warmup method's operations."""


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
    """Mean operations of one example.

    Attributes:
        direct, warmup: Of training on it, without and with warmups.
        decode_direct, decode_warmup: Of decoding it.
        target_tokens: Its target's length.
    """

    direct: Operations
    warmup: Operations
    decode_direct: Operations
    decode_warmup: Operations
    target_tokens: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan will cost: operations, seconds on this machine, bytes on disk."""

    flops: float
    seconds: float
    disk: int
    rate: float
    """Floating-point operations a second that the estimate assumes."""


def kind_of(cell: Cell) -> Kind:
    """What a cell spends."""
    return "matched" if cell.matched else "direct" if cell.warmup == "none" else "warmup"


def per_example(costs: Costs, settings: Settings, source: IntArray, target: IntArray) -> PerExample:
    """Operations of an example, from a model's shape and the lengths of some examples.

    Every warmup counts at its longest: an upper bound, and what a sampler that never ends one early spends.

    Args:
        costs: Of the model.
        settings: Number and length of the warmups.
        source, target: Tokens of the examples, [examples].
    """
    import numpy as np

    count, n = len(source), settings.warmup.samples
    c = np.full_like(source, settings.warmup.max_tokens)
    read = costs.encode(source) / count
    answer = (costs.advance(source, target) + costs.predict(target.sum())) / count
    draft = (costs.advance(source, c) + costs.predict(c.sum())) / count
    planned = (costs.advance(source, c + target) + costs.predict((c + target).sum())) / count
    scored = read + n * planned + (answer if settings.warmup.direct_weight else 0.0)
    return PerExample(
        direct=Operations(scored=costs.backward * (read + answer)),
        warmup=Operations(scored=costs.backward * scored, written=n * draft),
        decode_direct=Operations(written=read + answer),
        decode_warmup=Operations(written=read + planned),
        target_tokens=float(target.mean()),
    )


def operations(
    each: PerExample,
    settings: Settings,
    *,
    train: int,
    test: int,
    starts: int,
    trained: Sequence[Kind],
    decoded: Sequence[Kind],
    rate: float,
) -> Operations:
    """Operations of warm starts, trainings and decodings that share their settings and data.

    Args:
        each: Operations of one example.
        settings: Of every cell.
        train, test: Examples of the splits.
        starts: Number of warm starts.
        trained, decoded: One for each training, and for each cell to decode.
        rate: Operations a second: what a budget in seconds buys.
    """
    batch = settings.train.batch_size
    budget = settings.budget.in_steps(train, batch)
    spent = each.direct * (starts * settings.warm_start.steps * batch)
    for kind in trained:
        # A matched cell spends what the steps of the other method cost, all of it on plain training.
        step = each.direct if kind == "direct" else each.warmup
        step = Operations(scored=step.total) if kind == "matched" else step
        spent += step * (batch * _steps(budget, batch * step.total, batch * each.target_tokens, rate))
    for kind in decoded:
        spent += (each.decode_warmup if kind == "warmup" else each.decode_direct) * test
    return spent


def disk_bytes(
    costs: Costs, settings: Settings, *, test: int, starts: int, trainings: int, decoded: int
) -> int:
    """Bytes that models (fp32) and predictions (about 300 an example) take."""
    kept = costs.trainable if settings.lora.rank else costs.parameters
    return 4 * (trainings * kept + starts * costs.parameters) + decoded * 300 * test


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

    from harness.training.batching import encode_examples

    own = plan.matchable()

    def spent_by(cell: Cell) -> Settings:
        """A matched cell spends what the other method's settings make that one spend."""
        by = own[cell.subset, cell.backbone, cell.seed, cell.matched] if cell.matched else cell
        return by.settings

    spent, disk = Operations(), 0
    rate = UTILISATION * _matrix_rate(plan.device)
    for (preset, subset, lora), alike in _alike(cells, lambda c: (c.backbone, c.subset, c.settings.lora)):
        splits = plan.data[subset]
        backbone = _backbone(plan, preset, subset, lora)
        limits = alike[0].settings.train.max_source_tokens, alike[0].settings.train.max_target_tokens
        sample, _ = encode_examples(backbone, splits.train[:200], *limits)
        source = np.array([len(item.source) for item in sample])
        target = np.array([len(item.target) for item in sample])
        for settings, decoded in _alike(alike, spent_by):
            starts, trained = (
                [c for c in kind if (c.backbone, c.subset, spent_by(c)) == (preset, subset, settings)]
                for kind in (warm_starts, trainings)
            )
            tests = len(getattr(splits, settings.decode.split))
            spent += operations(
                per_example(backbone.costs, settings, source, target),
                settings,
                train=len(splits.train),
                test=tests,
                starts=len(starts),
                trained=[kind_of(cell) for cell in trained],
                decoded=[kind_of(cell) for cell in decoded],
                rate=rate,
            )
            disk += disk_bytes(
                backbone.costs,
                settings,
                test=tests,
                starts=len(starts),
                trainings=len(trained),
                decoded=len(decoded),
            )
    return Estimate(spent.total, spent.total / rate / max(1, workers), disk, rate)


def _alike(cells: list[Cell], by: Callable[[Cell], Any]) -> list[tuple[Any, list[Cell]]]:
    """Cells that share something, together."""
    together: dict[Any, list[Cell]] = defaultdict(list)
    for cell in cells:
        together[by(cell)].append(cell)
    return list(together.items())


def _backbone(plan: Plan, preset: str, subset: str, lora: Lora) -> Any:
    """A model of a preset, with a tokenizer of some of the training examples."""
    import torch

    from harness.backbones.load import make_backbone

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
