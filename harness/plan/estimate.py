"""What a plan will cost, before it runs: operations, time on this machine, disk."""

from dataclasses import dataclass
from typing import Any

from warmup_bench.contracts.settings import Lora
from warmup_bench.models.costs import Costs
from warmup_bench.plan.costs import (
    Disk,
    PerExample,
    per_example,
    reads_start,
    training_operations,
    warm_start_operations,
)
from warmup_bench.plan.matches import matchable, spent_by
from warmup_bench.plan.measure import Rates, lengths_of, measure
from warmup_bench.plan.plan import Plan
from warmup_bench.plan.preflight import checkpoint_state
from warmup_bench.spec.cell import Cell

WITHIN = 3.0
"""Seconds that timing the models of a plan may take, about."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan will cost.

    Attributes:
        flops: Floating-point operations.
        seconds: On this machine, on all workers together.
        disk: Bytes of models and predictions, when most stand.
        rate: Operations a second of one worker, all kinds of work together.
        sources: Where that is from, a sentence for each model.
    """

    flops: float
    seconds: float
    disk: int
    rate: float
    sources: tuple[str, ...]


def estimate(
    plan: Plan,
    *,
    warm_starts: list[Cell],
    trainings: list[Cell],
    cells: list[Cell],
    workers: int,
    at_once: int | None = None,
    within: float = WITHIN,
) -> Estimate:
    """Estimate what is still to be done, from the models' shapes and the mean lengths of 200 examples.

    Args:
        plan: The plan.
        warm_starts: A cell of each warm start to make.
        trainings: A cell of each training to run.
        cells: The cells to decode and score.
        workers: Processes that share the work.
        at_once: Steps at once; None: as many as there are workers.
        within: Seconds that timing the models may take, about.
    """
    from warmup_bench.models.batching import encode_examples

    candidates = matchable(plan.cells)
    flops, seconds, disk = 0.0, 0.0, Disk()
    models = dict.fromkeys(map(_model, cells))
    rates: dict[tuple[str, Lora], Rates] = {}
    bases = {c.warm_start_id for c in plan.cells if reads_start(c.settings, plan.methods[c.method].value)}
    kinds = len({(preset, lora) for preset, _, lora in models})

    def spend(operations: float, rate: float) -> None:
        nonlocal flops, seconds
        flops, seconds = flops + operations, seconds + operations / rate

    for model in models:
        decoded, started, trained = (
            [cell for cell in kind if _model(cell) == model] for kind in (cells, warm_starts, trainings)
        )
        preset, subset, lora = model
        splits = plan.data[subset]
        backbone = _backbone(plan, *model)
        costs, settings = backbone.costs, decoded[0].settings
        sample, _ = encode_examples(backbone, splits.train[:200], *settings.train.token_limits)
        lengths = lengths_of(sample)
        if (preset, lora) not in rates:
            drawing = [c for c in trainings if c.warmup == "sampled" and _model(c)[::2] == (preset, lora)]
            sampled = [(cell.settings, plan.methods[cell.method].value) for cell in drawing[:1]]
            rates[preset, lora] = measure(
                backbone,
                sample,
                settings,
                sampled[0] if sampled else None,
                plan.device,
                threads=plan.spec.threads,
                devices=plan.devices,
                within=within / kinds,
            )
        reached = rates[preset, lora]

        def each(cell: Cell, costs: Costs = costs, lengths: Any = lengths) -> PerExample:
            return per_example(costs, cell.settings, plan.methods[cell.method].value, *lengths)

        for cell in started:
            spend(warm_start_operations(each(cell), cell.settings).total, reached.plain)
        for cell in trained:
            by = spent_by(cell, candidates)
            rate, rate_by = (reached.training(plan.methods[c.method].value) for c in (cell, by))
            spent = training_operations(each(by), by.settings, train=len(splits.train), rate=rate_by)
            spend(spent.total * (rate / rate_by if cell.matched_by else 1), rate)
        for cell in decoded:
            count = len(getattr(splits, cell.settings.decode.split))
            decoding = each(cell).decoding * count
            spend(decoding.scored, reached.plain)
            spend(decoding.written, reached.written)
            disk.decoded += count
        for cell in started:
            disk.add(costs, lora, starts=1, base=cell.warm_start_id in bases)
        disk.add(costs, lora, trainings=len(trained))
    return Estimate(
        flops,
        seconds / max(1, workers),
        disk.peak(plan.spec.store.models, at_once or workers),
        flops / seconds,
        tuple(f"{preset}: {reached.source}" for (preset, _), reached in rates.items()),
    )


def _model(cell: Cell) -> tuple[str, str, Lora]:
    """What makes a cell's lengths and costs."""
    return cell.backbone, cell.subset, cell.settings.lora


def _backbone(plan: Plan, preset: str, subset: str, lora: Lora) -> Any:
    """A model of a preset, with a tokenizer of some of the training examples; its weights tell nothing here,
    so that they aren't fetched.
    """
    import torch

    from warmup_bench.models.load import make_backbone

    texts = [t for ex in plan.data[subset].train[:200] for t in (ex.source, ex.target)]
    torch.manual_seed(0)
    card = plan.task.value.card.subsets[subset]
    model = next(entry.value for entry in plan.presets.values() if entry.name == preset)
    return make_backbone(
        model,
        texts,
        dropout=0.0,
        offline=plan.spec.offline,
        languages=(card.source_language, card.target_language),
        lora=lora,
        weights=model.checkpoint is None or checkpoint_state(model, offline=True).state == "ok",
    )
