"""Stored folders on their way to a node that does not share the results folder, and back.

A parcel is the files of one folder as plain bytes by their relative path, its manifest among them: nothing
is unpickled, no link is followed, and what arrives is checked against the manifest before it is used.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.names import PATTERN
from warmup_bench.execution.executors.board import Outcome
from warmup_bench.plan.jobs import Step
from warmup_bench.store.folders import DONE, check, is_done, make_folder, writing

Parcel = dict[str, bytes]
LEDGER = "ledger.json"
TRACKING = "tracking"


def pack(folder: Path) -> Parcel:
    """The files of a folder; links are left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def unpack(parcel: Mapping[str, bytes], folder: Path) -> None:
    """Write the files of a parcel into a folder.

    Raises:
        UserError: One would stand outside of it; then nothing is written.
    """
    for name in parcel:
        _inside(name)
    for name, content in parcel.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _inside(name: str) -> str:
    """A relative path that stays below where it starts.

    Raises:
        UserError: It does not.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise UserError(
            f"a packed file {name[:80]!r} leads out of its folder", origin="a node of the cluster"
        )
    return name


def inputs(step: Step) -> list[Path]:
    """The stored folders that a step reads, and its checkpoints."""
    job = step.job
    if step.kind == "warm start":
        return [job.data, *_checkpoints(step)]
    if step.kind == "training":
        matched = [] if job.matched_training is None else [job.matched_training]
        return [job.data, job.warm_start_folder, *matched, *_checkpoints(step)]
    if is_done(job.folder / "decode"):
        scores = sorted((job.folder / "scores").glob("*"))
        return [job.folder / "decode", *(folder for folder in scores if is_done(folder))]
    frozen = [job.warm_start_folder] if job.decodes_with_warm_start else []
    return [job.data, job.training_folder, *frozen]


def pack_input(folder: Path, *, ledger_alone: bool) -> Parcel:
    """A stored folder, checked; or as much of a training as tells what it has spent.

    Raises:
        CorruptError: It is damaged.
    """
    check(folder)
    if not ledger_alone:
        return pack(folder)
    with tempfile.TemporaryDirectory() as scratch:
        with writing(Path(scratch) / folder.name) as less:
            shutil.copyfile(folder / LEDGER, less / LEDGER)
        return pack(Path(scratch) / folder.name)


def run_away(
    step: Step, parcels: Mapping[str, Parcel], run: Callable[[Step], Outcome]
) -> tuple[Outcome, dict[str, Parcel]]:
    """Run a step in a scratch folder of its own, which is gone afterwards.

    Args:
        step: The step; its results folder is not on this machine.
        parcels: What it reads, by the folder's path in the results folder.
        run: Runs it.

    Returns:
        What came of it, and every whole folder that it has made: its result, or checkpoints to go on from.
    """
    with tempfile.TemporaryDirectory(prefix="warmup-bench-") as name:
        scratch = Path(name)
        for path, parcel in parcels.items():
            unpack(parcel, scratch / _inside(path))
            check(scratch / path)
        data = scratch / step.job.data.relative_to(step.job.out)
        there = replace(step, job=replace(step.job, out=scratch, data=data))
        outcome = run(there)
        made = {}
        for folder in _made(there):
            told = folder.relative_to(scratch).as_posix()
            parcel = pack(folder)
            if parcel.get(DONE) != parcels.get(told, {}).get(DONE) or told == TRACKING:
                made[told] = parcel
        return outcome, made


def keep(step: Step, made: Mapping[str, Parcel]) -> None:
    """Put what a node has made into the results folder, each folder whole or not at all.

    A result that is there already stays as it is; scores replace older ones, as when they are made here.

    Raises:
        UserError: It can't be written, or is nothing that this step makes.
        CorruptError: It is not what its manifest says.
    """
    from warmup_bench.train.checkpoint import clear

    job = step.job
    for name in made:
        if not _may_make(step, name):
            raise UserError(f"a node has sent {name[:120]!r}, which no {step.kind} makes", origin=step.key)
    for name, parcel in made.items():
        folder = job.out / name
        if name == TRACKING:
            unpack(parcel, make_folder(folder))
            continue
        scores = folder.parent.name == "scores"
        if is_done(folder) and not scores:
            continue
        with writing(folder, replace=scores) as temporary:
            unpack(parcel, temporary)
            check(temporary)
            (temporary / DONE).unlink()  # written anew, with what is really there
    if step.kind != "cell" and is_done(target(step)):
        clear(job.checkpoints(target(step).name))


def target(step: Step) -> Path:
    """The folder that a warm start or a training makes; a cell's, which holds several."""
    job = step.job
    return {"warm start": job.warm_start_folder, "training": job.training_folder, "cell": job.folder}[
        step.kind
    ]


def _checkpoints(step: Step) -> list[Path]:
    found = step.job.checkpoints(target(step).name).glob("step-*")
    return sorted(folder for folder in found if is_done(folder))


def _made(step: Step) -> list[Path]:
    if step.kind == "cell":
        cell = step.job.folder
        found = [cell / "decode", *sorted((cell / "scores").glob("*"))]
    else:
        found = [target(step), *_checkpoints(step)]
    tracking = step.job.out / TRACKING
    return [*filter(is_done, found), *([tracking] if tracking.is_dir() else [])]


def _may_make(step: Step, name: str) -> bool:
    here = target(step).relative_to(step.job.out).as_posix()
    if step.kind == "cell":
        start, _, key = name.rpartition("/")
        return name == f"{here}/decode" or (start == f"{here}/scores" and bool(re.fullmatch(PATTERN, key)))
    own = re.escape(f"checkpoints/{target(step).name}/")
    return name in (here, TRACKING) or re.fullmatch(rf"{own}step-\d{{8}}", name) is not None
