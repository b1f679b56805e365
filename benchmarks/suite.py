"""The benchmarks that there are, how one of them is run, and what is noted of the machine."""

from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.record import Options, Record

NAMES = (
    "training_step",
    "launches",
    "prompts",
    "grpo",
    "memory",
    "decoding",
    "driver",
    "report",
    "paired_tests",
    "fixed_cost",
    "gpu",
    "cluster",
    "data_parallel",
)
"""Modules of this package with a function ``measure(options) -> list[Record]``."""


def run(name: str, options: Options) -> list[Record]:
    """One benchmark, on one thread of this process."""
    import torch

    from warmup_bench.models.load import quiet_transformers

    torch.set_num_threads(1)
    quiet_transformers()
    records: list[Record] = import_module(f"benchmarks.{name}").measure(options)
    return records


def machine(options: Options) -> dict[str, Any]:
    """Versions, hardware and code, with the processor's name where the system tells it."""
    from warmup_bench.store.provenance import provenance

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)
    return {**provenance(options.device, options.dtype), "processor": processor}
