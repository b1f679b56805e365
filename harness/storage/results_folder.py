"""What a results folder holds beside its cells: the specs that ran there, and whether it was published.

A published folder (see :mod:`harness.storage.publish`) has the layout of :mod:`harness.storage.store` with
numbers alone, and a file ``published.json``: copies and checkouts keep no times, so it tells the order of the
specs.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from harness.errors import UserError
from harness.names import file_name
from harness.storage.store import read_json
from harness.storage.stored import misshapen, shaped

MARKER = "published.json"


class Marker(BaseModel):
    """``published.json``: the names of the specs without their ending, the oldest first."""

    model_config = ConfigDict(strict=True, frozen=True)
    schema_version: int
    specs: list[str]


def is_published(out: Path) -> bool:
    """Whether a results folder holds the numbers of a run elsewhere, not a run of its own."""
    return (out / MARKER).is_file()


def refuse_published(out: Path, what: str) -> None:
    """Stop what needs a run's own folder.

    Raises:
        UserError: ``out`` holds published numbers; ``what`` can't be done there.
    """
    if is_published(out):
        raise UserError(
            f"{out} holds published numbers, without texts and models: {what}",
            hint="Use the run's own folder, then 'warmup-bench publish' it again. Without that folder: "
            f"'warmup-bench run --spec {out}/specs/NAME.yaml --out FOLDER' makes one.",
        )


def spec_order(out: Path) -> list[str]:
    """The names of a published folder's specs, the oldest first; of another folder none.

    Raises:
        CorruptError: Its marker can't be read.
    """
    path = out / MARKER
    if not path.is_file():
        return []
    specs = shaped(read_json(path), Marker, path).specs
    try:
        return [file_name(name, "spec") for name in specs]
    except UserError as error:
        raise misshapen(path, error.problem) from error


def spec_paths(out: Path) -> list[Path]:
    """The resolved specs of a results folder, the oldest first.

    Raises:
        CorruptError: As :func:`spec_order`.
    """
    place = {name: number for number, name in enumerate(spec_order(out))}
    paths = (out / "specs").glob("*.yaml")
    return sorted(paths, key=lambda path: (place.get(path.stem, len(place)), path.stat().st_mtime, path.name))
