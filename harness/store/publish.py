"""Publishing: the numbers of finished cells in a folder that can be shared, without a text of any data set.

What is written is a :mod:`warmup_bench.store.study`; a report of it is the report of the run. Left behind are
texts (sources, references, outputs, warmups, options), weights, tokenizers, data and checkpoints, and what
names the machine: absolute paths lose their folders.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from warmup_bench.contracts.errors import TrainingError, UserError
from warmup_bench.spec.spec import read_spec
from warmup_bench.store.failures import Failure, read_failures
from warmup_bench.store.folders import CorruptError, check, is_done, read_json, restore_replaced, write_file
from warmup_bench.store.portable import numbers_of, portable
from warmup_bench.store.results import Result, read_result
from warmup_bench.store.specs import require_as_stored, spec_digest, spec_order, spec_paths
from warmup_bench.store.stored import is_scored_at_all
from warmup_bench.store.study import NUMBERS, Study, is_published, read_study, write_study
from warmup_bench.store.training_log import read_log

MACHINE = ("out", "data_dir", "address")
"""Keys of a spec that name a place on somebody's machine."""


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


def publish(runs: Sequence[Path], dest: Path) -> Outcome:
    """Publish the finished cells of results folders; what is there already stays, other files too.

    Everything is compared before anything is written. The statistics settings of a report are those of the
    newest spec of the last run.

    Raises:
        UserError: Nothing is finished, ``dest`` is a run's own folder, holds something else under the name of
            what would be published, or can't be written.
        CorruptError: What ``dest`` holds is damaged.
    """
    _check_places(runs, dest)
    new = Study()
    left_out: dict[str, str] = {}
    for run in runs:
        left_out |= _collect(run, new)
    if not new.cells:
        reasons = "; ".join(f"{folder}: {why}" for folder, why in list(left_out.items())[:3])
        raise UserError(f"{runs[0]} holds no finished cell to publish{': ' * bool(reasons)}{reasons}")
    specs = portable_specs(runs)
    for name, text in specs.items():
        if (dest / name).is_file() and (dest / name).read_text(encoding="utf-8") != text:
            raise _conflict(name, f"than {dest / name}")
    restore_replaced(dest / NUMBERS)
    study = read_study(dest) if is_published(dest) else Study()
    added = _add(new, study, f"than in {dest}")
    failures = {**study.failures, **new.failures}
    failures = {name: why for name, why in failures.items() if name not in study.cells}
    for name, text in specs.items():
        if not (dest / name).is_file():
            write_file(dest / name, text)
    order = _spec_order(runs, dest)
    if added or failures != study.failures or order != spec_order(dest):
        study.failures = failures
        in_order = {name: dict(sorted(content.items())) for name, content in vars(study).items()}
        digests = {name: spec_digest(dest / "specs" / f"{name}.yaml") for name in order}
        write_study(dest, Study(**in_order), order, digests)  # it does not depend on the order of the runs
    return Outcome(len(new.cells), len(added), left_out)


def portable_specs(runs: Iterable[Path]) -> dict[str, str]:
    """The specs of runs as YAML without what names a machine, by their place in the published folder.

    Raises:
        UserError: One can't be read.
    """
    specs = {}
    for path in (path for run in runs for path in spec_paths(run)):
        require_as_stored(path)
        content = {key: value for key, value in read_spec(path).items() if key not in MACHINE}
        if isinstance(backbones := content.get("backbones"), Mapping):
            content["backbones"] = {_backbone(name): settings for name, settings in backbones.items()}
        text = yaml.safe_dump(portable(content), sort_keys=False, allow_unicode=True)
        specs[f"specs/{path.name}"] = str(text)
    return specs


def _backbone(reference: str) -> str:
    """A checkpoint's folder by the name that its cells have."""
    return Path(reference).name if (Path(reference) / "config.json").is_file() else reference


def _check_places(runs: Sequence[Path], dest: Path) -> None:
    for run in runs:
        if not (is_published(run) or (run / "cells").is_dir()):
            raise UserError(
                f"{run} is not a results folder (it has no 'cells')",
                hint="Give the folder that 'warmup-bench run' printed, then the one to publish in.",
            )
        if run.resolve() == dest.resolve():
            raise UserError(f"{dest} can't be published into itself", hint="Name another folder last.")
    if dest.exists() and not dest.is_dir():
        raise UserError(f"{dest} is a file", hint="Name a folder last.")
    if (dest / "cells").exists():
        raise UserError(
            f"{dest} is the results folder of a run", hint="Name a new folder, or one that was published."
        )


def _collect(run: Path, study: Study) -> dict[str, str]:
    """Add the finished cells that a run holds; returns why each other one is left out, by its folder.

    Raises:
        UserError: Another run holds something else under one of the names.
    """
    where = f"in {run} and in another run"
    if is_published(run):
        published = read_study(run)
        study.failures |= published.failures
        _add(published, study, where)
        return {}
    failures, left_out = read_failures(run), {}
    for folder in sorted(path for path in (run / "cells").glob("[!.]*") if path.is_dir()):
        if is_done(folder / "decode") and is_scored_at_all(folder):
            try:
                _add(_numbers_of_cell(read_result(folder)), study, where)
            except CorruptError as error:
                left_out[str(folder)] = str(error)
        elif folder.name in failures:
            failure = failures[folder.name]
            study.failures[folder.name] = _without_texts(failure)
            left_out[str(folder)] = f"failed: {failure.message.strip()}"
        else:
            left_out[str(folder)] = "not finished"
    return left_out


def _numbers_of_cell(result: Result) -> Study:
    """One finished cell as a study.

    Raises:
        CorruptError: A file is damaged.
    """
    name, run, cell = result.place.name, result.place.parent.parent, result.cell
    decode = result.place / "decode"
    study = Study()
    study.cells[name] = {
        **cell.model_dump(mode="json"),
        "ledger": read_json(decode / "ledger.json"),
        "facts": read_json(decode / "task.json"),
    }
    study.examples[name] = {**result.examples(), **result.numbers()}
    for score in result.scores:
        ids, values = result.statistics(score["key"])
        if ids != study.examples[name]["id"]:
            raise CorruptError(f"the statistics of {result.place} are not those of its predictions")
        study.scores[name, score["key"]] = {**score, "metric": portable(score["metric"])}
        study.statistics[name, score["key"]] = values
    for folder in (run / "trainings" / cell.training_id, run / "warm-starts" / cell.warm_start_id):
        if is_done(folder):
            study.trainings[folder.name] = _training(check(folder), folder.parent.name)
    return study


def _training(folder: Path, kind: str) -> dict[str, Any]:
    """Of a training or a warm start: its ledger, log and provenance."""
    record = {"kind": kind.removesuffix("s"), "ledger": read_json(folder / "ledger.json")}
    if (folder / "provenance.json").is_file():
        record["provenance"] = portable(read_json(folder / "provenance.json"))
    if lines := read_log(folder):
        record["log"] = numbers_of(lines)
    return record


def _add(new: Study, study: Study, where: str) -> set[str]:
    """Add the numbers of another study; returns the cells of which something was not there.

    Raises:
        UserError: The study holds something else under one of the names.
    """
    added = set()
    for name, record in new.cells.items():
        if name not in study.cells:
            study.cells[name], study.examples[name] = record, new.examples[name]
            added.add(name)
        elif not (_equal(record, study.cells[name]) and _equal(new.examples[name], study.examples[name])):
            raise _conflict(f"cells/{name}", where)
    for key, score in new.scores.items():
        name, metric = key
        if key not in study.scores:
            study.scores[key], study.statistics[key] = score, new.statistics[key]
            added.add(name)
        elif not (
            _equal(score, study.scores[key]) and np.array_equal(new.statistics[key], study.statistics[key])
        ):
            raise _conflict(f"score {metric} of cells/{name}", where)
    for name, record in new.trainings.items():
        # Another run may have made a warm start again: the same weights in other seconds.
        known = study.trainings.setdefault(name, record)
        if record["kind"] == "training" and not _equal(record, known):
            raise _conflict(f"trainings/{name}", where)
    return added


def _equal(a: Any, b: Any) -> bool:
    """Whether plain data is the same, where a NaN is the same as itself."""
    return a == b or json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _without_texts(failure: Failure) -> dict[str, Any]:
    """A failure without what may quote a text or a path: only our own words on a training that diverged."""
    ours = failure.error == TrainingError.__name__
    message = failure.message if ours else f"{failure.error}; the run's own folder says more"
    return asdict(Failure(failure.stage, failure.error, message, when=failure.when))


def _conflict(name: str, where: str) -> UserError:
    return UserError(
        f"{name} is another one {where}",
        hint="It was run or scored again. Publish into a new folder, or move the older one away.",
    )


def _spec_order(runs: Sequence[Path], dest: Path) -> list[str]:
    """The names of the specs in the order of their runs, after those that are there already."""
    newest = [path.stem for run in runs for path in spec_paths(run)]
    older = [name for name in spec_order(dest) if name not in newest]
    return [*older, *reversed(dict.fromkeys(reversed(newest)))]
