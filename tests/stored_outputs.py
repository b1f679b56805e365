"""Stored cells with chosen outputs, written as the stages write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cell import Cell
from harness.ledger import Ledger
from harness.scoring import score_cell
from harness.spec import Score, Settings
from harness.store import write_json, write_table, writing


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
    subset: str = "all",
    flops: float = 1e9,
) -> Path:
    """Write one finished cell; returns its folder."""
    cell = Cell(
        task="t",
        task_version=1,
        subset=subset,
        scale="mini",
        backbone="nano",
        method=method,
        warmup="none" if written[0].warmup is None else "sampled",
        seed=seed,
        settings=Settings(),
        data=f"feed-{subset}",
        code={"task": "1", "backbone": "1", "method": "1"},
    )
    folder = out / "cells" / cell.id
    with writing(out / "trainings" / cell.training_id) as path:
        write_json(path / "ledger.json", Ledger(steps=3, train_flops=flops, train_seconds=2.0).to_dict())
        write_json(path / "provenance.json", {"device": "cpu", "packages": {"torch": "9.9"}})
        (path / "log.jsonl").write_text('{"step": 1, "loss": 2.0, "seconds": 1.0, "flops": 1.0}\n')
    with writing(folder / "decode") as path:
        columns = {
            "id": [f"e{i}" for i in range(len(sources))],
            "group": [None] * len(sources),
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
        facts = {"target_language": "en", "labels": [], "metrics": list(metric_names), "references": 1}
        write_json(path / "task.json", facts)
    score_cell(folder, metric_names, Score())
    return folder
