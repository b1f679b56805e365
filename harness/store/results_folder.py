"""What a results folder holds beside its cells: the specs that ran there, and whether it was published."""

from pathlib import Path

from warmup_bench.contracts.errors import UserError
from warmup_bench.spec.spec import RunSpec, make_spec, read_spec
from warmup_bench.store.study import is_published, read_index


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
    """The names of a published folder's specs, the oldest first (copies and checkouts keep no times); of
    another folder none.

    Raises:
        CorruptError: As :func:`warmup_bench.store.study.read_index`.
    """
    return read_index(out).specs if is_published(out) else []


def spec_paths(out: Path) -> list[Path]:
    """The resolved specs of a results folder, the oldest first.

    Raises:
        CorruptError: As :func:`spec_order`.
    """
    place = {name: number for number, name in enumerate(spec_order(out))}
    paths = (out / "specs").glob("*.yaml")
    return sorted(paths, key=lambda path: (place.get(path.stem, len(place)), path.stat().st_mtime, path.name))


def newest_spec(folder: Path) -> RunSpec | None:
    """The newest spec that ran in a folder, None where there is none."""
    specs = spec_paths(folder)
    return make_spec(read_spec(specs[-1]), str(specs[-1])) if specs else None
