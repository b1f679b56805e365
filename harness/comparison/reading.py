"""The systems that a command line names: stored cells, texts or logs, each with its own reader."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from warmup_bench.comparison.log_systems import read_log_systems
from warmup_bench.comparison.stored_systems import read_stored_system
from warmup_bench.comparison.systems import System
from warmup_bench.comparison.text_systems import read_text_systems
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Score


def read_tasks(
    names: Sequence[str],
    *,
    metrics: Sequence[str] = (),
    where: Sequence[str] = (),
    references: Sequence[str] = (),
    source: str | None = None,
    groups: str | None = None,
    labels: Sequence[str] = (),
    language: str | None = None,
    lower_is_better: Sequence[str] = (),
    settings: Score | None = None,
) -> dict[str, list[System]]:
    """Systems by task: stored cells, logs of other harnesses or, where there are references, texts.

    Args:
        names: As :func:`read_stored_system`, :func:`read_log_systems` and :func:`read_text_systems` take
            them; ``NAME=`` before one is what tables call it.
        metrics: By key; (): all that are stored or logged, and BLEU and chrF++ of texts.
        where: ``KEY=VALUE`` of the stored cells, ``task=NAME`` of the logs that are meant.
        references, source, groups: Text files or columns of tables.
        labels, language: Of texts: the labels of a classification, the target language (None: English).
        lower_is_better: Metrics of logs.
        settings: Which learned metrics of texts read.

    Returns:
        One entry, "", but for logs, which may be of several tasks.

    Raises:
        UserError: Something that can't be read, or that these systems don't have.
    """
    systems = [_named(name) for name in names]
    chosen = [name for name, _ in systems if name]
    if twice := next((name for name in chosen if chosen.count(name) > 1), ""):
        raise UserError(f"two systems have the name '{twice}'", hint="Give each a name of its own.")
    if references:
        if where:
            raise UserError("--where chooses among stored cells", hint="Text files are named one by one.")
        found = read_text_systems(
            systems,
            references,
            source=source,
            groups=groups,
            metrics=metrics,
            labels=labels,
            language=language or "en",
            settings=settings,
        )
        return {"": found}
    for option, value in (("src", source), ("groups", groups), ("labels", labels), ("language", language)):
        if value:
            raise UserError(
                f"--{option} is for text files; stored cells know their own", hint="Text files need --ref."
            )
    logs = read_log_systems(systems, metrics, where, lower_is_better)
    if logs is not None:
        return logs
    if lower_is_better:
        raise UserError("--lower-is-better is for logs", hint="Our own metrics know their direction.")
    return {"": [read_stored_system(place, metrics or None, where, name) for name, place in systems]}


def read_systems(names: Sequence[str], **options: Any) -> list[System]:
    """The same where one task is meant.

    Raises:
        UserError: As :func:`read_tasks`, or logs of several tasks.
    """
    tasks = read_tasks(names, **options)
    if len(tasks) > 1:
        raise UserError(
            f"the logs are of {len(tasks)} tasks", hint=f"Choose with --where task=NAME ({', '.join(tasks)})."
        )
    return next(iter(tasks.values()))


def _named(argument: str) -> tuple[str, str]:
    """Name and place of ``NAME=PLACE``; no name where an equals sign belongs to a path."""
    name, equals, place = argument.partition("=")
    if (
        not equals
        or not name.strip()
        or not place
        or any(c in name for c in "/\\:,")
        or Path(argument).exists()
    ):
        return "", argument
    return name.strip(), place
