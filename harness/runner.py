"""From a plan to stored cells: doing what is outstanding, and what came of it."""

import yaml

from harness.cell import content_hash
from harness.executors import Listener
from harness.executors.choose import executor
from harness.planning.jobs import Work, jobs_of
from harness.planning.plan import Plan
from harness.storage.examples import write_examples
from harness.storage.failures import Failure
from harness.storage.locks import hold, sweep
from harness.storage.store import check, clear_unfinished, is_done, require_writable, write_file, writing


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
    for job in jobs_of(plan):
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
