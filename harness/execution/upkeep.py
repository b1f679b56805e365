"""Letting go of models that nothing of a plan needs any more, as ``store.models`` says.

Done after every step by who has made it, and once more at the end of a run. Who reads a model holds its lock
(:func:`warmup_bench.store.models.reading`): another plan on the same folder may need what this one does not.
"""

import logging
from collections.abc import Callable
from contextlib import suppress

from warmup_bench.contracts.errors import UserError
from warmup_bench.plan.jobs import Job, jobs_of
from warmup_bench.plan.plan import Plan
from warmup_bench.store.failures import FAILED, clear_failure
from warmup_bench.store.folders import CorruptError, is_done
from warmup_bench.store.locks import claim, sweep
from warmup_bench.store.models import has_model, is_untidy, let_go, lock_of

_log = logging.getLogger(__name__)


def tidy(plan: Plan) -> None:
    """Let go of every model of a plan that it does not need any more, and end what a killed process began.

    Its lock goes too: where nothing is left to run, nobody else looks for it.
    """
    with suppress(UserError):  # who may only read needs no tidy folder
        sweep(plan.out / "locks")
    for job in jobs_of(plan):
        tidy_after(job)
        if (job.folder / FAILED).exists():
            with suppress(CorruptError):
                if job.is_finished():  # by another process, while this one failed
                    clear_failure(job.folder)


def tidy_after(job: Job) -> None:
    """The same of what one job reads. Where it can't be done it is told, and the next run tries again."""

    def unneeded_start() -> bool:
        return not job.keeps_start and not job.needs_start()

    def unneeded_model() -> bool:
        return job.models == "none" and not job.needs_model()

    unneeded: Callable[[], bool]
    for folder, unneeded in (
        (job.warm_start_folder, unneeded_start),
        (job.training_folder, unneeded_model),
    ):
        if not is_done(folder) or not (unneeded() if has_model(folder) else is_untidy(folder)):
            continue
        try:
            with claim(lock_of(folder)) as ours:
                # By now it may be made again, or needed again.
                if ours and (unneeded() if has_model(folder) else is_untidy(folder)):
                    let_go(folder, f"store.models={job.models}")
        except (UserError, OSError) as error:
            _log.warning("%s", error)
