"""The trial run: a few steps of every stage, by the code of a real run."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

from warmup_bench.check import backbone
from warmup_bench.check.finding import CheckResult
from warmup_bench.check.subject import Subject
from warmup_bench.contracts.errors import UserError

STEPS, TRAIN, TEST = 5, 32, 4
"""Optimiser steps of the warm start and of each method; examples of the splits."""


def check_trial(subject: Subject) -> Iterator[CheckResult]:
    """Finding ``5-step run``: the default methods trained, decoded and scored on a few examples."""
    name = f"{STEPS}-step run"
    with tempfile.TemporaryDirectory() as place:
        try:
            rows, failures = _run(subject, Path(place))
        except UserError as error:
            yield CheckResult(name, "failed", error.problem, error.hint)
            return
    if failures:
        reason = failures[0].strip().splitlines()
        yield CheckResult(name, "failed", reason[0], "Run it by hand with a small --limit to see all of it.")
        return
    strange = {metric for scores in rows.values() for metric, x in scores.items() if not math.isfinite(x)}
    if strange:
        problem = f"{', '.join(sorted(strange))} is not a number"
        yield CheckResult(name, "failed", problem, "Mend aggregate(): it must be finite.")
    else:
        (scores, *_) = rows.values()
        done = f"trained, decoded {len(subject.splits.test[:TEST])} examples, scored by {', '.join(scores)}"
        yield CheckResult(name, "ok", f"{' and '.join(rows)}: {done}")


def _run(subject: Subject, out: Path) -> tuple[dict[str, dict[str, float]], list[str]]:
    """The scores of each method by metric, and the reasons of all failures."""
    from warmup_bench.execution.runner import execute
    from warmup_bench.models.load import quiet_transformers
    from warmup_bench.plan.jobs import outstanding
    from warmup_bench.plan.plan import make_plan
    from warmup_bench.spec.spec import make_spec
    from warmup_bench.store.results import read_results

    quiet_transformers()
    spec = make_spec(
        {
            "task": subject.reference,
            "scale": subject.request.scale,
            "subsets": [subject.request.subset],
            "backbones": [backbone.__file__],
            "seeds": [0],
            "budget": {"steps": STEPS},
            "warm_start": {"steps": STEPS},
            "train": {
                "batch_size": 4,
                "micro_batch_size": None,
                "max_source_tokens": 64,
                "max_target_tokens": 32,
                "eval_examples": 2,
                "dtype": "float32",
            },
            "warmup": {"samples": 2, "max_tokens": 2},
            "decode": {"max_tokens": 8},
            "limit": {"train": TRAIN, "validation": TEST, "test": TEST},
            "out": out,
            "device": "cpu",
            "workers": 1,
        },
        "the trial run",
    )
    plan = make_plan(spec, {subject.request.subset: subject.splits})
    failures = execute(plan, outstanding(plan), lambda event: None)
    if failures:
        return {}, [failure.message for failure in failures.values()]
    results = read_results(plan.out, [cell.id for cell in plan.cells])
    return {r.cell.method: {entry["name"]: entry["score"] for entry in r.scores} for r in results}, []
