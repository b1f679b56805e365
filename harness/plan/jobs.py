"""What a plan still has to do: jobs, and the folders to make for them in their order."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from warmup_bench.contracts.registry import metrics
from warmup_bench.contracts.settings import Score
from warmup_bench.plan.costs import reads_start
from warmup_bench.plan.matches import matchable, spent_by
from warmup_bench.plan.plan import Plan
from warmup_bench.score.cells import is_scored
from warmup_bench.spec.cell import Cell
from warmup_bench.store.failures import Failure, failure_of
from warmup_bench.store.folders import CorruptError, check, is_done, is_whole
from warmup_bench.store.models import has_model
from warmup_bench.store.provenance import free_cores
from warmup_bench.store.stored import read_facts

Kind = Literal["warm start", "training", "cell"]


@dataclass(frozen=True, slots=True)
class Branch:
    """A training, and what reads its model.

    Attributes:
        training: Its id.
        cells: Ids of the plan's cells that decode it.
        with_start: Whether decoding reads the warm start too.
    """

    training: str
    cells: tuple[str, ...]
    with_start: bool


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to run a cell or its warm start: plain data, sent between processes.

    Attributes:
        cell: The cell.
        out: Results folder.
        data: Folder with the examples.
        task, method, backbone: References that the registries resolve (names or paths).
        device: "cpu" or "cuda".
        offline: True when nothing may be fetched.
        metrics: Metrics to score the cell with; learned ones have a stage of their own.
        score: What metrics read of the spec.
        matched: Cell whose training FLOPs are this one's budget.
        track: Trackers that its training's log goes to.
        devices: Processes that share its batches, one a device.
        models: Which models stay, as ``store.models`` says.
        branches: Trainings of the plan that start from its warm start, its own among them.
        notes: What the task tells of the data.
    """

    cell: Cell
    out: Path
    data: Path
    task: str
    method: str
    backbone: str
    device: str
    offline: bool
    metrics: tuple[str, ...]
    score: Score
    matched: Cell | None = None
    track: tuple[str, ...] = ()
    devices: int = 1
    models: str = "all"
    branches: tuple[Branch, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The cell's folder, with its predictions and scores."""
        return self.out / "cells" / self.cell.id

    @property
    def training_folder(self) -> Path:
        """The trained model's folder."""
        return self.out / "trainings" / self.cell.training_id

    @property
    def matched_training(self) -> Path | None:
        """The folder of the training that this one is matched with."""
        return None if self.matched is None else self.out / "trainings" / self.matched.training_id

    @property
    def warm_start_folder(self) -> Path:
        """The shared warm start's folder."""
        return self.out / "warm-starts" / self.cell.warm_start_id

    @property
    def token_ids(self) -> Path:
        """The folder with the token ids of the examples, which all cells of a tokenizer share."""
        return self.out / "token-ids"

    @property
    def branch(self) -> Branch:
        """That of its training."""
        return next(branch for branch in self.branches if branch.training == self.cell.training_id)

    @property
    def keeps_start(self) -> bool:
        """Whether its warm start stays: all models do, or trained ones do and one is decoded with it."""
        if self.models == "trained":
            return any(branch.with_start for branch in self.branches)
        return self.models == "all"

    def needs_model(self, branch: Branch | None = None) -> bool:
        """Whether a cell of the plan is still to be decoded with a training's model, its own by default."""
        cells = (branch or self.branch).cells
        return not all(is_done(self.out / "cells" / cell / "decode") for cell in cells)

    def needs_start(self) -> bool:
        """Whether a training of the plan is still to start from its warm start, or to be decoded with it."""
        return any(map(self._starts, self.branches))

    def _starts(self, branch: Branch) -> bool:
        training = self.out / "trainings" / branch.training
        if not is_done(training):
            return True
        return self.needs_model(branch) and (branch.with_start or not has_model(training))

    def has_start(self) -> bool:
        """Whether its warm start is stored with all that the plan needs of it."""
        folder = self.warm_start_folder
        return is_done(folder) and (has_model(folder) or not self.needs_start())

    def has_training(self) -> bool:
        """Whether its training is stored with all that the plan needs of it."""
        folder = self.training_folder
        return is_done(folder) and (has_model(folder) or not self.needs_model())

    def is_finished(self) -> bool:
        """Whether the cell is decoded, and scored with what is wanted of it.

        Raises:
            CorruptError: What is stored is damaged.
        """
        return is_done(self.training_folder) and is_done(self.folder / "decode") and _all_scored(self)

    def checkpoints(self, name: str) -> Path:
        """Where a warm start or a training keeps its checkpoints while it is under way."""
        return self.out / "checkpoints" / name


@dataclass(frozen=True, slots=True)
class Step:
    """One folder to make.

    Attributes:
        key: The folder's id.
        kind: What it is.
        job: The cell that it is made for.
        needs: Key of the step that must be done before; None: what it needs is stored.
    """

    key: str
    kind: Kind
    job: Job
    needs: str | None = None

    @property
    def target(self) -> Path:
        """The folder that a warm start or a training makes; a cell's, which holds several."""
        folders = {
            "warm start": self.job.warm_start_folder,
            "training": self.job.training_folder,
            "cell": self.job.folder,
        }
        return folders[self.kind]

    def is_stored(self) -> bool:
        """Whether a warm start or a training is there with all that the plan needs of it."""
        return self.job.has_start() if self.kind == "warm start" else self.job.has_training()

    @property
    def lock(self) -> Path:
        """The file that its process holds while it makes the folder."""
        return self.job.out / "locks" / f"{self.key.replace(' ', '-')}.lock"


@dataclass(frozen=True)
class Work:
    """What a plan still has to do.

    Attributes:
        done: Cells that are stored already (their files were checked).
        pending: Cells to run.
        steps: The folders to make for them, those to start first first, as soon as what they need is done.
        workers: Steps at once; on a cluster without a limit of the user's, the cells.
        damaged: Why a stored cell, or what it is made from, can't be used, by its id: it is left out.
    """

    done: tuple[Cell, ...]
    pending: tuple[Cell, ...]
    steps: tuple[Step, ...]
    workers: int
    damaged: Mapping[str, Failure] = field(default_factory=dict)

    def of_kind(self, kind: Kind) -> list[Cell]:
        """The cells of the steps of one kind."""
        return [step.job.cell for step in self.steps if step.kind == kind]

    @property
    def notes(self) -> dict[str, str]:
        """What keys do not say: with what the cells and trainings of matched rows are matched."""
        cells = [step.job.cell for step in self.steps if step.job.cell.matched]
        return {key: cell.note for cell in cells for key in (cell.id, f"training {cell.training_id}")}

    @property
    def again(self) -> int:
        """How many of the steps make what is stored already, since its model was not kept."""
        return sum(step.kind != "cell" and is_done(step.target) for step in self.steps)


def outstanding(plan: Plan) -> Work:
    """Compare a plan with its results folder. What is damaged there is never used and never deleted."""
    done: list[Cell] = []
    pending: list[Cell] = []
    damaged: dict[str, Failure] = {}
    steps: dict[str, Step] = {}
    looked: dict[Path, bool | CorruptError] = {}

    def is_sound(folder: Path) -> bool:
        """Whether a folder is stored; each is read once, however many cells it has."""
        if folder not in looked:
            try:
                looked[folder] = is_whole(folder) and bool(check(folder))
            except CorruptError as error:
                looked[folder] = error
        if isinstance(known := looked[folder], CorruptError):
            raise known
        return known

    for job in jobs_of(plan):
        try:
            stored = [is_sound(folder) for folder in (job.training_folder, job.folder / "decode")]
            if all(stored) and _all_scored(job):
                done.append(job.cell)
                continue
            needed = list(_needed(job))
            if any(kind == "warm start" for kind, _ in needed):
                is_whole(job.warm_start_folder)
        except CorruptError as error:
            damaged[job.cell.id] = failure_of(error, "what is stored")
            continue
        pending.append(job.cell)
        needs = None
        for kind, key in needed:
            steps.setdefault(key, Step(key, kind, job, needs))
            needs = key
        steps[job.cell.id] = Step(job.cell.id, "cell", job, needs)
    places = {seed: place for place, seed in enumerate(plan.spec.seeds)}
    place = _place if plan.spec.store.models == "all" else _place_to_let_go
    ordered = tuple(sorted(steps.values(), key=lambda step: place(step, places)))
    return Work(tuple(done), tuple(pending), ordered, _workers(plan, len(pending)), damaged)


def _needed(job: Job) -> Iterator[tuple[Kind, str]]:
    """What has to be made for a pending cell, as (kind, key), each after what it needs itself.

    A stored training needs no warm start any more, unless decoding reads it beside the model.
    """
    trained = job.has_training()
    reads = job.branch.with_start and not is_done(job.folder / "decode")
    if (reads or not trained) and not job.has_start():
        yield "warm start", f"warm start {job.cell.warm_start_id}"
    if trained:
        return
    if job.matched is not None and job.matched_training is not None and not is_done(job.matched_training):
        yield "training", f"training {job.matched.training_id}"
    yield "training", f"training {job.cell.training_id}"


def _place(step: Step, seeds: Mapping[int, int]) -> tuple[bool, int, bool, bool, bool]:
    """Where a step stands: warm starts first, so that no worker waits for one at the end; then seed by seed,
    so that a run which is stopped leaves whole seeds, and in a seed those first that sample warmups, which
    take longest: what is short fills the gap at the end.
    """
    cell = step.job.cell
    late = step.kind == "cell", bool(cell.matched), cell.warmup != "sampled"
    return step.kind != "warm start", seeds[cell.seed], *late


def _place_to_let_go(step: Step, seeds: Mapping[int, int]) -> tuple[bool, bool, int, bool, bool]:
    """The same where models are let go: what ends the need for one first, so that no more trainings and warm
    starts stand at once than there are workers.
    """
    cell = step.job.cell
    first = step.kind != "cell", step.kind == "warm start"
    return *first, seeds[cell.seed], bool(cell.matched), cell.warmup != "sampled"


def jobs_of(plan: Plan) -> list[Job]:
    """A job for each cell of a plan, in its order."""
    branches = _branches(plan)
    references = {entry.name: reference for reference, entry in plan.presets.items()}
    sources = {m.value.name: r for m, r in zip(plan.methods.values(), plan.spec.methods, strict=True)}
    candidates = matchable(plan.cells)
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
            matched=spent_by(cell, candidates) if cell.matched else None,
            track=plan.spec.track,
            devices=plan.devices,
            models=plan.spec.store.models,
            branches=branches[cell.warm_start_id],
            notes=plan.data[cell.subset].notes,
        )
        for cell in plan.cells
    ]


def _branches(plan: Plan) -> dict[str, tuple[Branch, ...]]:
    """The trainings from every warm start of a plan, by its id; of a shard's plan, those of all shards."""
    found: dict[str, dict[str, Branch]] = defaultdict(dict)
    for cell in plan.whole or plan.cells:
        method = plan.methods[cell.method].value
        with_start = reads_start(cell.settings, method)
        of_start, training = found[cell.warm_start_id], cell.training_id
        known = of_start.get(training, Branch(training, (), with_start))
        of_start[training] = replace(known, cells=(*known.cells, cell.id))
    return {start: tuple(of_start.values()) for start, of_start in found.items()}


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
