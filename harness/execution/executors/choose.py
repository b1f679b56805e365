"""Which executor a spec asks for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from warmup_bench.execution.executors import Listener
from warmup_bench.execution.executors.local import run_steps
from warmup_bench.plan.jobs import Step
from warmup_bench.spec.spec import RunSpec
from warmup_bench.store.failures import Failure

Executor = Callable[[Sequence[Step], Listener], dict[str, Failure]]
"""Runs steps, reporting to a listener; returns every failure by key.

Raises KeyboardInterrupt when the user asked to stop, once every running step has.
"""


def executor(spec: RunSpec, device: str, workers: int) -> AbstractContextManager[Executor]:
    """The executor of a spec, ready while its context is open.

    Args:
        spec: What the user asked for.
        device: "cpu" or "cuda".
        workers: Steps at once on this machine.

    Raises:
        UserError: On entering: it can't run this.
    """
    if spec.executor == "local":
        return nullcontext(
            lambda steps, listener: run_steps(steps, workers=workers, threads=spec.threads, listener=listener)
        )
    from warmup_bench.execution.executors.cluster import cluster_executor

    return cluster_executor(spec, device)
