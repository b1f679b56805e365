"""Cells written through the store as the stages write them, with made texts, for what reads many of them."""

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from warmup_bench.contracts.settings import Score
from warmup_bench.score.cells import score_cell
from warmup_bench.spec.cell import Cell
from warmup_bench.store.folders import is_done, write_json, write_table, writing
from warmup_bench.train.ledger import Ledger

LINES = 25
"""Lines of a training's log: one in ten steps of 250."""


@dataclass(frozen=True)
class TestSet:
    """Sources and the one reference of each."""

    __test__ = False  # not for pytest
    sources: list[str]
    references: list[str]


@contextmanager
def unsynced() -> Iterator[None]:
    """Write without waiting for the disk: nobody needs these folders after the process."""
    with patch("warmup_bench.store.folders.sync", lambda path: None):
        yield


def made_test_set(examples: int, words: int) -> TestSet:
    """Sentences of about ``words`` words from a lexicon of 2,000 that has frequent and rare ones."""
    rng = random.Random(7)
    lexicon = ["".join(rng.choices("aeiouklmnrst", k=rng.randint(2, 8))) for _ in range(2000)]

    def sentence() -> str:
        count = rng.randint(words // 2, words * 3 // 2)
        return " ".join(lexicon[int(len(lexicon) * rng.random() ** 2)] for _ in range(count))

    return TestSet([sentence() for _ in range(examples)], [sentence() for _ in range(examples)])


def written(test: TestSet, seed: str, right: float) -> list[str]:
    """Hypotheses in which a word is that of the reference with probability ``right``, else another of it."""
    rng = random.Random(seed)
    return [
        " ".join(word if rng.random() < right else rng.choice(words) for word in words)
        for words in (reference.split() for reference in test.references)
    ]


def store_cell(
    out: Path, cell: Cell, test: TestSet, hypotheses: Sequence[str], metrics: Sequence[str]
) -> None:
    """Write a training without a model worth the name, predictions, and their scores."""
    training = out / "trainings" / cell.training_id
    if not is_done(training):
        with writing(training) as folder:
            spent = Ledger(
                steps=250, train_flops=1e12, train_seconds=9.0, peak_memory=10**9, parameters=10**6
            )
            write_json(folder / "ledger.json", spent.to_dict())
            write_json(folder / "provenance.json", {"device": "cpu", "packages": {"torch": "0"}})
            lines = [{"step": 10 * i, "loss": 3.0 / i, "flops": 4e10 * i} for i in range(1, LINES + 1)]
            (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            (folder / "model").mkdir()
            (folder / "model" / "model.safetensors").write_bytes(b"no model")
    place = out / "cells" / cell.id
    count = len(test.sources)
    warmup = None if cell.warmup == "none" else "a few words"
    with writing(place / "decode") as folder:
        columns = {
            "id": [f"e{i}" for i in range(count)],
            "group": [None] * count,
            "source": test.sources,
            "references": [[gold] for gold in test.references],
            "hypothesis": list(hypotheses),
            "warmup": [warmup] * count,
            "warmup_tokens": [0 if warmup is None else 3] * count,
            "warmup_forced": [False] * count,
            "finished": [True] * count,
            "source_cut": [False] * count,
        }
        write_table(folder / "predictions.parquet", columns)
        write_json(folder / "ledger.json", {"decode_flops": 1e9, "decode_seconds": 1.0, "truncated": 0})
        write_json(folder / "cell.json", cell.model_dump(mode="json"))
        facts = {"target_language": "en", "labels": [], "metrics": list(metrics), "references": 1}
        write_json(folder / "task.json", facts)
    score_cell(place, metrics, Score())
