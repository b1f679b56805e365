"""What the driver itself costs a cell, in a plan of 10,000: its stages do nothing, or all is stored already.

The driver's part is everything but the work of the stages: the plan, what is outstanding of it, the checks
before the first step, the board with its locks and events, and the display (of a log, not a terminal). Each
of the 1,000 seeds has nine methods and the baseline matched with one of them: 21 steps of which 10 are cells.

Stored cells are those of the same plan: a few bytes for a model, four predictions, their real scores. When a
run goes on, the bytes of every model are read and hashed again; that is a cost of the disk, left out here.
"""

import io
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from rich.console import Console

from benchmarks.record import Options, Record, judge
from benchmarks.stored import TestSet, store_cell, unsynced
from benchmarks.timing import called, interleave, timed
from warmup_bench import Example, Splits
from warmup_bench.execution.executors.local import STAGES
from warmup_bench.execution.runner import execute
from warmup_bench.plan.jobs import Work, outstanding
from warmup_bench.plan.plan import Plan, make_plan
from warmup_bench.plan.preflight import require
from warmup_bench.report.progress import ProgressDisplay
from warmup_bench.spec.spec import make_spec

METHODS = (
    *("sft", "warmup", "warmup-vimco", "warmup-jensen", "warmup-garl", "warmup-joint"),
    *("filler", "random", "shuffled"),
)
SEEDS, FEW = 1000, 2
"""Of every method; few at the tests' size."""
MILLISECONDS = 5.0
"""A cell, the aim."""
DISK = SimpleNamespace(total=2**50, used=0, free=2**50)
"""What the check before the first step finds: the plan's models, never written, would take 50 GB."""
EXAMPLES = [Example(f"e{i}", f"ein satz {i}", f"a sentence {i}") for i in range(4)]


def measure(options: Options) -> list[Record]:
    """Two records: all cells new with stages that do nothing, and all cells stored."""
    seeds = FEW if options.sizes == ("tiny",) else SEEDS
    with tempfile.TemporaryDirectory() as place:
        empty, full = Path(place) / "empty", Path(place) / "full"
        with unsynced():
            store_plan(plan(full, seeds))
        return [
            _record("all new, empty stages", Driver(empty, seeds), options),
            _record("all stored, run again", Driver(full, seeds), options),
        ]


def plan(out: Path, seeds: int) -> Plan:
    """Nine methods, and one row matched in FLOPs, on the seeds; data of four examples a split."""
    spec = make_spec(
        {
            "task": "multi30k",
            "backbones": ["mini-t5"],
            "methods": list(METHODS),
            "match": ["warmup"],
            "seeds": seeds,
            "out": str(out),
            "workers": 1,
            "device": "cpu",
            "offline": True,
        },
        "a benchmark",
    )
    subset = next(iter(_subsets(spec.task)))
    return make_plan(spec, {subset: Splits(EXAMPLES, EXAMPLES, EXAMPLES)})


def _subsets(task: str) -> Any:
    from warmup_bench.data.registry import tasks

    return tasks().load(task).value.card.subsets


def store_plan(made: Plan) -> None:
    """Write every cell of a plan."""
    test = TestSet([e.source for e in EXAMPLES], [e.target for e in EXAMPLES])
    for cell in made.cells:
        store_cell(made.out, cell, test, test.references, made.metrics)


@dataclass
class Driver:
    """One run of the driver a call, in a results folder that it leaves as it was.

    Attributes:
        out: Results folder.
        seeds: Of every method.
        parts: CPU seconds of each part, of the last call.
        work: What the last call found outstanding.
    """

    out: Path
    seeds: int
    parts: dict[str, float] | None = None
    work: Work | None = None

    def __call__(self) -> None:
        """Plan, compare with what is stored, check, run."""
        marks = {"start": time.process_time()}

        def mark(name: str) -> None:
            marks[name] = time.process_time()

        with (
            patch.dict(STAGES, dict.fromkeys(STAGES, lambda job, report, group: None)),
            patch("shutil.disk_usage", lambda path: DISK),
        ):
            made = plan(self.out, self.seeds)
            mark("plan")
            self.work = outstanding(made)
            mark("outstanding")
            if self.work.pending:
                require(made, self.work)
                mark("preflight")
                with ProgressDisplay(Console(file=io.StringIO()), len(self.work.steps)) as display:
                    failures = execute(made, self.work, display)
                assert not failures, failures
                mark("execute")
        self.parts = {name: marks[name] - marks[before] for before, name in pairwise(marks)}


def _record(name: str, driver: Driver, options: Options) -> Record:
    times = interleave({"driver": timed(driver)}, options.rounds)
    assert driver.work is not None
    cells = len(driver.work.done) + len(driver.work.pending)
    spent = 1000 * times.median("driver") / cells
    record = judge(
        f"driver, ms a cell of {cells:,}, {name}",
        spent,
        MILLISECONDS,
        "CPU ms",
        ratio=spent / MILLISECONDS,
        aim="<= 1" if options.sizes != ("tiny",) else "",
        detail={
            "cells": cells,
            "pending": len(driver.work.pending),
            "steps": len(driver.work.steps),
            "last_parts_cpu_s": driver.parts,
            "samples": times.all_samples(),
        },
    )
    if options.profile and record.met is False:
        record.detail["profile"] = called(driver)
    return record
