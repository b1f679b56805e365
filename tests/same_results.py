"""Two results folders hold the same numbers, bit for bit."""

import json
from pathlib import Path

IDENTICAL = ("model.safetensors", "predictions.parquet", "score.json", "statistics.parquet")
TIMES = {"train_seconds", "decode_seconds", "peak_memory", "seconds"}


def timeless(path: Path) -> list[dict[str, object]]:
    """A ledger or a log without what depends on the machine."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def assert_same(whole: Path, other: Path) -> int:
    """Every file of the untouched run is there with the same numbers, and nothing is left of what stopped.

    Returns how many files were compared.
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
            assert timeless(path) == timeless(twin), twin
        else:
            continue
        compared += 1
    leftover = [p for p in other.rglob("*") if p.name.startswith(".") and p.name != ".guard"]
    assert [*leftover, *other.glob("locks/*.lock"), *other.glob("checkpoints/*")] == []
    assert compared
    return compared
