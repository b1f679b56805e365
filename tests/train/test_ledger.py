"""The peak of memory: that of one training, not of all that its process has run before."""

from pathlib import Path

import numpy as np
import pytest
from test_loop import EIGHT_ALIKE, trained

from warmup_bench.contracts.settings import Train
from warmup_bench.train.ledger import peak_memory, reset_peak_memory

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
    settings = Train(batch_size=4, dtype="float32")
    return trained("llama", "sft", folder, settings=settings, pairs=EIGHT_ALIKE)[2].peak_memory


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
