"""What a run costs whatever it trains: the smallest one, ``sft`` and ``warmup`` on mini data, as a command.

Counted are the CPU seconds of its process, from the interpreter's start to its last line, children included.
Mini data and Python's own byte code are in their caches by then: the first round makes them and does not
count. The parts are those of one more run, whose functions are timed, each without what others in it take.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.record import Options, Record, judge

COMMAND = (
    *("run", "--task", "wmt", "--method", "sft,warmup", "--seeds", "1", "--workers", "1", "--device", "cpu"),
    *("--set", "warm_start.steps=2", "--budget", "steps=2", "--limit", "test=8"),
)
CPU_SECONDS, START_SECONDS = 12.0, 2.0
"""The aims: of the run, and until the second cell of its data trains."""
IMPORTS = (
    *("torch", "transformers.models.t5.modeling_t5", "pandas", "pyarrow.parquet", "sacrebleu", "babel.dates"),
    *("warmup_bench.cli.app", "warmup_bench.cli.run", "warmup_bench.execution.executors.local"),
    *("warmup_bench.report.render", "warmup_bench.report.stored"),
)
PARTS = {
    "warmup_bench.execution.runner:make_plan": "data and plan",
    "warmup_bench.plan.preflight:count_parameters": "counting parameters",
    "warmup_bench.models.encoding:text_ids": "tokenizing",
    "warmup_bench.models.load:make_backbone": "making and loading models",
    "warmup_bench.models.load:load_backbone": "making and loading models",
    "warmup_bench.models.base:Backbone.save": "saving models",
    "warmup_bench.train.loop:_Training.step": "training",
    "warmup_bench.train.diagnostics:diagnose": "evaluating",
    "warmup_bench.execution.stages:_decode": "decoding",
    "warmup_bench.report.stored:tables_of_run": "tables",
    "warmup_bench.cli.app:app": "the rest",
}
"""What is timed, and under which name."""


def measure(options: Options) -> list[Record]:
    """Two records: CPU seconds of the run, and wall seconds until its second cell trains."""
    with tempfile.TemporaryDirectory() as place:
        spent = [_spent(Path(place) / f"run-{i}") for i in range(options.rounds + 1)][1:]
        parts, start = _parts(Path(place) / "parts")
    spent.sort()
    middle = spent[len(spent) // 2]
    return [
        judge(
            "the smallest run",
            middle,
            CPU_SECONDS,
            "CPU s",
            ratio=middle / CPU_SECONDS,
            aim="<= 1",
            detail={"command": COMMAND, "samples": spent, "parts_cpu_s": parts},
        ),
        judge(
            "its second cell, until it trains",
            start,
            START_SECONDS,
            "s",
            ratio=start / START_SECONDS,
            aim="<= 1",
            detail={},
        ),
    ]


def _spent(out: Path) -> float:
    """CPU seconds of a run and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run([sys.executable, "-m", "warmup_bench", *COMMAND, "--out", str(out)])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _parts(out: Path) -> tuple[dict[str, float], float]:
    """CPU seconds of a run by part, and the wall seconds between the start of its second training's stage and
    the first step."""
    program = "import sys; from benchmarks.fixed_cost import run_timed; run_timed(sys.argv[1])"
    found = json.loads(_run([sys.executable, "-c", program, str(out)]).splitlines()[-1])
    return found["parts"], found["start"]


def _run(command: list[str]) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[:4]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


class Stopwatch:
    """CPU seconds by part: a function's without those of timed functions that it calls.

    Attributes:
        parts: Seconds so far.
    """

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self._inner = [0.0]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time counts."""

        @wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            began = time.process_time()
            self._inner.append(0.0)
            try:
                return function(*arguments, **options)
            finally:
                took = time.process_time() - began
                self.parts[part] = self.parts.get(part, 0.0) + took - self._inner.pop()
                self._inner[-1] += took

        return call


def run_timed(out: str) -> None:
    """The command in this process, its parts timed; the last line printed is what was found, in JSON."""
    from warmup_bench.execution.garbage import staying

    watch, marks = Stopwatch(), list[tuple[str, float]]()
    with staying():
        for module in IMPORTS:
            import_module(module)
        owners = {place: _owner(place) for place in PARTS}
    watch.parts["imports"] = time.process_time()
    for place, (owner, name) in owners.items():
        setattr(owner, name, watch.timed(PARTS[place], getattr(owner, name)))
    _mark_trainings(marks)
    app = import_module("warmup_bench.cli.app").app
    sys.argv = ["warmup-bench", *COMMAND, "--out", out]
    try:
        app()
    except SystemExit as end:
        assert not end.code, end
    second = [at for name, at in marks if name == "training"][1]
    first_step = next(at for name, at in marks if name == "step" and at > second)
    print(json.dumps({"parts": watch.parts, "start": first_step - second}))


def _owner(place: str) -> tuple[Any, str]:
    """The module or class that a function stands in, and its name there."""
    module, _, path = place.partition(":")
    *classes, name = path.split(".")
    owner = import_module(module)
    for part in classes:
        owner = getattr(owner, part)
    return owner, name


def _mark_trainings(marks: list[tuple[str, float]]) -> None:
    """Note on the wall's clock when a training's stage begins, and every step."""
    from warmup_bench.execution.executors.local import STAGES
    from warmup_bench.train.loop import _Training

    def marked(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            marks.append((name, time.perf_counter()))
            return function(*arguments)

        return call

    STAGES["training"] = marked("training", STAGES["training"])
    _Training.step = marked("step", _Training.step)  # type: ignore[method-assign]
