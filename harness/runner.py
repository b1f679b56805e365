"""From a plan to stored cells: what is to be done, doing it, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.cell import Cell, content_hash
from harness.executors import Kind, Listener, Step
from harness.executors.choose import executor
from harness.planning.plan import Plan
from harness.provenance import free_cores
from harness.registry import metrics
from harness.scoring import is_scored
from harness.stages import Job
from harness.storage.examples import write_examples
from harness.storage.failures import Failure
from harness.storage.locks import hold, sweep
from harness.storage.store import check, clear_unfinished, is_done, require_writable, write_file, writing
from harness.storage.stored import read_facts


@dataclass(frozen=True)
class Work:
    """What a plan still has to do.

    Attributes:
        done: Cells that are stored already (their files were checked).
        pending: Cells to run.
        steps: The folders to make for them, each after what it needs.
        workers: Steps at once; on a cluster without a limit of the user's, the cells.
    """

    done: tuple[Cell, ...]
    pending: tuple[Cell, ...]
    steps: tuple[Step, ...]
    workers: int

    def of_kind(self, kind: Kind) -> list[Cell]:
        """The cells of the steps of one kind."""
        return [step.job.cell for step in self.steps if step.kind == kind]


def outstanding(plan: Plan) -> Work:
    """Compare a plan with its results folder.

    Raises:
        CorruptError: A stored cell is damaged; it is never used and never deleted.
    """
    done: list[Cell] = []
    pending: list[Cell] = []
    steps: dict[str, Step] = {}
    for job in _jobs(plan):
        wanted = [job.training_folder, job.folder / "decode"]
        stored = [check(folder) for folder in wanted if is_done(folder)]
        if len(stored) == len(wanted) and _all_scored(job):
            done.append(job.cell)
            continue
        pending.append(job.cell)
        needs = None
        for kind, key, folder in _needed(job):
            if not is_done(folder):
                steps.setdefault(key, Step(key, kind, job, needs))
                needs = key
        steps[job.cell.id] = Step(job.cell.id, "cell", job, needs)
    places = {seed: place for place, seed in enumerate(plan.spec.seeds)}
    ordered = tuple(sorted(steps.values(), key=lambda step: _place(step, places)))
    return Work(tuple(done), tuple(pending), ordered, _workers(plan, len(pending)))


def _needed(job: Job) -> list[tuple[Kind, str, Path]]:
    """What a pending cell is made from, as (kind, key, folder), each after what it needs itself.

    A stored training needs no warm start any more, unless decoding reads it beside the model.
    """
    start: tuple[Kind, str, Path] = (
        "warm start",
        f"warm start {job.cell.warm_start_id}",
        job.warm_start_folder,
    )
    if is_done(job.training_folder):
        reads = not is_done(job.folder / "decode") and job.decodes_with_warm_start
        return [start] if reads else []
    found = [start]
    if job.matched is not None and job.matched_training is not None:
        found.append(("training", f"training {job.matched.training_id}", job.matched_training))
    return [*found, ("training", f"training {job.cell.training_id}", job.training_folder)]


def _place(step: Step, seeds: Mapping[int, int]) -> tuple[bool, int, bool, bool, bool]:
    """Where a step stands: warm starts first, so that no worker waits for one at the end; then seed by seed,
    so that a run which is stopped leaves whole seeds, and in a seed those first that sample warmups, which
    take longest: what is short fills the gap at the end.
    """
    cell = step.job.cell
    late = step.kind == "cell", bool(cell.matched), cell.warmup != "sampled"
    return step.kind != "warm start", seeds[cell.seed], *late


def execute(plan: Plan, work: Work, listener: Listener) -> dict[str, Failure]:
    """Store the examples and the resolved spec, run what is outstanding, return failures by step.

    Raises:
        UserError: The results folder can't be written, or the executor can't run this.
        KeyboardInterrupt: The user asked to stop; what was running is checkpointed.
    """
    require_writable(plan.out)
    with executor(plan.spec, plan.device, work.workers) as run_steps:
        _sweep(plan)
        with hold(plan.out / "locks" / "setup.lock"):
            for subset, splits in plan.data.items():
                folder = plan.data_folder(subset)
                if is_done(folder):
                    check(folder)
                    continue
                clear_unfinished(folder.parent)
                with writing(folder) as temporary:
                    write_examples(temporary, splits)
            save_spec(plan)
        return run_steps(work.steps, listener)


def _sweep(plan: Plan) -> None:
    """Remove what killed processes have left: dead locks, and the checkpoints of what is stored by now."""
    from harness.training.checkpoint import clear

    sweep(plan.out / "locks")
    for job in _jobs(plan):
        for name, folder in (
            (job.cell.warm_start_id, job.warm_start_folder),
            (job.cell.training_id, job.training_folder),
        ):
            if is_done(folder):
                clear(job.checkpoints(name))


def spec_text(plan: Plan) -> str:
    """The resolved spec as YAML; ``warmup-bench run --spec`` takes it back."""
    content = plan.spec.model_dump(mode="json", exclude_none=True)
    content = {key: value for key, value in content.items() if value != {}}
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def save_spec(plan: Plan) -> None:
    """Keep the resolved spec in the results folder, named by its content; one process at a time."""
    text = spec_text(plan)
    path = plan.out / "specs" / f"{content_hash({'spec': text})}.yaml"
    clear_unfinished(path.parent)
    write_file(path, text)


def _jobs(plan: Plan) -> list[Job]:
    references = {entry.name: reference for reference, entry in plan.presets.items()}
    sources = {m.value.name: r for m, r in zip(plan.methods.values(), plan.spec.methods, strict=True)}
    plain = plan.matchable()
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
            metrics=plan.metrics,
            score=plan.spec.score,
            matched=plain[cell.subset, cell.backbone, cell.seed, cell.matched] if cell.matched else None,
            track=plan.spec.track,
            devices=plan.devices,
        )
        for cell in plan.cells
    ]


def _all_scored(job: Job) -> bool:
    """Whether a decoded cell has the scores that are wanted of it."""
    context, _ = read_facts(job.folder, job.score)
    entries = [metrics().load(reference) for reference in job.metrics]
    return all(is_scored(job.folder, entry, entry.value(context)) for entry in entries)


def _workers(plan: Plan, pending: int) -> int:
    """One worker a core on the CPU, one on a GPU, of cells on one device; never more than there are cells.

    A cluster has its own.
    """
    if plan.spec.executor != "local":
        return max(1, min(plan.spec.workers or pending, pending))
    default = 1 if plan.device == "cuda" else max(1, free_cores() // (plan.spec.threads * plan.devices))
    return max(1, min(plan.spec.workers or default, pending))
