"""What a row of a table has cost: its cells' ledgers."""

from collections.abc import Sequence

import numpy as np

from warmup_bench.report.table import Cost
from warmup_bench.store.results import Result


def row_cost(results: Sequence[Result], baseline: Sequence[Result]) -> Cost | None:
    """Means over cells; the ratio to the baseline over the (subset, seed) pairs that both have."""
    if not results:
        return None

    def mean(key: str) -> float:
        return float(np.mean([result.ledger[key] for result in results]))

    def largest(key: str) -> int:
        return int(max(result.ledger[key] for result in results))

    spent = {(r.cell.subset, r.cell.seed): float(r.ledger["train_flops"]) for r in results}
    usual = {(r.cell.subset, r.cell.seed): float(r.ledger["train_flops"]) for r in baseline}
    both = spent.keys() & usual.keys()
    under = sum(usual[key] for key in both)
    return Cost(
        steps=mean("steps"),
        train_flops=mean("train_flops"),
        train_seconds=mean("train_seconds"),
        warmup_tokens=mean("warmup_tokens"),
        decode_flops=mean("decode_flops"),
        decode_seconds=mean("decode_seconds"),
        peak_memory=largest("peak_memory"),
        trainable=largest("trainable"),
        parameters=largest("parameters"),
        truncated=largest("truncated"),
        skipped=largest("skipped_steps"),
        times_baseline=sum(spent[key] for key in both) / under if under else None,
    )
