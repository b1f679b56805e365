"""The specs that ran in a results folder, and what they compare."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Settings
from warmup_bench.data.registry import is_declared
from warmup_bench.spec.cell import NO_NUMBER, content_hash, matched_note
from warmup_bench.spec.spec import RunSpec, make_settings, make_spec, read_spec
from warmup_bench.store.folders import CorruptError
from warmup_bench.store.study import is_published, read_index

HASHED = re.compile("[0-9a-f]{8}")
"""The name of a spec that a run has stored."""


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
    paths = list((out / "specs").glob("*.yaml"))
    if gone := place.keys() - {path.stem for path in paths}:
        raise CorruptError(
            f"published spec {out / 'specs' / min(gone)}.yaml is gone", hint="Restore it, or publish again."
        )
    return sorted(paths, key=lambda path: (place.get(path.stem, len(place)), path.stat().st_mtime, path.name))


def newest_spec(folder: Path) -> RunSpec | None:
    """The newest spec that ran in a folder, None where there is none."""
    specs = spec_paths(folder)
    return _spec_at(specs[-1]) if specs else None


def _spec_at(path: Path) -> RunSpec:
    """A stored spec. A report asks for each several times, and YAML takes long to read.

    Raises:
        UserError: As :func:`warmup_bench.spec.spec.make_spec`.
    """
    state = path.stat()
    return _spec_of(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _spec_of(path: Path, size: int, changed: int) -> RunSpec:
    require_as_stored(path)
    return make_spec(read_spec(path), str(path))


def require_as_stored(path: Path) -> None:
    """See that a spec which ran here is what it was: its name is the hash of its text. One that was copied
    in by hand has another kind of name, and a published one tells its digest elsewhere.

    Raises:
        CorruptError: It was changed.
    """
    if is_published(path.parent.parent):
        known = read_index(path.parent.parent).digests.get(path.stem)
        changed = known is not None and known != spec_digest(path)
    else:
        changed = bool(HASHED.fullmatch(path.stem)) and spec_digest(path) != path.stem
    if changed:
        raise CorruptError(
            f"stored spec {path} has other contents than were stored; its settings are not used",
            hint="Restore it; or move it away, and what the other specs say is used.",
        )


def spec_digest(path: Path) -> str:
    """The hash of a stored spec's text, by which a run names it.

    Raises:
        CorruptError: It can't be read.
    """
    try:
        return content_hash({"spec": path.read_text(encoding="utf-8")})
    except (OSError, ValueError) as error:
        raise CorruptError(f"stored spec {path} can't be read ({error})", hint="Restore it.") from error


@dataclass(frozen=True, slots=True)
class ComparedRows:
    """Rows that one spec compares although their training settings differ.

    Attributes:
        backbone: Its name; "" where only the code of its file tells it.
        rows: (label, training settings) of each; the label "" where only the code of a file tells it.
    """

    backbone: str
    rows: tuple[tuple[str, str], ...]

    def within(self, other: "ComparedRows") -> bool:
        """Whether another spec compares the same rows and more."""
        return self.backbone == other.backbone and set(self.rows) < set(other.rows)

    def holds(self, backbone: str, label: str, settings: str) -> bool:
        """Whether a cell is one of these rows.

        Args:
            backbone: Its name.
            label: Its method, and what it is matched with.
            settings: As :func:`training_settings` gives them.
        """
        named = dict(self.rows)
        allowed = [named[label]] if label in named else [settings for name, settings in self.rows if not name]
        return self.backbone in ("", backbone) and settings in allowed


def training_settings(settings: Settings) -> str:
    """What rows of one group share: all settings but how warmups are made and how is decoded."""
    return settings.model_dump_json(exclude={"decode": True, "warmup": True, "train": set(NO_NUMBER)})


def read_specs(out: Path) -> Iterable[tuple[Path, RunSpec]]:
    """The specs that ran in a folder, the oldest first; without those of another version of this program.

    Raises:
        CorruptError: One was changed since, or is gone.
    """
    for path in spec_paths(out):
        try:
            spec = _spec_at(path)
        except CorruptError:
            raise
        except UserError:
            continue
        yield path, spec


def read_comparisons(out: Path) -> tuple[ComparedRows, ...]:
    """What the specs of a results folder compare with settings that differ between methods."""
    comparisons: dict[ComparedRows, None] = {}
    for path, spec in read_specs(out):
        for reference, section in spec.backbones.items():
            rows = tuple(
                (
                    "" if is_file(method) else label,
                    training_settings(make_settings(str(path), section, spec.methods.get(method, {}))),
                )
                for method, label in labels(spec)
            )
            if len({settings for _, settings in rows}) > 1:
                name = "" if reference.endswith(".py") else backbone_name(reference)
                comparisons[ComparedRows(name, rows)] = None
    return tuple(one for one in comparisons if not any(one.within(other) for other in comparisons))


def labels(spec: RunSpec) -> list[tuple[str, str]]:
    """(method, label) of every row that a spec asks for: the baseline, its matched rows, the others."""
    base = spec.stats.baseline
    baseline = [(base, base)] if base in spec.methods else []
    matched = [(base, base + matched_note(method, by)) for method in spec.match for by in spec.match_by]
    return [*baseline, *matched, *((name, name) for name in spec.methods if name != base)]


def backbone_name(reference: str) -> str:
    """The name that :func:`warmup_bench.models.load.resolve_preset` gives without running code."""
    folder = Path(reference)
    return folder.name if (folder / "config.json").is_file() else reference.replace("/", "--")


def is_file(reference: str) -> bool:
    """Whether a method or task is named by its file or data, so that its name stands there alone."""
    return ".py" in reference or is_declared(reference)
