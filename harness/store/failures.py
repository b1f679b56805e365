"""What failed and why: a small ``failed.json`` beside a cell, until the cell succeeds."""

import json
import math
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import TrainingError, UserError, said_by
from warmup_bench.contracts.redact import redact, visible
from warmup_bench.spec.cell import Cell
from warmup_bench.store.folders import CorruptError, read_json, write_file
from warmup_bench.store.study import is_published, read_index

FAILED = "failed.json"
LONGEST_LINE = 300
"""Characters of a failure's message where it stands in a list of many."""
_INHERITED = "what it needs failed: "


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step failed.

    Attributes:
        stage: "warm start", "training", "decode" or "score".
        error: Name of the exception.
        message: In words.
        traceback: Of an error that is not the user's to mend; else "".
        diagnostics: What was known when it gave up, e.g. the last steps' losses; plain JSON.
        when: UTC, ISO 8601.
        cell: Coordinates and settings of the cell that it stands beside, as JSON; {} where nobody noted them.
    """

    stage: str
    error: str
    message: str
    traceback: str = ""
    diagnostics: dict[str, Any] = field(default_factory=dict)
    when: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    cell: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The message in one line, not longer than one can read."""
        text = " ".join(self.message.split())
        return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"

    def inherited(self) -> "Failure":
        """The failure of what needed this."""
        if self.message.startswith(_INHERITED):
            return self
        return replace(self, message=_INHERITED + self.message)


class ElsewhereError(Exception):
    """Something failed in another process, which has told why."""

    def __init__(self, failure: Failure) -> None:
        """``failure`` as that process has told it."""
        super().__init__(failure.message)
        self.failure = failure


def failure_of(error: BaseException, stage: str) -> Failure:
    """An exception as a failure; the traceback only of one that is not a :class:`UserError`."""
    if isinstance(error, ElsewhereError):
        return error.failure
    diagnostics = plain(error.diagnostics) if isinstance(error, TrainingError) else {}
    if isinstance(error, UserError):
        return Failure(stage, type(error).__name__, said_by(error), diagnostics=diagnostics)
    # What a library says may hold a token from a URL, or what a terminal would obey.
    message = visible(redact(f"{type(error).__name__}: {said_by(error)}"))
    trace = "\n".join(
        visible(line) for line in redact("".join(traceback.format_exception(error))).splitlines()
    )
    return Failure(stage, type(error).__name__, message, trace)


def plain(diagnostics: Any) -> dict[str, Any]:
    """What an error carries as plain JSON; of what is none (a tensor, a function) its words, cut short."""
    try:
        content = json.loads(json.dumps(diagnostics, default=_in_words, skipkeys=True))
    except Exception as error:  # nested without end, or an object that breaks as it is looked at
        return {"diagnostics": f"can't be stored ({type(error).__name__})"}
    return content if isinstance(content, dict) else {"diagnostics": content}


def _in_words(value: Any) -> str:
    return visible(redact(repr(value)[:LONGEST_LINE]))


def write_failure(folder: Path, failure: Failure, cell: Cell | None = None) -> None:
    """Keep the failure in the cell's folder; where even that can't be written, it is only told."""
    with suppress(UserError):
        known = {} if cell is None else cell.model_dump(mode="json")
        text = json.dumps(_finite(asdict(replace(failure, cell=known))), indent=2, ensure_ascii=False)
        write_file(folder / FAILED, text + "\n")


def clear_failure(cell: Path) -> None:
    """The cell has succeeded."""
    with suppress(OSError):
        (cell / FAILED).unlink(missing_ok=True)


def read_failures(out: Path) -> dict[str, Failure]:
    """The failures of a results folder by cell id; a file that can't be read is a failure of its own."""
    if is_published(out):
        return {name: _known(why) for name, why in read_index(out).failures.items()}
    failures = {}
    for path in sorted((out / "cells").glob(f"*/{FAILED}")):
        try:
            failures[path.parent.name] = _known(read_json(path))
        except (CorruptError, TypeError) as error:
            failures[path.parent.name] = Failure("unknown", "CorruptError", f"{path} can't be read: {error}")
    return failures


def _known(content: dict[str, Any]) -> Failure:
    """A failure as it was stored.

    Raises:
        TypeError: It is none.
    """
    failure = Failure(**content)
    texts = (failure.stage, failure.error, failure.message, failure.traceback, failure.when)
    if not all(isinstance(text, str) for text in texts) or not isinstance(failure.cell, dict):
        raise TypeError("it is not a failure")
    safe: dict[str, Any] = {
        name: visible(redact(getattr(failure, name))) for name in ("stage", "error", "message", "traceback")
    }
    return replace(failure, **safe)


def _finite(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
