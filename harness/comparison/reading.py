"""The systems that a command line names: stored cells, texts or logs, each with its own reader."""

from collections.abc import Sequence
from pathlib import Path

from warmup_bench.comparison.stored_systems import read_stored_system
from warmup_bench.comparison.systems import System
from warmup_bench.comparison.text_systems import read_text_systems
from warmup_bench.contracts.errors import UserError


def read_systems(
    names: Sequence[str],
    *,
    metrics: Sequence[str] = (),
    where: Sequence[str] = (),
    references: Sequence[str] = (),
    source: str | None = None,
    groups: str | None = None,
    labels: Sequence[str] = (),
    language: str | None = None,
) -> list[System]:
    """Systems by name: stored cells or, where there are references, texts.

    Args:
        names: As :func:`read_stored_system` and :func:`read_text_systems` take them; ``NAME=`` before one is
            what tables call it.
        metrics: By key; (): all that are stored, and BLEU and chrF++ of texts.
        where: ``KEY=VALUE`` of the stored cells that are meant.
        references, source, groups: Text files or columns of tables.
        labels, language: Of texts: the labels of a classification, the target language (None: English).

    Raises:
        UserError: Something that can't be read, or that stored cells or texts don't have.
    """
    systems = [_named(name) for name in names]
    chosen = [name for name, _ in systems if name]
    if twice := next((name for name in chosen if chosen.count(name) > 1), ""):
        raise UserError(f"two systems have the name '{twice}'", hint="Give each a name of its own.")
    if references:
        if where:
            raise UserError("--where chooses among stored cells", hint="Text files are named one by one.")
        return read_text_systems(
            systems,
            references,
            source=source,
            groups=groups,
            metrics=metrics,
            labels=labels,
            language=language or "en",
        )
    for option, value in (("src", source), ("groups", groups), ("labels", labels), ("language", language)):
        if value:
            raise UserError(
                f"--{option} is for text files; stored cells know their own", hint="Text files need --ref."
            )
    return [read_stored_system(place, metrics or None, where, name) for name, place in systems]


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
