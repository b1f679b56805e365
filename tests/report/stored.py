"""Finished cells as the stages write them, with hypotheses whose scores are known by hand."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sacrebleu

from harness.cell import Cell
from harness.ledger import Ledger
from harness.scoring import score_cell
from harness.spec import Score, Settings, Stats, make_settings
from harness.store import write_json, write_table, writing

STATS = Stats(randomizations=2000, resamples=500)
GOLD = [f"the cat number {i} sat on the red mat" for i in range(30)]


def store_cell(
    out: Path,
    method: str,
    seed: int,
    wrong: int,
    *,
    settings: Settings | None = None,
    flop: float = 1e9,
    code: str = "1",
    matched: str = "",
    subset: str = "all",
    backbone: str = "nano",
    scale: Any = "mini",
    task: str = "t",
    data: str = "feed",
    prefix: str = "e",
    groups: Sequence[str | None] = (None,) * len(GOLD),
    names: Sequence[str] = ("bleu", "chrf++"),
    log: Sequence[dict[str, Any]] = (),
) -> Path:
    """A finished cell whose first ``wrong`` hypotheses lack a word."""
    cell = Cell(
        task=task,
        task_version=1,
        subset=subset,
        scale=scale,
        backbone=backbone,
        method=method,
        warmup="none" if method == "sft" else "sampled",
        seed=seed,
        settings=settings or Settings(),
        data=data,
        code={"task": "1", "backbone": "1", "method": code},
        matched=matched,
    )
    folder = out / "cells" / cell.id
    training = out / "trainings" / cell.training_id
    if not training.exists():
        with writing(training) as path:
            tokens = 0 if method == "sft" else 1200
            ledger = Ledger(
                steps=3,
                train_flops=flop,
                train_seconds=2.0,
                warmup_tokens=tokens,
                peak_memory=5 * 10**8,
                parameters=1_200_000,
                trainable=1_200_000,
            )
            write_json(path / "ledger.json", ledger.to_dict())
            write_json(path / "provenance.json", {"device": "cpu"})
            (path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    with writing(folder / "decode") as path:
        columns = {
            "id": [f"{prefix}{i}" for i in range(len(GOLD))],
            "group": list(groups),
            "source": GOLD,
            "references": [[gold] for gold in GOLD],
            "hypothesis": hypotheses(wrong),
            "warmup": [None] * len(GOLD),
            "warmup_forced": [False] * len(GOLD),
            "finished": [True] * len(GOLD),
        }
        write_table(path / "predictions.parquet", columns)
        write_json(path / "ledger.json", {"decode_flops": 1.0, "decode_seconds": 1.0, "truncated": 0})
        write_json(path / "cell.json", cell.model_dump(mode="json"))
        facts = {"target_language": "en", "labels": [], "metrics": list(names), "references": 1}
        write_json(path / "task.json", facts)
    score_cell(folder, names, Score())
    return folder


def hypotheses(wrong: int) -> list[str]:
    return [gold.replace("red ", "") if i < wrong else gold for i, gold in enumerate(GOLD)]


def bleu(wrong: int) -> float:
    return sacrebleu.corpus_bleu(hypotheses(wrong), [GOLD]).score


def settings(**sections: Any) -> Settings:
    return make_settings("a test", sections)
