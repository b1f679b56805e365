"""inspect_ai: ``.eval`` logs by its own library, ``.json`` logs as they stand."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.logs.log import Log, Numbers, digest, number, require_unique, shaped

INSTALL = "pip install 'warmup-bench[inspect]'"
LETTERS = {"c": 1.0, "p": 0.5, "i": 0.0, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""What its scorers write for correct, partly correct, incorrect and no answer, as it counts them itself."""


class _Output(BaseModel):
    completion: str = ""


class _Sample(BaseModel):
    id: int | str
    epoch: int = 1
    input: str | list[Any]
    target: str | list[str]
    messages: list[dict[str, Any]] = []
    output: _Output | None = None
    scores: dict[str, Any] | None = None


class _Eval(BaseModel):
    task: str = ""


class _Log(BaseModel):
    status: str = "success"
    eval: _Eval
    samples: list[_Sample] | None = None


def is_log(content: Any) -> bool:
    """Whether a JSON file is one of these logs."""
    return isinstance(content, dict) and {"version", "eval", "plan"} <= set(content)


def read_eval(path: Path) -> list[Log]:
    """The logs of an ``.eval`` file, one an epoch.

    Raises:
        UserError: The library is not installed, or can't read it.
    """
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as error:
        raise UserError(
            f"{path} is read by inspect_ai, which is not installed",
            hint=f"{INSTALL}, or write it as JSON: inspect log convert --to json.",
        ) from error
    try:
        content = json.loads(read_eval_log(str(path)).model_dump_json())
    except Exception as error:  # zipfile, pydantic and the library's own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"can't read {path}: {reason}") from error
    return read_log(path, content)


def read_log(path: Path, content: dict[str, Any]) -> list[Log]:
    """The logs of a file, one an epoch.

    Args:
        path: Of the file.
        content: All of it.

    Raises:
        UserError: It holds no samples, or one twice in an epoch.
    """
    log = shaped(content, _Log, "the log", path)
    by_epoch: dict[int, list[_Sample]] = defaultdict(list)
    for sample in log.samples or []:
        by_epoch[sample.epoch].append(sample)
    if not by_epoch:
        raise UserError(f"{path} holds no samples", hint="Evaluate again with --log-samples.")
    notes = [] if log.status == "success" else [f"{path.name}: its evaluation ended with '{log.status}'"]
    return [
        _epoch(path, log.eval.task, str(epoch) if len(by_epoch) > 1 else "", by_epoch[epoch], notes)
        for epoch in sorted(by_epoch)
    ]


def _epoch(path: Path, task: str, run: str, samples: list[_Sample], notes: list[str]) -> Log:
    scored = [sample for sample in samples if sample.scores]
    if lost := len(samples) - len(scored):
        where = f"epoch {run} of {path.name}" if run else path.name
        lacking = f"{lost} of {len(samples)} samples have no score"
        notes = [*notes, f"{where}: {lacking}, as where one ended in an error"]
    scored.sort(key=lambda sample: (isinstance(sample.id, str), sample.id))
    ids = tuple(str(sample.id) for sample in scored)
    require_unique(ids, path)
    by_sample = [_numbers(sample.scores or {}) for sample in scored]
    keys = dict.fromkeys(key for numbers in by_sample for key in numbers)
    return Log(
        harness="inspect_ai",
        path=path,
        task=task,
        run=run,
        ids=ids,
        documents=tuple(digest(sample.input, sample.target) for sample in scored),
        prompts=tuple(digest(_prompt(sample)) for sample in scored),
        numbers={key: [numbers.get(key) for numbers in by_sample] for key in keys},
        sources=tuple(_text(sample.input) for sample in scored),
        references=tuple(_targets(sample.target) for sample in scored),
        outputs=tuple(sample.output.completion if sample.output else "" for sample in scored),
        notes=tuple(notes),
    )


def _numbers(scores: dict[str, Any]) -> dict[str, Numbers | None]:
    """By scorer, or scorer and key where it gives several values."""
    found: dict[str, Numbers | None] = {}
    for scorer, score in scores.items():
        value = score.get("value") if isinstance(score, dict) else score
        if isinstance(value, dict):
            found |= {f"{scorer}/{key}": _number(one) for key, one in value.items()}
        else:
            found[scorer] = _number(value)
    return found


def _number(value: Any) -> Numbers | None:
    if not isinstance(value, str):
        return number(value)
    known = LETTERS.get(value.strip().lower())
    try:
        return number(float(value) if known is None else known)
    except ValueError:
        return None


def _prompt(sample: _Sample) -> list[Any]:
    """What was said to the model before it answered: its input, with what solvers have put around it."""
    shown = []
    for message in sample.messages:
        if message.get("role") == "assistant" and message.get("source") != "input":
            break
        shown.append([message.get("role"), message.get("content")])
    return shown


def _text(given: Any) -> str:
    """The text of an input: a text, or messages of which the last is shown."""
    if isinstance(given, list) and given and isinstance(given[-1], dict):
        given = given[-1].get("content", "")
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _targets(target: str | list[str]) -> tuple[str, ...]:
    return tuple(target) if isinstance(target, list) else (target,)
