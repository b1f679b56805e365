"""The peak of memory: that of one training, not of all that its process has run before."""

from pathlib import Path

import numpy as np
import pytest

from tiny import EOS, make_llama, source_of
from warmup_bench.baselines import sft
from warmup_bench.contracts.settings import Budget, Train, Warmup
from warmup_bench.models.batching import Encoded
from warmup_bench.train.ledger import peak_memory, reset_peak_memory
from warmup_bench.train.loop import train
from warmup_bench.train.objective import Objective

LARGE = 400_000_000
"""Bytes; many times what training the tiny model takes."""


def can_reset() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def trained_peak(folder: Path) -> int:
    """Peak of three steps of a tiny model."""
    backbone = make_llama()
    ledger = train(
        backbone,
        [Encoded(source_of(backbone, [4, 5]), [4, 5, EOS])] * 8,
        Objective(sft.METHOD, Warmup()),
        Train(batch_size=4, dtype="float32"),
        budget=Budget(steps=3),
        learning_rate=1e-3,
        seed=0,
        log=folder / "log.jsonl",
        report=lambda *_: None,
    )
    return ledger.peak_memory


@pytest.mark.skipif(not can_reset(), reason="this system does not let a process begin a new peak")
def test_a_small_training_after_a_large_one_has_its_own_peak(tmp_path: Path) -> None:
    first = trained_peak(tmp_path)
    reset_peak_memory("cpu")
    large = np.ones(LARGE // 8)
    before = peak_memory("cpu")
    assert before > LARGE
    del large
    second = trained_peak(tmp_path)
    assert second < before - LARGE / 2
    assert second == pytest.approx(first, rel=0.2)


def test_a_peak_that_can_not_be_reset_is_that_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*arguments: object, **options: object) -> int:
        raise PermissionError("read-only")

    reset_peak_memory("cpu")
    large = np.ones(LARGE // 8)
    before = peak_memory("cpu")
    del large
    monkeypatch.setattr(Path, "write_text", refused)
    assert trained_peak(tmp_path) > before - LARGE / 2
