"""The stages of a cell. Each reads what the one before it left on disk and writes one whole folder.

warm start -> training -> decode -> score

The warm start is shared by the methods of a seed, and a training by the cells that only decode otherwise.

A cell on several devices is a stage that several processes run, each with its rank of a group; they share
batches, and rank 0 alone writes.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmup_bench.contracts.boundary import given_by
from warmup_bench.contracts.method import Giving, Method, likelihood
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Budget, Lora
from warmup_bench.contracts.task import Example
from warmup_bench.data.registry import tasks
from warmup_bench.models.parallel import ALONE, RankGroup
from warmup_bench.plan.jobs import Job
from warmup_bench.score.cells import score_cell, task_facts
from warmup_bench.store.examples import read_split
from warmup_bench.store.failures import clear_failure
from warmup_bench.store.folders import (
    check,
    clear_unfinished,
    is_done,
    read_json,
    write_json,
    write_table,
    writing,
)
from warmup_bench.store.models import end_removal, reading, writing_model
from warmup_bench.store.training_log import LOG
from warmup_bench.train.ledger import NOTHING, Ledger, Outlay

if TYPE_CHECKING:
    from warmup_bench.models.batching import Encoded

Report = Callable[[str, int, int, dict[str, float]], None]
"""Called with (stage, done, total, figures)."""
Stage = Callable[..., None]
"""Called with (job, report, group)."""


def _repeatably(stage: Stage) -> Stage:
    """A stage that gives the same numbers twice on a GPU, where its job asks for that."""

    @wraps(stage)
    def run(job: Job, report: Report, group: RankGroup = ALONE) -> None:
        if job.device == "cpu" or not job.cell.settings.train.deterministic:
            return stage(job, report, group)
        from warmup_bench.models.device import repeatable

        with repeatable():
            return stage(job, report, group)

    return run


@_repeatably
def run_warm_start(job: Job, report: Report, group: RankGroup = ALONE) -> None:
    """Make the starting point that all methods of a seed share, unless it is there.

    From scratch: random weights by the seed, a tokenizer of the training split, then supervised steps on the
    direct path. From a checkpoint: the same steps from its weights (none by default).
    """
    from warmup_bench.train.checkpoint import clear, fresh_log

    work = job.checkpoints(job.cell.warm_start_id)
    if _stored(job.warm_start_folder, job.has_start, group):
        if group.first:
            clear(work)  # whoever stored it may have been killed before
        return
    import torch

    from warmup_bench.models.encoding import encode_split
    from warmup_bench.models.load import make_backbone, resolve_preset
    from warmup_bench.train.loop import train
    from warmup_bench.train.objective import Objective

    cell, settings = job.cell, job.cell.settings
    check(job.data)
    examples = read_split(job.data, "train")
    torch.manual_seed(cell.seed)
    texts = [text for example in examples for text in (example.source, example.target)]
    subset = tasks().load(job.task).value.card.subsets[cell.subset]
    backbone = make_backbone(
        resolve_preset(job.backbone).value,
        texts,
        dropout=settings.train.dropout,
        offline=job.offline,
        languages=(subset.source_language, subset.target_language),
    )
    _prepare(backbone, job)
    direct = Method("warm start", "", "", "none", likelihood)
    ledger, log = Ledger(), fresh_log(work) if group.first else work / LOG
    if settings.warm_start.steps:
        ledger = train(
            backbone,
            encode_split(backbone, job.data, "train", *settings.train.token_limits, cache=job.token_ids),
            Objective(direct, settings.warmup),
            settings.train,
            budget=Budget(steps=settings.warm_start.steps),
            learning_rate=settings.warm_start.learning_rate or settings.train.learning_rate,
            seed=cell.seed,
            log=log,
            report=lambda done, total, figures: report("warm start", done, total, figures),
            checkpoints=work,
            group=group,
        )
    if not group.first:
        return
    with writing_model(job.warm_start_folder) as folder:
        if settings.warm_start.steps:
            shutil.copyfile(log, folder / LOG)
        backbone.save(folder)
        write_json(folder / "ledger.json", ledger.to_dict())
    clear(work)


def _stored(folder: Path, there: Callable[[], bool], group: RankGroup) -> bool:
    """Whether all that is needed of a folder is there, its files checked; else what an unfinished try has
    left of it is removed."""
    if group.of_first(there()):  # what other processes do may change it between two ranks' looks
        check(folder)
        return True
    if group.first:
        clear_unfinished(folder.parent, folder.name)
        end_removal(folder)
    return False


@_repeatably
def run_cell(job: Job, report: Report, group: RankGroup = ALONE) -> None:
    """Decode the test set, or what ``decode.split`` says, and score it, unless that is there."""
    if group.first:
        clear_unfinished(job.folder)
    if is_done(job.folder / "decode"):
        check(job.folder / "decode")
    else:
        _decode(job, report, group)
    if not group.first:
        return
    score_cell(job.folder, job.metrics, job.score, lambda done, total: report("score", done, total, {}))
    clear_failure(job.folder)


@_repeatably
def run_training(job: Job, report: Report, group: RankGroup = ALONE) -> None:
    """Train the cell's method from the shared warm start, unless that is there."""
    from warmup_bench.train.checkpoint import clear, fresh_log

    work = job.checkpoints(job.cell.training_id)
    if _stored(job.training_folder, job.has_training, group):
        if group.first:
            clear(work)  # whoever stored it may have been killed before
        return
    import torch

    from warmup_bench.models.batching import encode_examples
    from warmup_bench.models.encoding import encode_split
    from warmup_bench.store.provenance import provenance
    from warmup_bench.train.diagnostics import diagnose
    from warmup_bench.train.loop import train
    from warmup_bench.train.objective import Objective
    from warmup_bench.train.tracking import tracked

    cell, settings = job.cell, job.cell.settings
    check(job.data)
    check(job.warm_start_folder)
    torch.manual_seed(cell.seed + 1)
    backbone = _load(job, job.warm_start_folder, lora=settings.lora, trained=True)
    method = resolve_method(job.method).value
    limits = settings.train.token_limits
    split = encode_split(backbone, job.data, "train", *limits, cache=job.token_ids)
    validation = read_split(job.data, "validation")[: settings.train.eval_examples]
    watched, _ = encode_examples(backbone, validation, *limits)
    items: Sequence[Encoded] = split
    outlay = NOTHING
    if method.warmup == "given":
        examples = read_split(job.data, "train")
        items, outlay = _with_given(job, method, items, examples, group)
        watched, _ = _with_given(job, method, watched, validation, group)
    reference = _load(job, job.warm_start_folder) if method.reference else None
    if reference is not None:
        reference.model.eval().requires_grad_(False)
    objective = Objective(method, settings.warmup, reference)
    log = fresh_log(work) if group.first else work / LOG
    with tracked(job.track if group.first else (), cell, job.out, cpu=job.device == "cpu") as follow:
        ledger = train(
            backbone,
            items,
            objective,
            settings.train,
            budget=_budget(job),
            learning_rate=settings.train.learning_rate,
            seed=cell.seed + 7919,  # another data order than the warm start's
            log=log,
            report=follow(log, lambda done, total, figures: report("training", done, total, figures)),
            evaluate=lambda step, fit: diagnose(
                backbone,
                watched,
                objective,
                seed=cell.seed + step,
                batch_size=settings.train.batch_size,
                fit=fit,
            ),
            checkpoints=work,
            group=group,
            outlay=outlay,
        )
    if not group.first:
        return
    ledger.truncated = split.cut
    with writing_model(job.training_folder) as folder:
        shutil.copyfile(log, folder / LOG)
        backbone.save(folder / "model")
        write_json(folder / "ledger.json", ledger.to_dict())
        write_json(folder / "provenance.json", provenance(job.device, settings.train.dtype, group.size))
    clear(work)


def _decode(job: Job, report: Report, group: RankGroup) -> None:
    from warmup_bench.decode import infer, rank_options
    from warmup_bench.models.encoding import text_ids

    cell, settings = job.cell, job.cell.settings
    method = resolve_method(job.method).value
    check(job.training_folder)
    if method.gives_at_inference:
        check(job.warm_start_folder)
    backbone = _load(job, job.training_folder / "model")
    examples = read_split(job.data, settings.decode.split)
    rows = text_ids(backbone, job.data, settings.decode.split, "source", cache=job.token_ids)
    encoded = [backbone.framed(ids, settings.train.max_source_tokens) for ids in rows]
    started = time.perf_counter()
    given, outlay = None, NOTHING
    if method.gives_at_inference:
        given, outlay = _give(job, method, examples, group, inference=True)
    sources = [ids for ids, _ in encoded]
    decoded, flops = infer(
        backbone,
        sources,
        settings.decode,
        given=given,
        warmup_cap=0 if cell.warmup == "none" else settings.warmup.max_tokens,
        seed=cell.seed,
        report=lambda done, total: report("decode", done, total, {}),
        group=group,
    )
    seconds = time.perf_counter() - started
    direct = cell.warmup == "none" or settings.decode.warmup == "none"
    options = [list(example.options) for example in examples]
    ranking = None
    if all(options):
        ranking = rank_options(
            backbone,
            sources,
            options,
            warmups=None if direct else [d.warmup for d in decoded],
            batch_size=settings.decode.batch_size,
            group=group,
        )
    if not group.first:
        return
    with writing(job.folder / "decode", depth=3) as folder:
        columns = {
            "id": [example.id for example in examples],
            "group": [example.group for example in examples],
            "source": [example.source for example in examples],
            "references": [list(example.golds) for example in examples],
            "hypothesis": [backbone.text(d.output) for d in decoded],
            "warmup": [None if direct else backbone.text(d.warmup) for d in decoded],
            "warmup_tokens": [len(d.warmup) for d in decoded],
            "warmup_forced": [d.forced for d in decoded],
            "finished": [d.finished for d in decoded],
            "source_cut": [cut for _, cut in encoded],
        }
        if ranking is not None:
            columns |= {"options": options, "option_log_probs": ranking.log_probs, "ranked": ranking.best}
        write_table(folder / "predictions.parquet", columns)
        spent = {
            "decode_flops": flops + outlay.flops,
            "decode_seconds": seconds,
            "rank_flops": 0.0 if ranking is None else ranking.flops,
            "truncated": sum(cut for _, cut in encoded),
        }
        write_json(folder / "ledger.json", spent)
        write_json(folder / "cell.json", cell.model_dump(mode="json"))
        card = tasks().load(job.task).value.card
        write_json(folder / "task.json", task_facts(card, cell.subset, examples, job.notes))


def _budget(job: Job) -> Budget:
    """The cell's budget, or what the method which it is matched with has spent."""
    if job.matched_training is None:
        return job.cell.settings.budget
    spent = read_json(check(job.matched_training) / "ledger.json")
    if job.cell.matched_by == "seconds":
        return Budget(seconds=spent["train_seconds"])
    return Budget(flops=spent["train_flops"])


def _with_given(
    job: Job,
    method: Method,
    items: Sequence["Encoded"],
    examples: list[Example],
    group: RankGroup,
) -> tuple[list["Encoded"], Outlay]:
    """Encoded examples with the warmups that a method gives for training, and what they cost."""
    given, outlay = _give(job, method, examples, group, inference=False)
    return [replace(item, warmup=c) for item, c in zip(items, given, strict=True)], outlay


def _give(
    job: Job,
    method: Method,
    examples: list[Example],
    group: RankGroup,
    *,
    inference: bool,
) -> tuple[list[list[int]], Outlay]:
    """The warmups that a method gives for examples, as ids, and what they cost, once the model is loaded.

    The warm start has been checked.
    """
    from warmup_bench.decode import decode_all
    from warmup_bench.models.encoding import text_ids

    settings = job.cell.settings
    frozen = _load(job, job.warm_start_folder)
    spent = 0.0

    def draft() -> list[list[int]]:
        nonlocal spent
        rows = frozen.many_ids([ex.source for ex in examples])
        sources = [frozen.framed(ids, settings.train.max_source_tokens)[0] for ids in rows]
        decoded, spent = decode_all(
            frozen,
            sources,
            warmup_cap=0,
            output_cap=settings.warmup.max_tokens,
            batch_size=settings.decode.batch_size,
            report=lambda done, total: None,
            group=group,
        )
        return [d.output for d in decoded]

    targets = text_ids(frozen, job.data, "train", "target", cache=job.token_ids)
    giving = Giving(
        sources=[ex.source for ex in examples],
        targets=None if inference else [ex.target for ex in examples],
        target_ids=[ids[: settings.train.max_target_tokens] for ids in targets],
        cap=settings.warmup.max_tokens,
        encode=lambda text: frozen.plain_ids(text, target=True),
        draft=draft,
        seed=2 * job.cell.seed + inference,
    )
    started = time.perf_counter()
    given = given_by(method, giving, len(frozen.tokenizer))
    return given, Outlay(spent, time.perf_counter() - started)


def _load(job: Job, folder: Path, lora: Lora | None = None, *, trained: bool = False) -> Any:
    """A stored model, with fresh adapters where ``lora`` has a rank; stored ones stand on the warm start.

    One that is not ``trained`` computes with weights of the settings' type.
    """
    from warmup_bench.models.load import load_backbone
    from warmup_bench.models.lora import ADAPTER

    adapter = folder if (folder / ADAPTER).is_file() else None
    start, dropout = job.warm_start_folder, job.cell.settings.train.dropout
    base = folder if adapter is None else check(start)
    with reading(*{start if place == start else job.training_folder for place in (folder, base)}):
        backbone = load_backbone(str(base), dropout=dropout, lora=lora, adapter=adapter)
    _prepare(backbone, job)
    if not trained:
        backbone.compute_in(job.cell.settings.train.dtype)
    return backbone


def _prepare(backbone: Any, job: Job) -> None:
    """See that a model takes texts as long as the settings say, and move it to the job's device."""
    from warmup_bench.models.limits import check_lengths

    check_lengths(backbone.model.config, job.cell.settings)
    backbone.model.to(job.device)
