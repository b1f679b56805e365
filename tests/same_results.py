"""Two results folders compared: every number of one in the other, bit for bit, times apart."""

import json
from pathlib import Path

IDENTICAL = ("model.safetensors", "predictions.parquet", "score.json", "statistics.parquet")
TIMES = {"train_seconds", "decode_seconds", "peak_memory", "seconds"}


def assert_same(whole: Path, other: Path, *, models: int = 3, cells: int = 2) -> None:
    """Every file of the untouched run is there with the same numbers, and nothing is left of what stopped.

    Args:
        whole: The untouched run.
        other: The one to compare.
        models: Warm starts and trainings that both must have.
        cells: Cells, each with two metrics, that both must have.
    """
    compared = 0
    for kind in ("warm-starts", "trainings", "cells"):
        names, others = (sorted(p.name for p in (at / kind).iterdir()) for at in (whole, other))
        assert names == others
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        twin = other / path.relative_to(whole)
        if path.name in IDENTICAL:
            assert path.read_bytes() == twin.read_bytes(), twin
        elif path.name in ("ledger.json", "log.jsonl"):
            assert _timeless(path) == _timeless(twin), twin
        else:
            continue
        compared += 1
    # models with log and ledger, cells with predictions, ledger, 2 scores and their statistics
    assert compared == models * 3 + cells * 6
    leftover = [p for p in other.rglob("*") if p.name.startswith(".") and p.name != ".guard"]
    assert [*leftover, *other.glob("locks/*.lock"), *other.glob("checkpoints/*")] == []


def _timeless(path: Path) -> list[dict[str, object]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]
