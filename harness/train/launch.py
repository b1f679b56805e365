"""How many processes a cell has, and whether torchrun or accelerate launch has started them.

Under a launcher every process runs the same command; rank 0 plans, locks, shows and says which step is next,
and the others follow it (:mod:`warmup_bench.execution.executors.ranks`). They talk through the launcher's
key-value store.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.models import parallel

SHARDED = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism config",
}
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""By which a launcher tells a process its place."""
OVER = "over"
"""What rank 0 says in place of a next step."""


@dataclass(frozen=True, slots=True)
class Launch:
    """This process's place among those that a launcher has started.

    Attributes:
        rank, size: Among all.
        local_rank, local_size: Among those of this machine.
        host, port: Of the launcher's store.
        hosted: Whether the launcher runs that store; else rank 0 does.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    host: str
    port: int
    hosted: bool

    @property
    def address(self) -> str:
        """As :func:`warmup_bench.models.parallel.rendezvous` takes it."""
        return f"tcp:{self.host}:{self.port}"


def launched(environ: Mapping[str, str] = os.environ) -> Launch | None:
    """Where a launcher has put this process; None where it is alone.

    Raises:
        UserError: It says only half of it, or no number.
    """

    def number(name: str, default: int | None = None) -> int:
        given = environ.get(name, "" if default is None else str(default))
        if not (given.isascii() and given.isdigit()):
            raise UserError(
                f"WORLD_SIZE is {environ.get('WORLD_SIZE')!r} and {name} is {environ.get(name)!r}, no number",
                origin="the environment",
                hint="A launcher (torchrun, accelerate launch) sets both. Without one: unset WORLD_SIZE.",
            )
        return int(given)

    size = number("WORLD_SIZE", 1)
    if size < 2:
        return None
    rank = number("RANK")
    return Launch(
        rank=rank,
        size=size,
        local_rank=number("LOCAL_RANK", rank),
        local_size=number("LOCAL_WORLD_SIZE", size),
        host=environ.get("MASTER_ADDR", "127.0.0.1"),
        port=number("MASTER_PORT", 29500),
        hosted=environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
    )


def choose_devices(
    wish: int | None, device: str, environ: Mapping[str, str] = os.environ, *, elsewhere: bool = False
) -> int:
    """Devices a cell: those asked for, or else one a process that a launcher has started.

    Args:
        wish: What was asked for.
        device: "cpu" or "cuda".
        environ: Where a launcher leaves its traces.
        elsewhere: Whether cells run on other machines, whose GPUs are not this one's to count.

    Raises:
        UserError: Fewer or more processes were started than were asked for, there are too few GPUs, or the
            model would have to be sharded.
    """
    for variable, name in SHARDED.items():
        if environ.get(variable, "false").lower() in ("true", "1"):
            raise UserError(
                f"{name} shards a model, and a cell's devices each hold the whole of it",
                origin=f"the configuration of accelerate launch ({variable})",
                hint="Use its MULTI_GPU or MULTI_CPU, torchrun, or --devices N alone; a model that does not "
                "fit one device: train adapters (lora.rank).",
            )
    launch = launched(environ)
    if launch is not None and elsewhere:
        raise UserError(
            "a launcher has started this process, and a cluster starts its own",
            origin="--executor",
            hint="Run the same command without torchrun or accelerate launch, with --devices N.",
        )
    if launch is not None:
        if wish not in (None, launch.size):
            assert wish is not None
            raise parallel.too_few(launch.size, wish)
        devices, here = launch.size, launch.local_size
    else:
        # On the CPU of one machine accelerate launch starts one process, whatever it was asked for; where
        # that was more, it names a master, and not how many.
        if "ACCELERATE_MIXED_PRECISION" in environ and "MASTER_ADDR" in environ:
            raise UserError(
                "accelerate launch was asked for 2 processes or more, and has started 1",
                origin="accelerate launch",
                hint="Use 'torchrun --nproc-per-node N -m warmup_bench run ...', "
                "or no launcher and --devices N.",
            )
        devices = here = wish or 1
    if device == "cuda" and here > 1 and not elsewhere:
        import torch

        if here > (there := torch.cuda.device_count()):
            raise UserError(
                f"{here} devices were asked for, and this machine has {there} GPUs",
                origin="--devices",
                hint=f"Use --devices {there}, or --device cpu.",
            )
    return devices


def check_workers(workers: int | None, devices: int, device: str) -> None:
    """See that cells of several devices can run at once as asked.

    Raises:
        UserError: They would share their GPUs, or the one process that a launcher has started for a rank.
    """
    if devices > 1 and (workers or 1) > 1 and (device == "cuda" or launched() is not None):
        raise UserError(
            f"{workers} cells of {devices} devices each can't run at once here",
            origin="--workers",
            hint="Use --workers 1: one cell has all devices.",
        )


@cache
def control(launch: Launch) -> Any:
    """The store through which the ranks of a launch talk."""
    from torch import distributed

    if launch.hosted or launch.rank > 0:
        return parallel.rendezvous(launch.address)
    wait = timedelta(seconds=parallel.JOIN_SECONDS)
    return distributed.TCPStore(  # type: ignore[attr-defined]
        launch.host, launch.port, is_master=True, wait_for_workers=False, timeout=wait
    )


@contextmanager
def leading() -> Iterator[None]:
    """Under a launcher: wait for the other ranks before, and send them home after.

    Raises:
        UserError: Fewer have come than were asked for.
    """
    launch = launched()
    if launch is None:
        yield
        return
    from torch import distributed

    store = control(launch)
    others = range(1, launch.size)
    try:
        store.wait([f"came/{rank}" for rank in others], timedelta(seconds=parallel.JOIN_SECONDS))
    except distributed.DistError as error:
        came = 1 + sum(store.check([f"came/{rank}"]) for rank in others)
        raise parallel.too_few(came, launch.size) from error
    try:
        yield
    finally:
        with suppress(distributed.DistError):
            store.set(f"step/{store.add('steps', 0)}", OVER)
            store.wait([f"left/{rank}" for rank in others], timedelta(seconds=10))
