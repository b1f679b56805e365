"""How the scores of one system are printed. Nothing is computed here."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from warmup_bench.comparison.alone import SystemScore, SystemScored
from warmup_bench.report.comparison import print_rows, score_text, write, write_csv
from warmup_bench.report.markdown import pipes


def print_scored(scored: SystemScored, format_: str) -> None:
    """Print the scores of a system as text, md, csv or json."""
    if format_ == "csv":
        write_csv([_flat(line) for line in scored.scores])
    elif format_ == "json":
        write(json.dumps(asdict(scored), indent=2, ensure_ascii=False) + "\n")
    elif format_ == "text":
        print_rows(_title(scored.scores), *_table(scored.scores), _notes(scored))
    else:
        headers, rows = _table(scored.scores)
        notes = [f"- {note}" for note in _notes(scored)]
        write("\n".join([f"**{_title(scored.scores)}**", "", *pipes(headers, rows), "", *notes]) + "\n")


def _table(lines: Sequence[SystemScore]) -> tuple[list[str], list[list[str]]]:
    headers = ["metric", "score", f"{lines[0].confidence:.0%} CI", "better"]
    rows = [
        [line.metric, score_text(line.scores), f"[{line.low:.2f}, {line.high:.2f}]", better]
        for line in lines
        for better in ["higher" if line.higher_is_better else "lower"]
    ]
    return headers, rows


def _title(lines: Sequence[SystemScore]) -> str:
    first = lines[0]
    runs = "one run" if first.runs == 1 else f"{first.runs} runs"
    return f"{first.system} · {first.examples:,} examples · {runs}"


def _notes(scored: SystemScored) -> list[str]:
    first = scored.scores[0]
    drawn = "documents" if first.units < first.examples else "examples"
    over = f"runs then {drawn}" if first.runs > 1 else drawn
    return [
        f"{first.confidence:.0%} CI: bootstrap, {first.resamples:,} resamples over {over}.",
        "One system: whether another one is better takes both, on the same examples.",
        *(f"{note}." for note in scored.notes),
        *dict.fromkeys(f"{line.metric}: {line.signature}" for line in scored.scores),
    ]


def _flat(line: SystemScore) -> dict[str, Any]:
    """A line of CSV, every number at full precision."""
    fields = asdict(line)
    scores = fields.pop("scores")
    return {"score": sum(scores) / len(scores), **fields}
