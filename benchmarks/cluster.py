"""Independent cells on two workers of a Ray cluster against one, each with one thread.

A cluster is started on this machine, and both sides run the same cells on it: trainings from scratch without
a shared warm start, decoded and scored. What is timed is that part alone. Starting the cluster and its
workers, importing torch and storing the data are left out: before each timed part a small study on both
workers pays for them. The two sides must end with the same weights, byte for byte.
"""

import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.record import Options, Record, UnavailableError, judge
from benchmarks.timing import Sample, interleave

WORKERS = 2


@dataclass(frozen=True, slots=True)
class Study:
    """How much is run: cells, and of each the training steps, examples, and inputs of a step."""

    cells: int
    steps: int
    train: int
    test: int
    batch: int


STUDIES = {"tiny": Study(2, 2, 16, 4, 4), "mini": Study(4, 60, 2000, 100, 32)}
"""Other sizes of model are no other test of a scheduler."""


def measure(options: Options) -> list[Record]:
    """A record of every size that has a study: wall seconds on two workers and on one.

    Raises:
        UnavailableError: There is no Ray, fewer than two cores, or a GPU is asked for.
    """
    if find_spec("ray") is None:
        raise UnavailableError("Ray is not installed: pip install 'warmup-bench[ray]'")
    if options.device != "cpu" or len(os.sched_getaffinity(0)) < WORKERS:
        raise UnavailableError(f"It needs {WORKERS} CPU cores, and measures no GPU.")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    from warmup_bench.execution.executors.cluster import STORE

    ray.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        object_store_memory=STORE,
        log_to_driver=False,
        logging_level="ERROR",
    )
    try:
        return [_compare(name, options) for name in options.sizes if name in STUDIES]
    finally:
        ray.shutdown()


def _compare(name: str, options: Options) -> Record:
    weights: dict[int, set[bytes]] = {}

    def side(workers: int) -> Sample:
        sample, made = _run(STUDIES[name], workers)
        weights[workers] = made
        return sample

    times = interleave({"two": lambda: side(WORKERS), "one": lambda: side(1)}, options.rounds)
    if weights[1] != weights[WORKERS] or len(weights[1]) != STUDIES[name].cells:
        raise AssertionError("one worker and two have trained other models")
    ratio = times.ratio("one", "two", "wall")
    return judge(
        f"{STUDIES[name].cells} independent cells on {WORKERS} Ray workers against 1, {name}",
        *(statistics.median(s.wall for s in times.samples[key]) for key in ("two", "one")),
        "s",
        ratio=ratio,
        aim=">= 1.8" if name != "tiny" else "",
        detail={"ratio": "one worker's wall time over two workers'", **times.detail("one", "two")},
    )


def _run(study: Study, workers: int) -> tuple[Sample, set[bytes]]:
    """Run the study in a folder of its own; returns its time, and the weights of its models."""
    from warmup_bench.execution.executors.choose import executor
    from warmup_bench.execution.runner import execute
    from warmup_bench.plan.jobs import outstanding

    with tempfile.TemporaryDirectory() as name:
        out = Path(name)
        first = [10_000 + worker for worker in range(WORKERS)]
        small = _plan(study, out, seeds=first, budget={"steps": 1}, workers=WORKERS)
        failures = execute(small, outstanding(small), lambda event: None)
        plan = _plan(study, out, seeds=study.cells, budget={"steps": study.steps}, workers=workers)
        work = outstanding(plan)
        with executor(plan.spec, plan.device, workers) as run_steps:
            wall, cpu = time.perf_counter(), time.process_time()
            failures |= run_steps(work.steps, lambda event: None)
            sample = Sample(time.perf_counter() - wall, time.process_time() - cpu)
        if failures:
            raise RuntimeError("; ".join(failure.message for failure in failures.values()))
        trained = (
            out / "trainings" / cell.training_id / "model" / "model.safetensors" for cell in plan.cells
        )
        return sample, {path.read_bytes() for path in trained}


def _plan(study: Study, out: Path, **more: Any) -> Any:
    from warmup_bench.plan.plan import make_plan
    from warmup_bench.spec.spec import make_spec

    content = {
        "task": "wmt",
        "methods": ["sft"],
        "executor": "ray",
        "offline": True,
        "out": str(out),
        "limit": {"train": study.train, "validation": 8, "test": study.test},
        "train": {"batch_size": study.batch, "checkpoint_every": 1_000_000},
        "warm_start": {"steps": 0},
    }
    return make_plan(make_spec(content | more, "a benchmark"))
