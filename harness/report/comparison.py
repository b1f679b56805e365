"""How a comparison is printed: tables for a terminal, Markdown, CSV and JSON. Nothing is computed here."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from statistics import fmean, stdev
from typing import Any

from rich.console import Console
from rich.text import Text

from warmup_bench.comparison import Comparison
from warmup_bench.comparison.pairwise import Moved, SystemGain, SystemsCompared
from warmup_bench.contracts.redact import visible
from warmup_bench.report.lines import TextCell, TextLine
from warmup_bench.report.markdown import escaped, pipes
from warmup_bench.report.numbers import at_most, format_p, interval
from warmup_bench.report.table import MARKS
from warmup_bench.report.terminal import print_grid, print_notes

LONGEST_TEXT = 240
"""Characters of an example that are shown in a terminal or in Markdown."""


def print_compared(tasks: Sequence[SystemsCompared], format_: str) -> None:
    """Print a comparison, one a task, as text, md, csv or json."""
    if format_ == "csv":
        write_csv([of_task(compared.task) | flat(line) for compared in tasks for line in compared.lines])
    elif format_ == "json":
        write_json(tasks)
    elif format_ == "text":
        for compared in tasks:
            _print_text(compared)
    else:
        write("\n".join(map(_markdown, tasks)))


def of_task(task: str) -> dict[str, Any]:
    """The first column of CSV, where there are tasks."""
    return {"task": task} if task else {}


def write_json(tasks: Sequence[Any]) -> None:
    """Print what was found: an object, or a list of them where there are several tasks."""
    content = [asdict(found) for found in tasks]
    write(json.dumps(content[0] if len(content) == 1 else content, indent=2, ensure_ascii=False) + "\n")


def _table(lines: Sequence[SystemGain]) -> tuple[list[str], list[list[str]]]:
    """Headers and rows of one metric, the baseline first; columns that say nothing are left out."""
    several, seeds = len(lines) > 1, any(line.comparison.seed_p_value is not None for line in lines)
    headers = ["system", "score", "difference", f"{lines[0].comparison.confidence:.0%} CI", "p"]
    headers += ["corrected p"] * several + ["p, other seeds"] * seeds
    rows, last = [], None
    for line in lines:
        c, d = line.comparison, line.digits
        paired = c.seeds, c.examples, c.score_a  # of the baseline, on what it shares with this system
        if paired != last:
            last = paired
            rows.append([line.baseline, score_text(c.score_a, d), "baseline"] + [""] * (len(headers) - 3))
        difference = f"{c.difference:+.{d}f}{MARKS[line.finding.reach]}"
        row = [line.system, score_text(c.score_b, d), difference, interval(c.low, c.high, d)]
        p = [c.p_value, *[line.finding.corrected_p] * several]
        row += [at_most(value, c.p_at_floor) for value in p]
        rows.append(row + [_of_others(c, line.finding.other_seeds_p)] * seeds)
    return headers, rows


def _of_others(comparison: Comparison, p: float | None) -> str:
    return "one seed" if comparison.seeds == 1 else "–" if p is None else format_p(p)


def _by_metric(compared: SystemsCompared) -> list[list[SystemGain]]:
    keys = dict.fromkeys(line.key for line in compared.lines)
    return [[line for line in compared.lines if line.key == key] for key in keys]


def _title(lines: Sequence[SystemGain], task: str) -> str:
    comparisons = [line.comparison for line in lines]
    counts = sorted({c.seeds for c in comparisons})
    seeds = "one run" if counts == [1] else f"{' or '.join(map(str, counts))} matched seeds"
    examples = " or ".join(f"{count:,}" for count in sorted({c.examples for c in comparisons}))
    arrow = "higher is better" if lines[0].higher_is_better else "lower is better"
    name = f"{task} · {lines[0].metric}" if task else lines[0].metric
    return f"{name} ({arrow}) · {examples} examples · {seeds}"


def _notes(compared: SystemsCompared) -> list[str]:
    first = compared.lines[0].comparison
    tests = dict.fromkeys(line.comparison.test for line in compared.lines)
    drawn = max(line.comparison.randomizations for line in compared.lines)
    several = any(line.comparison.seeds > 1 for line in compared.lines)
    family = "no correction is needed for one comparison a metric"
    if len(_by_metric(compared)[0]) > 1:
        family = "corrected p: Holm over the systems of a metric"
    return [
        f"p: two-sided {', '.join(tests)}" + (f" ({drawn:,} swaps)" if drawn else "") + f"; {family}.",
        f"{first.confidence:.0%} CI of the difference: t, "
        + ("other seeds and other examples." if several else "other examples, these models."),
        _marks(compared, several),
        *(f"{note}." for note in compared.notes),
        *dict.fromkeys(f"{line.metric}: {line.signature}" for line in compared.lines),
    ]


def _marks(compared: SystemsCompared, several: bool) -> str:
    level = 1 - compared.lines[0].comparison.confidence
    models = f"°: p is at most {level:.2g} for these models"
    if not several:
        return f"{models}."
    return f"*: shown for other seeds and examples too (p, other seeds: at most {level:.2g}); {models} alone."


def _print_text(compared: SystemsCompared) -> None:
    groups = _by_metric(compared)
    for number, lines in enumerate(groups):
        notes = _notes(compared) if number == len(groups) - 1 else []
        print_rows(_title(lines, compared.task), *_table(lines), notes)
    if compared.moved:
        console = Console()
        main = compared.lines[0].metric
        for moved in compared.moved:
            console.print()
            console.print(Text(visible(_moved_title(moved, main)), style="bold"))
            for name, text in _texts(moved):
                console.print(Text.assemble((f"  {name}: ", "dim"), visible(_short(text))))


def _markdown(compared: SystemsCompared) -> str:
    parts = []
    for lines in _by_metric(compared):
        parts += [f"**{_title(lines, compared.task)}**", "", *pipes(*_table(lines)), ""]
    parts += [f"- {note}" for note in _notes(compared)]
    for moved in compared.moved:
        parts += ["", f"**{_moved_title(moved, compared.lines[0].metric)}**", ""]
        parts += [f"- {name}: {_short(escaped(text))}" for name, text in _texts(moved)]
    return "\n".join(parts) + "\n"


def _moved_title(moved: Moved, metric: str) -> str:
    return f"{moved.id}: {moved.influence:+.3f} {metric} of the difference of {moved.system}"


def _texts(moved: Moved) -> list[tuple[str, str]]:
    texts = [("source", moved.source), *(("reference", text) for text in moved.references or ())]
    texts += [("baseline", moved.baseline_output), ("system", moved.system_output)]
    return [(name, text) for name, text in texts if text is not None]


def flat(line: SystemGain) -> dict[str, Any]:
    """A line of CSV, every number at full precision."""
    c = line.comparison
    return {
        "metric": line.metric,
        "baseline": line.baseline,
        "system": line.system,
        "score_baseline": sum(c.score_a) / c.seeds,
        "score_system": sum(c.score_b) / c.seeds,
        "difference": c.difference,
        "low": c.low,
        "high": c.high,
        "confidence": c.confidence,
        "p": c.p_value,
        "corrected_p": line.finding.corrected_p,
        "p_over_seeds": c.seed_p_value,
        "p_over_seeds_and_examples": c.joint_p_value,
        "corrected_p_over_seeds_and_examples": line.finding.corrected_joint_p,
        "holds_for_these_models": line.finding.these_models,
        "holds_for_other_seeds": line.finding.other_seeds,
        "test": c.test,
        "randomizations": c.randomizations,
        "seeds": c.seeds,
        "examples": c.examples,
        "groups": c.groups,
        "signature": line.signature,
    }


def score_text(values: Sequence[float], digits: int) -> str:
    """The mean of the runs' scores, with their standard deviation where there are several."""
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{fmean(values):.{digits}f}{spread}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def print_rows(
    title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> None:
    """Print rows under their headers with a title and footnotes to the terminal."""

    console = Console()
    console.print()
    console.print(Text(visible(title), style="bold"))
    lines = [TextLine("score", row[0], tuple(map(TextCell, row[1:]))) for row in rows]
    print_grid(console, headers[1:], lines, headers[0])
    print_notes(console, notes)


def write_csv(rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as CSV."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(buffer.getvalue())


def write(text: str) -> None:
    """Print a document on standard output."""
    print(text, end="")  # noqa: T201
