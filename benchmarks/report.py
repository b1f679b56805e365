"""``warmup-bench report`` on 1,000 stored cells: 20 methods on 50 seeds, 200 examples, BLEU and chrF++.

Timed is the command in this process, without what Python takes to import it: read and check every file, the
paired tests with their 10,000 randomisations, and the document. A hypothesis has each
word of its reference with a probability that depends on the method, a little on the seed.
"""

import io
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from benchmarks.record import Options, Record, judge
from benchmarks.stored import made_test_set, store_cell, unsynced, written
from benchmarks.timing import called, interleave, timed
from warmup_bench.cli.report import report_command
from warmup_bench.contracts.settings import Settings
from warmup_bench.spec.cell import Cell

METHODS, SEEDS, EXAMPLES, WORDS = 20, 50, 200, 15
FEW = (3, 2, 6)
"""Methods, seeds and examples at the tests' size."""
METRICS = ("bleu", "chrf++")
SECONDS = {"text": 5.0, "md": 0.0, "html": 0.0}
"""The aim for each format; 0: a figure without one."""


def measure(options: Options) -> list[Record]:
    """A record of each format."""
    tiny = options.sizes == ("tiny",)
    shape = FEW if tiny else (METHODS, SEEDS, EXAMPLES)
    with tempfile.TemporaryDirectory() as place, unsynced():
        store_study(Path(place), *shape)
        return [_record(Path(place), format_, shape, options, tiny=tiny) for format_ in SECONDS]


def store_study(out: Path, methods: int, seeds: int, examples: int) -> None:
    """Write a study: ``sft`` and other methods, each better than the one before."""
    test = made_test_set(examples, WORDS)
    for number in range(methods):
        for seed in range(seeds):
            cell = Cell(
                task="made",
                task_version=1,
                subset="all",
                scale="mini",
                backbone="none",
                method=f"method-{number:02}" if number else "sft",
                warmup="sampled" if number else "none",
                seed=seed,
                settings=Settings(),
                data="made",
                code={"task": "1", "backbone": "1", "method": "1"},
            )
            right = 0.5 + 0.01 * number + 0.002 * (seed % 5)
            store_cell(out, cell, test, written(test, f"{number} {seed}", right), METRICS)


def _record(out: Path, format_: str, shape: tuple[int, int, int], options: Options, *, tiny: bool) -> Record:
    sizes: list[int] = []

    def report() -> None:
        text = io.StringIO()
        with redirect_stdout(text):
            report_command(out, format_, None)
        sizes.append(len(text.getvalue()))

    times = interleave({"report": timed(report)}, options.rounds)
    spent, budget = times.median("report"), SECONDS[format_]
    methods, seeds, examples = shape
    record = judge(
        f"report of {methods * seeds:,} stored cells, {format_}",
        spent,
        budget,
        "CPU s",
        ratio=spent / budget if budget else spent,
        aim="<= 1" if budget and not tiny else "",
        detail={
            "methods": methods,
            "seeds": seeds,
            "examples": examples,
            "metrics": METRICS,
            "characters": sizes[-1],
            "samples": times.all_samples(),
        },
    )
    if options.profile and record.met is False:
        record.detail["profile"] = called(report)
    return record
