"""From a plan to stored cells: doing what is outstanding, and what came of it."""

from collections.abc import Sequence

import yaml

from warmup_bench.execution.executors import Listener
from warmup_bench.execution.executors.choose import executor
from warmup_bench.execution.scoring import Scored, score_all
from warmup_bench.execution.upkeep import tidy
from warmup_bench.plan.jobs import Work, jobs_of
from warmup_bench.plan.plan import Plan, make_plan
from warmup_bench.spec.cell import content_hash
from warmup_bench.spec.spec import RunSpec
from warmup_bench.store.examples import write_examples
from warmup_bench.store.failures import Failure, write_failure
from warmup_bench.store.folders import check, clear_unfinished, is_done, require_writable, write_file, writing
from warmup_bench.store.locks import hold, sweep
from warmup_bench.store.models import has_model
from warmup_bench.store.study import refuse_published


def prepare(spec: RunSpec) -> Plan:
    """The plan of a spec, in a folder where it can run.

    Raises:
        UserError: As :func:`warmup_bench.plan.plan.make_plan`, or a folder of published numbers.
    """
    from warmup_bench.models.load import quiet_transformers

    quiet_transformers()
    plan = make_plan(spec)
    refuse_published(plan.out, "nothing can be run there")
    return plan


def score_learned_metrics(
    plan: Plan,
    cells: Sequence[str],
    chosen: Sequence[str] | None = None,
    listener: Listener = lambda event: None,
) -> Scored:
    """Score decoded cells of a plan on this machine with its learned metrics, or the ``chosen`` of them.

    Args:
        plan: The plan.
        cells: Ids of decoded cells.
        chosen: References of metrics; None: all.
        listener: Is told of each metric.
    """
    folders = [plan.out / "cells" / name for name in cells]
    device = plan.spec.device if plan.spec.executor == "local" else "auto"
    return score_all(
        plan.out, folders, plan.learned if chosen is None else chosen, plan.spec.score, device, listener
    )


def execute(plan: Plan, work: Work, listener: Listener) -> dict[str, Failure]:
    """Store the examples and the resolved spec, run what is outstanding, return failures by step; those of
    damaged cells too.

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
                with writing(folder, depth=2) as temporary:
                    write_examples(temporary, splits)
            save_spec(plan)
        failures = run_steps(work.steps, listener)
    settle(plan, work)
    return {**work.damaged, **failures}


def settle(plan: Plan, work: Work) -> None:
    """What is to be done at the end, and where nothing was outstanding: note what is damaged beside its cell,
    and let go of what is not needed any more."""
    for cell in plan.cells:
        if cell.id in work.damaged:
            write_failure(plan.out / "cells" / cell.id, work.damaged[cell.id], cell)
    tidy(plan)


def _sweep(plan: Plan) -> None:
    """Remove what killed processes have left: dead locks, and the checkpoints of what is stored by now."""
    from warmup_bench.train.checkpoint import clear

    sweep(plan.out / "locks")
    for job in jobs_of(plan):
        for name, folder in (
            (job.cell.warm_start_id, job.warm_start_folder),
            (job.cell.training_id, job.training_folder),
        ):
            if has_model(folder):
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
