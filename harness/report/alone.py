"""How the scores of one system are printed. Nothing is computed here."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from warmup_bench.comparison.alone import SystemScore, SystemScored
from warmup_bench.report.comparison import of_task, print_rows, score_text, write, write_csv, write_json
from warmup_bench.report.markdown import pipes
from warmup_bench.report.numbers import interval


def print_scored(tasks: Sequence[SystemScored], format_: str) -> None:
    """Print the scores of a system, one a task, as text, md, csv or json."""
    if format_ == "csv":
        write_csv([of_task(scored.task) | _flat(line) for scored in tasks for line in scored.scores])
    elif format_ == "json":
        write_json(tasks)
    elif format_ == "text":
        for scored in tasks:
            print_rows(_title(scored), *_table(scored.scores), _notes(scored))
    else:
        write("\n".join(map(_markdown, tasks)))


def _markdown(scored: SystemScored) -> str:
    notes = [f"- {note}" for note in _notes(scored)]
    return "\n".join([f"**{_title(scored)}**", "", *pipes(*_table(scored.scores)), "", *notes]) + "\n"


def _table(lines: Sequence[SystemScore]) -> tuple[list[str], list[list[str]]]:
    headers = ["metric", "score", f"{lines[0].confidence:.0%} CI", "better"]
    rows = [
        [line.metric, score_text(line.scores, d), interval(line.low, line.high, d, sign=""), better]
        for line in lines
        for better, d in [("higher" if line.higher_is_better else "lower", line.digits)]
    ]
    return headers, rows


def _title(scored: SystemScored) -> str:
    first = scored.scores[0]
    runs = "one run" if first.runs == 1 else f"{first.runs} runs"
    name = f"{scored.task} · {first.system}" if scored.task else first.system
    return f"{name} · {first.examples:,} examples · {runs}"


def _notes(scored: SystemScored) -> list[str]:
    first = scored.scores[0]
    drawn = "documents" if first.units < first.examples else "examples"
    over = f"runs and {drawn}" if first.runs > 1 else drawn
    return [
        f"{first.confidence:.0%} CI: over {over}, by Student's t of the jackknife's error.",
        "One system: whether another one is better takes both, on the same examples.",
        *(f"{note}." for note in scored.notes),
        *dict.fromkeys(f"{line.metric}: {line.signature}" for line in scored.scores),
    ]


def _flat(line: SystemScore) -> dict[str, Any]:
    """A line of CSV, every number at full precision."""
    fields = asdict(line)
    scores = fields.pop("scores")
    return {"score": sum(scores) / len(scores), **fields}
