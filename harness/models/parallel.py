"""Several processes that compute one cell together, and what they exchange: data parallelism.

Every rank holds the whole model and takes its share of each batch; gradients are summed over the ranks once
a step, after the share's micro-batches, and FLOPs and figures with them. Every uniform draw is made by every
rank, for the whole batch and from one seeded generator, and a rank reads the draws of its own inputs: no two
ranks ever share a draw, and N devices train on what one device would. Weights agree with those of one device
up to the order of a sum.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from warmup_bench.contracts.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")
JOIN_SECONDS = 300
"""How long a rank waits for the others to come."""
PATIENCE = timedelta(hours=6)
"""How long a rank waits in an exchange: rank 0 may evaluate or write meanwhile. Whoever started the ranks
notices much sooner that one has died (:mod:`warmup_bench.execution.executors.ranks`)."""
BUCKET = 2**25
"""Numbers of a gradient that are summed in one exchange (128 MiB in fp32)."""


@dataclass(frozen=True, slots=True)
class RankGroup:
    """The processes of one cell, seen from one of them; alone by default, and then nothing is exchanged.

    What is exchanged is tensors and JSON, never pickles. Every method is called by all ranks, in one order.

    Attributes:
        rank: This one's number; rank 0 writes folders, logs and checkpoints.
        size: How many there are.
        device: Where exchanged tensors live.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """This rank's part of ``count`` things: contiguous, sizes differ by at most one."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def gather(self, value: T) -> list[T]:
        """The value of every rank, in their order, on every rank; plain JSON, a NaN included."""
        if self.size == 1:
            return [value]
        import torch
        from torch import distributed

        encoded = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(self.device)
        sizes = [torch.zeros(1, dtype=torch.long, device=self.device) for _ in range(self.size)]
        distributed.all_gather(sizes, torch.tensor([encoded.numel()], device=self.device))
        longest = int(max(sizes))
        padded = torch.nn.functional.pad(encoded, (0, longest - encoded.numel()))
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        distributed.all_gather(parts, padded)
        return [
            json.loads(bytes(part[: int(size)].tolist())) for part, size in zip(parts, sizes, strict=True)
        ]

    def sum(self, values: "Tensor") -> "Tensor":
        """The sum of a tensor over the ranks."""
        if self.size > 1:
            from torch import distributed

            distributed.all_reduce(values)
        return values

    def of_first(self, value: T) -> T:
        """The value of rank 0, plain JSON, on every rank."""
        return self.gather(value)[0]

    def start_alike(self, model: "torch.nn.Module") -> None:
        """Give every rank the weights and buffers of rank 0."""
        if self.size > 1:
            from torch import distributed

            for tensor in (*model.parameters(), *model.buffers()):
                distributed.broadcast(tensor.data, src=0)

    def sum_gradients(self, parameters: Iterable["Tensor"]) -> None:
        """Replace every gradient by its sum over the ranks.

        A rank without one counts as zeros; where no rank has one there is none afterwards, as on one device.
        """
        if self.size == 1:
            return
        import torch
        from torch import distributed

        every = [p for p in parameters if p.requires_grad]
        having = torch.tensor([float(p.grad is not None) for p in every], device=self.device)
        distributed.all_reduce(having)
        for bucket in _buckets([p for p, ranks in zip(every, having.tolist(), strict=True) if ranks]):
            parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in bucket]
            flat = torch.cat([part.flatten() for part in parts])
            distributed.all_reduce(flat)
            sums = torch.split(flat, [p.numel() for p in bucket])
            for parameter, total in zip(bucket, sums, strict=True):
                parameter.grad = total.view_as(parameter)

    def spread(self, batches: Sequence[T], work: Callable[[T], R], done: Callable[[int], None]) -> list[R]:
        """The results of all batches, in order, on every rank; each batch is worked on by one rank.

        A batch stays whole, so that its numbers are those of one process, bit for bit.

        Args:
            batches: The same on every rank.
            work: Its result is plain JSON.
            done: Called with the number of batches that are finished, about.
        """
        mine = []
        for number in range(self.rank, len(batches), self.size):
            mine.append(work(batches[number]))
            done(min(len(batches), number + self.size - self.rank))
        of_ranks = self.gather(mine)
        return [of_ranks[number % self.size][number // self.size] for number in range(len(batches))]


ALONE = RankGroup()
"""One process for a cell."""


def _buckets(parameters: Sequence["Tensor"]) -> Iterator[list["Tensor"]]:
    """Neighbours of one type, up to ``BUCKET`` numbers together."""
    bucket: list[Tensor] = []
    for parameter in parameters:
        full = sum(p.numel() for p in bucket) + parameter.numel() > BUCKET
        if bucket and (full or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket


@contextmanager
def joined(rank: int, size: int, store: Any, *, device: str, local_rank: int) -> Iterator[RankGroup]:
    """Be one of ``size`` ranks for a while: gloo on the CPU, nccl on GPUs, of which each takes its own.

    Args:
        rank, size: As in :class:`Group`.
        store: A store of ``torch.distributed`` that all ranks share.
        device: "cpu" or "cuda".
        local_rank: Number among the ranks of this machine: that of its GPU.

    Raises:
        UserError: The others have not come, or are not as many as were asked for.
    """
    import torch
    from torch import distributed

    if device == "cuda":
        torch.cuda.set_device(local_rank)
    store.set(f"here/{rank}", "")
    try:
        store.wait([f"here/{other}" for other in range(size)], timedelta(seconds=JOIN_SECONDS))
    except distributed.DistError as error:
        came = sum(store.check([f"here/{other}"]) for other in range(size))
        raise too_few(came, size) from error
    distributed.init_process_group(
        "nccl" if device == "cuda" else "gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE
    )
    if distributed.get_world_size() != size:
        raise too_few(distributed.get_world_size(), size)
    yield RankGroup(rank, size, device)
    distributed.destroy_process_group()  # not after an error: nccl would wait for the others


def too_few(came: int, asked: int) -> UserError:
    """Fewer processes started than were asked for."""
    return UserError(
        f"{asked} devices were asked for, and {came} of {asked} processes started",
        origin="--devices",
        hint=f"Start it with 'torchrun --nproc-per-node {asked} -m warmup_bench run ...', or without a "
        f"launcher and with --devices {asked}.",
    )


def rendezvous(address: str) -> Any:
    """The store of ``file:PATH``, for ranks of one machine, or of ``tcp:HOST:PORT``, a launcher's."""
    from torch import distributed

    kind, _, place = address.partition(":")
    if kind == "file":
        return distributed.FileStore(place, -1)  # type: ignore[attr-defined]
    host, _, port = place.rpartition(":")
    wait = timedelta(seconds=JOIN_SECONDS)
    return distributed.TCPStore(host, int(port), is_master=False, timeout=wait)  # type: ignore[attr-defined]
