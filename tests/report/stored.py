"""Finished cells as the stages write them, with hypotheses whose scores are known by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import sacrebleu

from stored_cells import Written, store
from warmup_bench.contracts.settings import Settings, Stats
from warmup_bench.spec.spec import make_settings

STATS = Stats(randomizations=2000)
GOLD = [f"the cat number {i} sat on the red mat" for i in range(30)]


def store_cell(
    out: Path,
    method: str,
    seed: int,
    wrong: int,
    *,
    settings: Settings | None = None,
    warmup: Literal["none", "sampled", "given"] | None = None,
    flop: float = 1e9,
    code: str = "1",
    backbone_code: str = "1",
    matched: str = "",
    matched_training: str | None = None,
    subset: str = "all",
    backbone: str = "nano",
    scale: Any = "mini",
    task: str = "t",
    data: str = "feed",
    prefix: str = "e",
    groups: Sequence[str | None] | None = None,
    size: int = len(GOLD),
    names: Sequence[str] = ("bleu", "chrf++"),
    log: Sequence[dict[str, Any]] = (),
) -> Path:
    """A finished cell of ``size`` examples whose first ``wrong`` hypotheses lack a word."""
    sampled = method != "sft"
    return store(
        out,
        method,
        seed,
        GOLD[:size],
        [[gold] for gold in GOLD[:size]],
        [Written(text) for text in hypotheses(wrong)[:size]],
        metric_names=names,
        warmup=warmup or ("sampled" if sampled else "none"),
        flops=flop,
        spent={
            "warmup_tokens": 1200 * sampled,
            "peak_memory": 5 * 10**8,
            "parameters": 1_200_000,
            "trainable": 1_200_000,
        },
        log=log,
        ids=[f"{prefix}{i}" for i in range(size)],
        groups=groups or (None,) * size,
        code={"task": "1", "backbone": backbone_code, "method": code},
        settings=settings or Settings(),
        matched=matched,
        matched_training=matched_training,
        subset=subset,
        backbone=backbone,
        scale=scale,
        task=task,
        data=data,
    )


def hypotheses(wrong: int) -> list[str]:
    return [gold.replace("red ", "") if i < wrong else gold for i, gold in enumerate(GOLD)]


def bleu(wrong: int) -> float:
    return sacrebleu.corpus_bleu(hypotheses(wrong), [GOLD]).score


def settings(**sections: Any) -> Settings:
    return make_settings("a test", sections)
