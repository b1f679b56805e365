"""Scores and tests of two systems, side by side with the libraries on the same texts.

BLEU and chrF++ of 3,000 segments, 10,000 randomisations and intervals (sacreBLEU's by 1,000 resamples): as
``warmup-bench compare`` has them and by sacreBLEU's PairedTest. Then ours on growing test sets, and the
scoring of 2,000 texts against the libraries' own paths. Every figure is that of a fresh process on one
thread. The words of made texts follow Zipf's law (:mod:`benchmarks.texts`); the texts of ``--data`` are taken
too.
"""

import os
import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.paired_sides import Work, spent
from benchmarks.process import run_fresh
from benchmarks.record import Options, Record, judge
from benchmarks.texts import texts_of
from benchmarks.timing import Sample, Side, interleave

SCORED, SIZES = 2_000, (10_000, 100_000)
"""Segments of the scoring alone, and of ours alone."""
FEW = Work(40, randomizations=200, resamples=200)
"""At the tests' size."""

Runs = dict[str, list[dict[str, Any]]]
"""What each side found in every round."""


def measure(options: Options) -> list[Record]:
    """Records of the tests on made texts and on those of files, of their growth, and of the scoring."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of the processes to come
    tiny = options.sizes == ("tiny",)
    texts_of(1, options.data)  # before anything takes time
    work = FEW if tiny else Work()
    records = _tests("made", work, options)
    for segments in (2 * FEW.segments,) if tiny else SIZES:
        run = run_fresh(spent, "ours", replace(work, segments=segments))
        for what, fewer in zip(("cpu", "peak"), records, strict=False):
            name = f"ours, tests of {segments:,} made segments / of {work.segments:,}"
            figures = {"ours": [run[what]], "other": [fewer.ours]}
            records.append(_record(name, fewer.unit, figures, {"ours": [run]}, over="ours"))
    if options.data:
        records += _tests("given", replace(work, files=options.data), options)
    work = replace(work, segments=FEW.segments if tiny else SCORED)
    for metric, library, part in (("chrF++", "sacreBLEU", "chrf"), ("ROUGE", "rouge-score", "rouge")):
        runs = _in_turn({"ours": f"our_{part}", "other": part}, work, options.rounds)
        check(runs)
        name = f"{library} / ours, {metric} of {work.segments:,} made segments"
        records.append(_record(name, "CPU s", _figures(runs, "cpu"), runs))
    return records


def check(runs: Runs, randomizations: int = 0) -> None:
    """See that both sides found the same scores, and p that differ by no more than their draws do.

    Raises:
        AssertionError: They did not.
    """
    ours, other = (runs[side][0] for side in ("ours", "other"))
    if not np.allclose(ours["scores"], other["scores"], rtol=1e-9):
        raise AssertionError(f"the scores differ: {ours['scores']} and {other['scores']}")
    if randomizations:
        pairs = np.array([ours["p"], other["p"]])
        mean = pairs.mean(axis=0)
        deviation = np.sqrt(2 * mean * (1 - mean) / randomizations)
        if (np.abs(pairs[0] - pairs[1]) > 5 * deviation + 1 / randomizations).any():
            raise AssertionError(f"the p differ: {ours['p']} and {other['p']}")


def _tests(texts: str, work: Work, options: Options) -> list[Record]:
    """CPU seconds and peak memory of ours and of sacreBLEU, and CPU seconds of the tests alone."""
    parts = {"ours": "ours", "other": "sacrebleu", "counts": "sacrebleu_counts"}
    runs = _in_turn(parts, work, options.rounds)
    check(runs, work.randomizations)
    seconds, peaks = _figures(runs, "cpu"), _figures(runs, "peak")
    alone = {
        "ours": [run["tests"] for run in runs["ours"]],
        "other": [a - b for a, b in zip(seconds["other"], seconds["counts"], strict=True)],
    }
    aims = ("", "") if work.segments == FEW.segments else (">= 20", "<= 1")
    what = f"tests of {runs['ours'][0]['segments']:,} {texts} segments"
    return [
        _record(f"sacreBLEU / ours, {what}", "CPU s", seconds, runs, aims[0]),
        _record(f"ours / sacreBLEU, {what}, peak memory", "MiB", peaks, {}, aims[1], over="ours"),
        _record(f"sacreBLEU / ours, {what}, n-grams counted before", "CPU s", alone, {}),
    ]


def _in_turn(parts: Mapping[str, str], work: Work, rounds: int) -> Runs:
    """Run every side's part in fresh processes, the sides in turn; the round that warms up is left out."""
    runs: Runs = {side: [] for side in parts}

    def started(side: str) -> Side:
        def run() -> Sample:
            found = run_fresh(spent, parts[side], work)
            runs[side].append(found)
            return Sample(found["wall"], found["cpu"])

        return run

    interleave({side: started(side) for side in parts}, rounds)
    return {side: found[1:] for side, found in runs.items()}


def _figures(runs: Runs, name: str) -> dict[str, list[float]]:
    return {side: [run[name] for run in found] for side, found in runs.items()}


def _record(
    name: str, unit: str, figures: Mapping[str, list[float]], runs: Runs, aim: str = "", over: str = "other"
) -> Record:
    """Medians of both sides over the rounds, and of the ratio within a round."""
    under = "other" if over == "ours" else "ours"
    ratio = statistics.median(a / b for a, b in zip(figures[over], figures[under], strict=True))
    ours, other = (statistics.median(figures[side]) for side in ("ours", "other"))
    return judge(name, ours, other, unit, ratio=ratio, aim=aim, detail={"figures": figures, "runs": runs})
