"""The example browser's data as JSON for a script element."""

import json
import math
from dataclasses import asdict
from typing import Any

from warmup_bench.contracts.metric import FloatArray
from warmup_bench.report.examples import ExampleSet, MethodOutputs, Run

DIGITS = 4
"""Decimals of stored scores; the page shows two."""


def script_json(content: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end or open one, or a comment.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def browser_data(examples: ExampleSet) -> dict[str, Any]:
    """An example set, column by column, as ``page.js`` reads it."""
    return {
        "language": examples.language,
        "ids": examples.ids,
        "sources": examples.sources,
        "references": examples.references,
        "metrics": [asdict(metric) for metric in examples.metrics],
        "start": examples.start,
        "baseline": examples.baseline,
        "methods": [_method(method) for method in examples.methods],
    }


def _method(method: MethodOutputs) -> dict[str, Any]:
    return {
        "name": method.name,
        "runs": [_run(run) for run in method.runs],
        "differences": {key: _rounded(values) for key, values in method.differences.items()},
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "outputs": run.outputs,
        "warmups": run.warmups,
        "forced": [int(forced) for forced in run.forced],
        "finished": [int(finished) for finished in run.finished],
        "scores": {key: _rounded(values) for key, values in run.scores.items()},
    }


def _rounded(values: FloatArray) -> list[float | None]:
    """Rounded for the page; None where a metric has no score of a single example."""
    # Adding 0 turns -0.0 into 0.0.
    return [round(float(v), DIGITS) + 0.0 if math.isfinite(v) else None for v in values]
