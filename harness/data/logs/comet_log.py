"""COMET: ``--to_json`` of ``comet-score`` and of ``comet-compare``, segments of one system or several."""

from pathlib import Path
from typing import Any

from warmup_bench.data.logs.log import Log, digest, number, require


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


def read_score(path: Path, content: dict[str, Any]) -> list[Log]:
    """The logs of a file of ``comet-score``, one a system.

    Raises:
        UserError: A segment lacks a part.
    """
    logs = []
    for system, segments in content.items():
        for i, segment in enumerate(segments, 1):
            require(segment, ["src", "mt", "COMET"], f"segment {i} of {system}", path)
        references = [s.get("ref") for s in segments]
        logs.append(
            _log(
                path,
                system,
                [s["src"] for s in segments],
                None if None in references else references,
                [s["mt"] for s in segments],
                [s["COMET"] for s in segments],
            )
        )
    return logs


def read_comparison(path: Path, content: dict[str, Any]) -> list[Log]:
    """The logs of a file of ``comet-compare``, one a system.

    Raises:
        UserError: A system lacks a part.
    """
    logs = []
    for i, system in enumerate(content["translations"], 1):
        require(system, ["name", "mt", "scores"], f"system {i}", path)
        texts = content["source"], content.get("reference"), system["mt"]
        logs.append(_log(path, str(system["name"]), *texts, system["scores"]))
    return logs


def _log(
    path: Path,
    system: str,
    sources: list[str],
    references: list[str] | None,
    outputs: list[str],
    scores: list[Any],
) -> Log:
    golds = references or [""] * len(sources)
    return Log(
        harness="COMET",
        path=path,
        system=system,
        ids=tuple(f"segment {i}" for i in range(1, len(scores) + 1)),
        documents=tuple(digest(*pair) for pair in zip(sources, golds, strict=True)),
        numbers={"COMET": [number(score) for score in scores]},
        higher_is_better={"COMET": True},
        sources=tuple(sources),
        references=None if references is None else tuple((gold,) for gold in references),
        outputs=tuple(outputs),
    )
