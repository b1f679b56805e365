"""inspect_ai: ``.eval`` logs by its own library, ``.json`` logs as they stand."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.logs.log import Log, Numbers, digest, number, require, require_unique

INSTALL = "pip install 'warmup-bench[inspect]'"
LETTERS = {"c": 1.0, "p": 0.5, "i": 0.0, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""What its scorers write for correct, partly correct, incorrect and no answer, as it counts them itself."""


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
    samples = content.get("samples") or []
    if not samples:
        raise UserError(f"{path} holds no samples", hint="Evaluate again with --log-samples.")
    by_epoch: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for i, sample in enumerate(samples, 1):
        require(sample, ["id", "input", "target"], f"sample {i}", path)
        by_epoch[int(sample.get("epoch") or 1)].append(sample)
    task = str(content["eval"].get("task", ""))
    status = content.get("status")
    notes = [] if status in ("success", None) else [f"{path.name}: its evaluation ended with '{status}'"]
    return [
        _epoch(path, task, str(epoch) if len(by_epoch) > 1 else "", by_epoch[epoch], notes)
        for epoch in sorted(by_epoch)
    ]


def _epoch(path: Path, task: str, run: str, samples: list[dict[str, Any]], notes: list[str]) -> Log:
    scored = [sample for sample in samples if sample.get("scores")]
    if lost := len(samples) - len(scored):
        where = f"epoch {run} of {path.name}" if run else path.name
        notes = [
            *notes,
            f"{where}: {lost} of {len(samples)} samples have no score, as where one ended in an error",
        ]
    scored.sort(key=lambda sample: (isinstance(sample["id"], str), sample["id"]))
    ids = tuple(str(sample["id"]) for sample in scored)
    require_unique(ids, path)
    by_sample = [_numbers(sample["scores"]) for sample in scored]
    keys = dict.fromkeys(key for numbers in by_sample for key in numbers)
    return Log(
        harness="inspect_ai",
        path=path,
        task=task,
        run=run,
        ids=ids,
        documents=tuple(digest(sample["input"], sample["target"]) for sample in scored),
        prompts=tuple(digest(_prompt(sample)) for sample in scored),
        numbers={key: [numbers.get(key) for numbers in by_sample] for key in keys},
        sources=tuple(_text(sample["input"]) for sample in scored),
        references=tuple(_targets(sample["target"]) for sample in scored),
        outputs=tuple(str((sample.get("output") or {}).get("completion") or "") for sample in scored),
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


def _prompt(sample: dict[str, Any]) -> list[Any]:
    """What was said to the model before it answered: its input, with what solvers have put around it."""
    shown = []
    for message in sample.get("messages") or []:
        if message.get("role") == "assistant" and message.get("source") != "input":
            break
        shown.append([message.get("role"), message.get("content")])
    return shown


def _text(given: Any) -> str:
    """The text of an input: a text, or messages of which the last is shown."""
    if isinstance(given, list) and given and isinstance(given[-1], dict):
        given = given[-1].get("content", "")
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _targets(target: Any) -> tuple[str, ...]:
    return tuple(map(str, target)) if isinstance(target, list) else (str(target),)
