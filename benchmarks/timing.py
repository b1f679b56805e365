"""Times of several sides of a comparison, taken in turn so that a drift of the machine meets all of them."""

import cProfile
import io
import pstats
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: seconds on the clock and CPU seconds of the process (all its threads, kernel included)."""

    wall: float
    cpu: float


Side = Callable[[], Sample]


def timed(run: Callable[[], object], device: str = "cpu") -> Side:
    """A side that runs ``run`` in this process; a GPU has finished its work before the clock stops."""

    def side() -> Sample:
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        return Sample(time.perf_counter() - wall, time.process_time() - cpu)

    return side


@dataclass(frozen=True, slots=True)
class Times:
    """Samples of every side, round by round.

    The clock that counts is the CPU's on a CPU (one thread: another process on the machine disturbs it
    least), and the wall's on a GPU; the other one is kept beside it.
    """

    samples: dict[str, list[Sample]]
    clock: str

    @property
    def unit(self) -> str:
        """Unit of :meth:`median`."""
        return "CPU s" if self.clock == "cpu" else "s"

    def median(self, side: str) -> float:
        """Median seconds of a side."""
        return statistics.median(getattr(s, self.clock) for s in self.samples[side])

    def ratio(self, over: str, under: str, clock: str | None = None) -> float:
        """Median over the rounds of the ratio of two sides within a round."""
        clock = clock or self.clock
        return statistics.median(
            getattr(a, clock) / getattr(b, clock)
            for a, b in zip(self.samples[over], self.samples[under], strict=True)
        )

    def detail(self, over: str, under: str) -> dict[str, Any]:
        """All samples, and the ratio by both clocks."""
        return {
            "ratio_wall": self.ratio(over, under, "wall"),
            "ratio_cpu": self.ratio(over, under, "cpu"),
            "samples": self.all_samples(),
        }

    def all_samples(self) -> dict[str, list[dict[str, float]]]:
        """Every sample of every side, as plain data."""
        return {name: [asdict(s) for s in samples] for name, samples in self.samples.items()}


def interleave(sides: Mapping[str, Side], rounds: int, device: str = "cpu") -> Times:
    """Run every side once to warm up and then ``rounds`` times in turn, every other round backwards."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for count in range(rounds + 1):
        for name in list(sides)[:: -1 if count % 2 else 1]:
            sample = sides[name]()
            if count:
                samples[name].append(sample)
    return Times(samples, "wall" if device == "cuda" else "cpu")


def profile(run: Callable[[], object], device: str = "cpu", rows: int = 15) -> str:
    """The operators that take the most time of one run, as a table."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profiler(activities=activities) as found:
        run()
    return found.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=rows)


def called(run: Callable[[], object], rows: int = 15) -> str:
    """The Python functions that take the most time of one run, as a table."""
    profiler, text = cProfile.Profile(), io.StringIO()
    profiler.runcall(run)
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(rows)
    return text.getvalue()
