"""Finished cells with chosen outputs, written as the stages write them: where all tests get theirs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmup_bench.contracts.settings import Score, Settings
from warmup_bench.score.cells import score_cell
from warmup_bench.spec.cell import Cell
from warmup_bench.store.folders import is_done, write_json, write_table, writing
from warmup_bench.train.ledger import Ledger


@dataclass(frozen=True)
class Written:
    """What a model wrote for one example."""

    hypothesis: str
    warmup: str | None = None
    forced: bool = False
    finished: bool = True


def store(
    out: Path,
    method: str,
    seed: int,
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    written: Sequence[Written],
    *,
    metric_names: Sequence[str] = ("bleu", "chrf++"),
    warmup: str | None = None,
    flops: float = 1e9,
    spent: Mapping[str, Any] | None = None,
    log: Sequence[Mapping[str, Any]] = (),
    ids: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
    scored: bool = True,
    **coordinates: Any,
) -> Path:
    """Write one cell with its training, and score it; returns its folder.

    ``spent`` are further entries of the ledger, ``coordinates`` unusual fields of :class:`Cell`.
    """
    if warmup is None:
        warmup = "none" if written[0].warmup is None else "sampled"
    usual = {
        "task": "t",
        "task_version": 1,
        "subset": "all",
        "scale": "mini",
        "backbone": "nano",
        "settings": Settings(),
        "data": "feed",
        "code": {"task": "1", "backbone": "1", "method": "1"},
    }
    cell = Cell(method=method, seed=seed, warmup=warmup, **{**usual, **coordinates})
    training = out / "trainings" / cell.training_id
    if not is_done(training):
        with writing(training) as path:
            ledger = Ledger(steps=3, train_flops=flops, train_seconds=2.0, **(spent or {}))
            write_json(path / "ledger.json", ledger.to_dict())
            write_json(path / "provenance.json", {"device": "cpu", "packages": {"torch": "9.9"}})
            (path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    folder = out / "cells" / cell.id
    with writing(folder / "decode") as path:
        columns = {
            "id": list(ids or (f"e{i}" for i in range(len(sources)))),
            "group": list(groups or [None] * len(sources)),
            "source": list(sources),
            "references": [list(golds) for golds in references],
            "hypothesis": [w.hypothesis for w in written],
            "warmup": [w.warmup for w in written],
            "warmup_tokens": [len((w.warmup or "").split()) for w in written],
            "warmup_forced": [w.forced for w in written],
            "finished": [w.finished for w in written],
            "source_cut": [False] * len(sources),
        }
        write_table(path / "predictions.parquet", columns)
        write_json(path / "ledger.json", {"decode_flops": 1.0, "decode_seconds": 1.0, "truncated": 0})
        write_json(path / "cell.json", cell.model_dump(mode="json"))
        counts = {len(golds) for golds in references}
        facts = {
            "target_language": "en",
            "labels": [],
            "metrics": list(metric_names),
            "references": counts.pop() if len(counts) == 1 else -1,
        }
        write_json(path / "task.json", facts)
    if scored:
        score_cell(folder, metric_names, Score())
    return folder
