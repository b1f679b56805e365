"""Publishing: the numbers of finished cells in a folder that can be shared, without a text of any data set.

What is written has the layout of :mod:`harness.storage.store` and its manifests; a report of it is the report
of the run. Left behind are texts (sources, references, outputs, warmups, options), weights, tokenizers, data
and checkpoints, and what names the machine: absolute paths lose their folders.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from harness.errors import TrainingError, UserError
from harness.spec import read_spec
from harness.storage.failures import Failure, clear_failure, read_failures, write_failure
from harness.storage.migrations import is_scored_at_all
from harness.storage.publish_parts import Part, equal_parts, parts_of, portable, stored_part
from harness.storage.results import read_result
from harness.storage.results_folder import MARKER, is_published, spec_order, spec_paths
from harness.storage.store import CorruptError, clear_unfinished, is_done, make_folder, write_file, writing

SCHEMA_VERSION = 1
"""Of ``published.json``."""
MACHINE = ("out", "data_dir", "address")
"""Keys of a spec that name a place on somebody's machine."""

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass
class _Found:
    """What the runs hold.

    Attributes:
        cells: Names of the finished cells.
        parts: Of them, by name.
        left_out: Why a cell is not published, by its folder.
        failures: Of cells that are not finished, by name.
    """

    cells: dict[str, None] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What was done.

    Attributes:
        cells: How many finished cells the runs hold.
        added: How many of them were written, in part or whole; the others were there already.
        left_out: Why a cell was not published, by its folder.
    """

    cells: int
    added: int
    left_out: dict[str, str]


def publish(runs: Sequence[Path], dest: Path, progress: Progress = lambda done, total: None) -> Outcome:
    """Publish the finished cells of results folders; what is there already stays, other files too.

    Everything is compared before anything is written. The statistics settings of a report are those of the
    newest spec of the last run.

    Raises:
        UserError: Nothing is finished, ``dest`` is a run's own folder, holds something else under the name of
            what would be published, or can't be written.
        CorruptError: What ``dest`` holds is damaged.
    """
    _check_places(runs, dest)
    found = _Found()
    for run in runs:
        _collect(run, found)
    if not found.cells:
        told = "; ".join(f"{folder}: {why}" for folder, why in list(found.left_out.items())[:3])
        raise UserError(f"{runs[0]} holds no finished cell to publish{': ' * bool(told)}{told}")
    specs = portable_specs(runs)
    todo = _missing(found.parts.values(), specs, dest)
    _write_marker(runs, dest)
    for name, text in specs.items():
        if not (dest / name).is_file():
            write_file(dest / name, text)
    for number, part in enumerate(todo):
        progress(number, len(todo))
        clear_unfinished((dest / part.name).parent, Path(part.name).name)
        with writing(dest / part.name) as folder:
            part.write(folder)
    for name in found.cells:
        clear_failure(dest / "cells" / name)
    known = read_failures(dest)
    for name, failure in found.failures.items():
        if not is_done(dest / "cells" / name / "decode") and known.get(name) != failure:
            write_failure(make_folder(dest / "cells" / name), failure)
    added = {Path(part.name).parts[1] for part in todo if part.name.startswith("cells/")}
    return Outcome(len(found.cells), len(added), found.left_out)


def portable_specs(runs: Iterable[Path]) -> dict[str, str]:
    """The specs of runs as YAML without what names a machine, by their place in the published folder.

    Raises:
        UserError: One can't be read.
    """
    found = {}
    for run in runs:
        for path in spec_paths(run):
            content = {key: value for key, value in read_spec(path).items() if key not in MACHINE}
            if isinstance(backbones := content.get("backbones"), Mapping):
                content["backbones"] = {_backbone(name): own for name, own in backbones.items()}
            text = yaml.safe_dump(portable(content), sort_keys=False, allow_unicode=True)
            found[f"specs/{path.name}"] = str(text)
    return found


def _backbone(reference: str) -> str:
    """A checkpoint's folder by the name that its cells have."""
    return Path(reference).name if (Path(reference) / "config.json").is_file() else reference


def _check_places(runs: Sequence[Path], dest: Path) -> None:
    for run in runs:
        if not (run / "cells").is_dir():
            raise UserError(
                f"{run} is no results folder (it has no 'cells')",
                hint="Give the folder that 'warmup-bench run' printed, then the one to publish in.",
            )
        if run.resolve() == dest.resolve():
            raise UserError(f"{dest} can't be published into itself", hint="Name another folder last.")
    if dest.exists() and not dest.is_dir():
        raise UserError(f"{dest} is a file", hint="Name a folder last.")
    if (dest / "cells").exists() and not is_published(dest):
        raise UserError(
            f"{dest} is the results folder of a run", hint="Name a new folder, or one that was published."
        )


def _collect(run: Path, found: _Found) -> None:
    """Add what a run holds.

    Raises:
        UserError: Another run holds something else under one of the names.
    """
    failed = read_failures(run)
    for folder in sorted(path for path in (run / "cells").glob("[!.]*") if path.is_dir()):
        if not (is_done(folder / "decode") and is_scored_at_all(folder)):
            failure = failed.get(folder.name)
            if failure is not None:
                found.failures[folder.name] = _told(failure)
            reason = "not finished" if failure is None else f"failed: {failure.message.strip()}"
            found.left_out[str(folder)] = reason
            continue
        try:
            parts = list(parts_of(read_result(folder)))
        except CorruptError as error:
            found.left_out[str(folder)] = str(error)
            continue
        found.cells[folder.name] = None
        for part in parts:
            known = found.parts.setdefault(part.name, part)
            if not (known is part or part.once or equal_parts(known, part)):
                raise _conflict(part.name, f"in {run} and in another run")


def _told(failure: Failure) -> Failure:
    """A failure without what may quote a text or a path: only our own words on a training that diverged."""
    ours = failure.error == TrainingError.__name__
    message = failure.message if ours else f"{failure.error}; the run's own folder says more"
    return Failure(failure.stage, failure.error, message, when=failure.when)


def _missing(parts: Iterable[Part], specs: Mapping[str, str], dest: Path) -> list[Part]:
    """The parts that ``dest`` does not hold.

    Raises:
        UserError: It holds another one under the same name.
        CorruptError: It holds a damaged one.
    """
    for name, text in specs.items():
        if (dest / name).is_file() and (dest / name).read_text(encoding="utf-8") != text:
            raise _conflict(name, f"than {dest / name}")
    missing = []
    for part in parts:
        if not is_done(dest / part.name):
            missing.append(part)
        elif not part.once and not equal_parts(part, stored_part(dest, part.name)):
            raise _conflict(part.name, f"than {dest / part.name}")
    return missing


def _conflict(name: str, where: str) -> UserError:
    return UserError(
        f"{name} is another one {where}",
        hint="It was run or scored again. Publish into a new folder, or move the older one away.",
    )


def _write_marker(runs: Sequence[Path], dest: Path) -> None:
    """Mark the folder before anything else is in it; specs stay in the order of their runs."""
    newest = [path.stem for run in runs for path in spec_paths(run)]
    older = [name for name in spec_order(dest) if name not in newest]
    order = [*older, *reversed(dict.fromkeys(reversed(newest)))]
    text = json.dumps({"schema_version": SCHEMA_VERSION, "specs": order}, indent=2) + "\n"
    if not is_published(dest) or (dest / MARKER).read_text(encoding="utf-8") != text:
        write_file(dest / MARKER, text)
