"""What a plan will cost, before it runs: operations, time on this machine, disk."""

import timeit
from dataclasses import dataclass
from typing import Any

from warmup_bench.contracts.settings import Lora
from warmup_bench.models.costs import Costs
from warmup_bench.plan.costs import (
    UTILISATION,
    Operations,
    PerExample,
    disk_bytes,
    per_example,
    training_operations,
    warm_start_operations,
)
from warmup_bench.plan.matches import matchable, spent_by
from warmup_bench.plan.plan import Plan
from warmup_bench.spec.cell import Cell


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan will cost: operations, seconds on this machine, bytes on disk."""

    flops: float
    seconds: float
    disk: int
    rate: float
    """Floating-point operations a second that the estimate assumes."""


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

    candidates = matchable(plan.cells)
    spent, disk = Operations(), 0
    rate = UTILISATION * _matrix_rate(plan.device)
    for model in dict.fromkeys(map(_model, cells)):
        decoded, started, trained = (
            [cell for cell in kind if _model(cell) == model] for kind in (cells, warm_starts, trainings)
        )
        _, subset, lora = model
        splits = plan.data[subset]
        backbone = _backbone(plan, *model)
        costs = backbone.costs
        sample, _ = encode_examples(backbone, splits.train[:200], *decoded[0].settings.train.token_limits)
        lengths = np.array([len(item.source) for item in sample]), np.array([len(i.target) for i in sample])

        def each(cell: Cell, costs: Costs = costs, lengths: Any = lengths) -> PerExample:
            return per_example(costs, cell.settings, plan.methods[cell.method].value, *lengths)

        for cell in started:
            spent += warm_start_operations(each(cell), cell.settings)
        for cell in trained:
            by = spent_by(cell, candidates)
            spent += training_operations(
                each(by), by.settings, train=len(splits.train), rate=rate, matched=bool(cell.matched)
            )
        tests = 0
        for cell in decoded:
            count = len(getattr(splits, cell.settings.decode.split))
            spent += each(cell).decoding * count
            tests += count
        disk += disk_bytes(costs, lora, starts=len(started), trainings=len(trained), decoded=tests)
    return Estimate(spent.total, spent.total / rate / max(1, workers), disk, rate)


def _model(cell: Cell) -> tuple[str, str, Lora]:
    """What makes a cell's lengths and costs."""
    return cell.backbone, cell.subset, cell.settings.lora


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


def _matrix_rate(device: str) -> float:
    """Operations a second of a 512 x 512 fp32 matrix product on one thread of this device, best of 5."""
    import torch

    a = torch.ones(512, 512, device=device)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    best = min(timeit.repeat(lambda: float((a @ a)[0, 0]), repeat=5, number=1))
    torch.set_num_threads(threads)
    return 2 * 512**3 / best
