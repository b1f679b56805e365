"""lm-evaluation-harness: ``samples_TASK_DATE.jsonl`` of ``--log_samples``, a document and filter a line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.logs.log import Aggregation, Log, Numbers, digest, number, require_unique, shaped

AGGREGATIONS: dict[str, Aggregation] = {
    "perplexity": "perplexity",
    "word_perplexity": "perplexity",
    "byte_perplexity": "perplexity",
    "bits_per_byte": "bits",
}
"""Scores of log-likelihoods; each example has its log-likelihood, with words or bytes where these count."""
SHOWN = 400
"""Characters of a prompt that are kept: its end, since few-shot examples come first."""


class _Sample(BaseModel):
    """A line: its metrics are extra fields."""

    model_config = ConfigDict(extra="allow")
    doc_id: int | str
    doc: Any = None
    target: Any = ""
    arguments: dict[str, Any] | list[Any] = []
    filtered_resps: Any = None
    filter: str = "none"
    metrics: list[str] | None = None
    doc_hash: str | None = None
    prompt_hash: str | None = None
    target_hash: str | None = None

    def value(self, metric: str) -> Any:
        """What it has under a metric."""
        return (self.model_extra or {}).get(metric)


def is_samples(row: Any) -> bool:
    """Whether the first line of a file is one of these logs."""
    return isinstance(row, dict) and "doc_id" in row and ("filtered_resps" in row or "resps" in row)


def task_and_date(path: Path) -> tuple[str, str]:
    """Task and date of a file's name; no date where it has another name."""
    stem = path.name.partition(".jsonl")[0]
    task, _, date = stem.removeprefix("samples_").rpartition("_")
    return (task, date) if stem.startswith("samples_") and task else (stem, "")


def read_samples(path: Path, text: str) -> list[Log]:
    """The log of a file.

    Args:
        path: Of the file.
        text: All of it.

    Raises:
        UserError: A line is no sample, or a document stands there twice under one filter.
    """
    task, date = task_and_date(path)
    by_document: dict[int | str, _Sample] = {}
    numbers: dict[str, dict[int | str, Numbers | None]] = {}
    seen = []
    for place, line in _rows(path, text):
        row = shaped(line, _Sample, place, path)
        name, plain = row.doc_id, row.filter == "none"
        seen.append(f"doc {name}" if plain else f"doc {name}, filter {row.filter}")
        by_document.setdefault(name, row)
        metrics = (
            [key for key in row.model_extra or {} if key != "resps"] if row.metrics is None else row.metrics
        )
        for metric in metrics:
            key = metric if plain else f"{metric},{row.filter}"
            numbers.setdefault(key, {})[name] = _number(metric, row.value(metric))
    require_unique(seen, path)
    names = sorted(by_document, key=lambda name: (isinstance(name, str), name))
    rows = [by_document[name] for name in names]
    outputs = [_output(row) for row in rows]
    return [
        Log(
            harness="lm-evaluation-harness",
            path=path,
            task=task,
            ids=tuple(f"doc {name}" for name in names),
            documents=tuple(map(_document, rows)),
            prompts=tuple(row.prompt_hash or digest(_prompt(row)) for row in rows),
            numbers={key: [of.get(name) for name in names] for key, of in numbers.items()},
            aggregations={
                key: AGGREGATIONS[name] for key in numbers if (name := key.split(",")[0]) in AGGREGATIONS
            },
            higher_is_better=_directions(path, task, date, list(numbers)),
            sources=tuple(_end(_prompt(row)) for row in rows),
            references=tuple((_target(row),) for row in rows),
            outputs=None if None in outputs else tuple(map(str, outputs)),
        )
    ]


def _rows(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for number_, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"line {number_}", json.loads(line)
            except ValueError as error:
                raise UserError(
                    f"{path}: line {number_} is not JSON: {error}", hint="The log is cut off."
                ) from error


def _number(metric: str, value: Any) -> Numbers | None:
    """A number; a log-likelihood and what it is counted over where the metric is a ratio of these."""
    if metric in AGGREGATIONS and isinstance(value, list) and len(value) == 2:
        first, weight = map(number, value)
        return (first[0], weight[0]) if first and weight and weight[0] > 0 else None
    return number(value)


def _document(row: _Sample) -> str:
    if row.doc is None:
        return digest(row.doc_hash, row.target_hash)
    return digest(row.doc, str(row.target))


def _arguments(row: _Sample) -> list[list[Any]]:
    """The requests of a line: by name as they are written now, lists in former versions."""
    arguments = row.arguments
    if isinstance(arguments, dict):
        arguments = [list(one.values()) if isinstance(one, dict) else [one] for one in arguments.values()]
    return [list(one) if isinstance(one, list) else [one] for one in arguments]


def _prompt(row: _Sample) -> str:
    requests = _arguments(row)
    return str(requests[0][0]) if requests and requests[0] else ""


def _end(text: str) -> str:
    return text if len(text) <= SHOWN else f"…{text[-SHOWN:]}"


def _choices(row: _Sample) -> list[str]:
    """The options of a multiple-choice example, a request each; [] where the answer was written."""
    answers = row.filtered_resps if isinstance(row.filtered_resps, list) else []
    requests = _arguments(row)
    chosen = len(answers) == len(requests) and all(isinstance(one, list) and len(one) == 2 for one in answers)
    return (
        [str(one[1]).strip() for one in requests] if chosen and all(len(one) > 1 for one in requests) else []
    )


def _target(row: _Sample) -> str:
    """The target, by its text where it is the number of an option."""
    target, choices = str(row.target), _choices(row)
    return choices[int(target)] if target.isdecimal() and int(target) < len(choices) else target


def _output(row: _Sample) -> str | None:
    """What was written, or the likeliest option; None of a text that was only measured."""
    answers = row.filtered_resps if isinstance(row.filtered_resps, list) else []
    if choices := _choices(row):
        try:
            likely = [float(one[0]) for one in answers]
        except (ValueError, TypeError):
            return None
        return choices[likely.index(max(likely))]
    requests = _arguments(row)
    written = answers and isinstance(answers[0], str) and requests and len(requests[0]) > 1
    return str(answers[0]) if written else None


def _directions(path: Path, task: str, date: str, metrics: list[str]) -> dict[str, bool]:
    """What the file of aggregated results beside it says of the metrics' directions."""
    try:
        content = json.loads(path.with_name(f"results_{date}.json").read_text(encoding="utf-8"))
        told = content["higher_is_better"][task]
        known = {key: told.get(key.split(",")[0]) for key in metrics}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {key: value for key, value in known.items() if isinstance(value, bool)}
