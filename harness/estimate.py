"""What a plan will cost, before it runs: operations, time on this machine, disk."""

import time
from dataclasses import dataclass

from harness.cell import Cell
from harness.plan import Plan
from harness.spec import Budget


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan will cost: operations, seconds on this machine, bytes on disk."""

    flops: float
    seconds: float
    disk: int
    rate: float
    """Floating-point operations a second that the estimate assumes."""


UTILISATION = 0.35
"""Share of the measured matrix rate that training reaches (our choice; printed with every estimate)."""


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
    import torch

    from harness.backbones.load import make_backbone
    from harness.batching import encode_examples

    flops, disk = 0.0, 0
    rate = UTILISATION * _matrix_rate(plan.device)
    for reference, preset in plan.presets.items():
        for subset, splits in plan.data.items():
            starts, trained, decoded = (
                [c for c in kind if (c.backbone, c.subset) == (preset.name, subset)]
                for kind in (warm_starts, trainings, cells)
            )
            if not decoded:
                continue
            settings = plan.settings(reference)
            texts = [t for ex in splits.train[:200] for t in (ex.source, ex.target)]
            torch.manual_seed(0)
            card = plan.task.value.card.subsets[subset]
            backbone = make_backbone(
                preset.value,
                texts,
                dropout=0.0,
                offline=plan.spec.offline,
                languages=(card.source_language, card.target_language),
                lora=settings.lora,
            )
            limits = settings.train.max_source_tokens, settings.train.max_target_tokens
            sample, _ = encode_examples(backbone, splits.train[:200], *limits)
            source = np.array([len(item.source) for item in sample])
            target = np.array([len(item.target) for item in sample])
            costs, count = backbone.costs, len(sample)
            c = np.full_like(source, settings.warmup.max_tokens)
            read = costs.encode(source) / count
            answer = (costs.advance(source, target) + costs.predict(target.sum())) / count
            draft = (costs.advance(source, c) + costs.predict(c.sum())) / count
            planned = (costs.advance(source, c + target) + costs.predict((c + target).sum())) / count
            direct = costs.backward * (read + answer)
            sampled = (
                costs.backward * (read + settings.warmup.samples * planned) + settings.warmup.samples * draft
            )
            batch, tests = settings.train.batch_size, len(splits.test)
            flops += len(starts) * settings.warm_start.steps * batch * direct
            for cell in trained:
                # A matched cell spends what one step of the other method costs, as often.
                each = direct if cell.warmup == "none" and not cell.matched else sampled
                budget = settings.budget.in_steps(len(splits.train), batch)
                flops += _training_flops(budget, batch * each, batch * target.mean(), rate)
            for cell in decoded:
                flops += tests * (read + (answer if cell.warmup == "none" else planned))
            kept = costs.trainable if settings.lora.rank else costs.parameters
            disk += 4 * (len(trained) * kept + len(starts) * costs.parameters) + len(decoded) * 300 * tests
    return Estimate(flops, flops / rate / max(1, workers), disk, rate)


def _training_flops(budget: Budget, step: float, tokens: float, rate: float) -> float:
    """Operations of a training whose step costs ``step`` operations and trains on ``tokens`` tokens."""
    if budget.flops is not None:
        return budget.flops
    if budget.seconds is not None:
        return budget.seconds * rate
    steps = budget.tokens / tokens if budget.tokens is not None else float(budget.steps or 0)
    return steps * step


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
