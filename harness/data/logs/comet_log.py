"""COMET: ``--to_json`` of ``comet-score`` and of ``comet-compare``, segments of one system or several."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.logs.log import Log, digest, number, shaped


def is_score(content: Any) -> bool:
    """Whether a JSON file is of ``comet-score``: by system, a list of scored segments."""
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(of, list) and of and isinstance(of[0], dict) for of in content.values())
        and all("COMET" in of[0] and "mt" in of[0] for of in content.values())
    )


def is_comparison(content: Any) -> bool:
    """Whether a JSON file is of ``comet-compare``."""
    return isinstance(content, dict) and {"statistical_results", "source", "translations"} <= set(content)


class _Segment(BaseModel):
    src: str
    mt: str
    ref: str | None = None
    COMET: float | None


class _System(BaseModel):
    name: str
    mt: list[str]
    scores: list[float | None]


class _Comparison(BaseModel):
    source: list[str]
    reference: list[str] | None = None
    translations: list[_System]


def read_score(path: Path, content: dict[str, Any]) -> list[Log]:
    """The logs of a file of ``comet-score``, one a system.

    Raises:
        UserError: A segment lacks a part.
    """
    logs = []
    for system, parts in content.items():
        segments = [
            shaped(part, _Segment, f"segment {i} of {system}", path) for i, part in enumerate(parts, 1)
        ]
        logs.append(_log(path, system, segments))
    return logs


def read_comparison(path: Path, content: dict[str, Any]) -> list[Log]:
    """The logs of a file of ``comet-compare``, one a system.

    Raises:
        UserError: A system lacks a part, or has another number of segments.
    """
    whole = shaped(content, _Comparison, "the comparison", path)
    golds: Sequence[str | None] = whole.reference or [None] * len(whole.source)
    logs = []
    for system in whole.translations:
        try:
            rows = zip(whole.source, system.mt, golds, system.scores, strict=True)
            segments = [_Segment(src=src, mt=mt, ref=ref, COMET=score) for src, mt, ref, score in rows]
        except ValueError as error:
            raise UserError(
                f"{path}: {system.name} has another number of segments than the source"
            ) from error
        logs.append(_log(path, system.name, segments))
    return logs


def _log(path: Path, system: str, segments: list[_Segment]) -> Log:
    golds = [segment.ref for segment in segments]
    return Log(
        harness="COMET",
        path=path,
        system=system,
        ids=tuple(f"segment {i}" for i in range(1, len(segments) + 1)),
        documents=tuple(digest(segment.src, segment.ref) for segment in segments),
        numbers={"COMET": [number(segment.COMET) for segment in segments]},
        higher_is_better={"COMET": True},
        sources=tuple(segment.src for segment in segments),
        references=None if None in golds else tuple((str(gold),) for gold in golds),
        outputs=tuple(segment.mt for segment in segments),
    )
