"""From a plan to stored cells: what is to be done, doing it, and what came of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from harness.examples import write_examples
from harness.executors import Listener
from harness.executors.local import run_jobs
from harness.plan import Plan
from harness.spec import Cell, content_hash
from harness.stages import Job, cell_done
from harness.store import check, is_done, require_writable, write_file, writing


@dataclass(frozen=True)
class Work:
    """What a plan still has to do.

    Attributes:
        done: Cells that are stored already (their files were checked).
        pending: Cells to run.
        warm_starts: One cell for each warm start to make.
        workers: Processes to use.
    """

    done: tuple[Cell, ...]
    pending: tuple[Cell, ...]
    warm_starts: tuple[Cell, ...]
    workers: int


def outstanding(plan: Plan) -> Work:
    """Compare a plan with its results folder.

    Raises:
        CorruptError: A stored cell is damaged; it is never used and never deleted.
    """
    done: list[Cell] = []
    pending: list[Cell] = []
    for cell in plan.cells:
        folder = plan.out / "cells" / cell.id
        for stage in folder.iterdir() if folder.is_dir() else ():
            if is_done(stage):
                check(stage)
        (done if cell_done(folder) else pending).append(cell)
    needed = {cell.warm_start_id for cell in pending}
    starts = [
        cell
        for key, cell in plan.warm_starts().items()
        if key in needed and not is_done(plan.out / "warm-starts" / key)
    ]
    return Work(tuple(done), tuple(pending), tuple(starts), _workers(plan, len(pending)))


def execute(plan: Plan, work: Work, listener: Listener) -> dict[str, str]:
    """Store the examples and the resolved spec, run what is outstanding, return failures by cell id.

    Raises:
        UserError: The results folder can't be written.
    """
    require_writable(plan.out)
    for subset, splits in plan.data.items():
        folder = plan.data_folder(subset)
        if is_done(folder):
            check(folder)
        else:
            with writing(folder) as temporary:
                write_examples(temporary, splits)
    save_spec(plan)
    return run_jobs(
        _jobs(plan, work.warm_starts),
        _jobs(plan, work.pending),
        workers=work.workers,
        threads=plan.spec.threads,
        listener=listener,
    )


def spec_text(plan: Plan) -> str:
    """The resolved spec as YAML; ``warmup-bench run --spec`` takes it back."""
    content = plan.spec.model_dump(mode="json", exclude_none=True)
    content = {key: value for key, value in content.items() if value != {}}
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def save_spec(plan: Plan) -> None:
    """Keep the resolved spec in the results folder, named by its content."""
    text = spec_text(plan)
    path = plan.out / "specs" / f"{content_hash({'spec': text})}.yaml"
    write_file(path, text)


def _jobs(plan: Plan, cells: Sequence[Cell]) -> list[Job]:
    references = {entry.name: reference for reference, entry in plan.presets.items()}
    sources = {m.value.name: r for m, r in zip(plan.methods.values(), plan.spec.methods, strict=True)}
    return [
        Job(
            cell=cell,
            out=plan.out,
            data=plan.data_folder(cell.subset),
            task=plan.spec.task,
            method=sources[cell.method],
            backbone=references[cell.backbone],
            device=plan.device,
            offline=plan.spec.offline,
        )
        for cell in cells
    ]


def _workers(plan: Plan, pending: int) -> int:
    """One worker a core on the CPU, one on a GPU; never more than there are cells."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    default = 1 if plan.device == "cuda" else max(1, cores // plan.spec.threads)
    return max(1, min(plan.spec.workers or default, pending))
