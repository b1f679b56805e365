"""Examples as token ids, batches as padded tensors, and the order in which training meets them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from warmup_bench.contracts.task import Example
from warmup_bench.models.base import Backbone
from warmup_bench.models.device import sent, waits
from warmup_bench.models.state import State

POOL = 20
"""Batches a pool: within a pool of shuffled examples, those of like length share a batch (less padding)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as ids: the source as the backbone reads it, the target with eos, a given warmup."""

    source: list[int]
    target: list[int]
    warmup: list[int] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded ids: source and mask [batch, source], target [batch, target], target_lengths [batch].

    ``given`` holds the warmup of every input where the method gives them.
    """

    source: Tensor
    mask: Tensor
    target: Tensor
    target_lengths: Tensor
    given: list[list[int]] | None = None

    @property
    def size(self) -> int:
        """Number of inputs."""
        return self.source.shape[0]


def encode_examples(
    backbone: Backbone, examples: Sequence[Example], max_source: int, max_target: int
) -> tuple[list[Encoded], int]:
    """Token ids of every example, and how many had a source or target that was cut."""
    sources = backbone.many_ids([example.source for example in examples])
    targets = backbone.many_ids([example.target for example in examples], target=True)
    framed = [frame(backbone, *pair, max_source, max_target) for pair in zip(sources, targets, strict=True)]
    return [encoded for encoded, _ in framed], sum(cut for _, cut in framed)


def frame(
    backbone: Backbone, source: list[int], target: list[int], max_source: int, max_target: int
) -> tuple[Encoded, bool]:
    """An example of the ids of its texts, within limits that count what is placed around them; whether a text
    was cut."""
    framed, cut = backbone.framed(source, max_source)
    kept = target[: max_target - 1]
    return Encoded(framed, [*kept, backbone.tokens.eos]), cut or len(kept) < len(target)


def collate(items: Sequence[Encoded], pad: int, device: torch.device) -> Batch:
    """Pad to the longest of the batch; on a GPU to a multiple of 8, as its kernels like it."""
    multiple = 8 if waits(device) else 1
    source, lengths = _pad([item.source for item in items], pad, multiple)
    target, target_lengths = _pad([item.target for item in items], pad, multiple)
    mask = (torch.arange(source.shape[1]) < lengths[:, None]).long()
    given = [item.warmup for item in items if item.warmup is not None]
    source, mask, target, target_lengths = (
        sent(tensor, device) for tensor in (source, mask, target, target_lengths)
    )
    return Batch(source, mask, target, target_lengths, given or None)


def encode_sources(backbone: Backbone, sources: Sequence[list[int]]) -> State:
    """Read a batch of inputs that have no targets yet, [inputs]."""
    tokens = backbone.tokens
    batch = collate([Encoded(ids, [tokens.eos]) for ids in sources], tokens.pad, backbone.device)
    return backbone.encode(batch.source, batch.mask)


def _pad(rows: Sequence[list[int]], pad: int, multiple: int) -> tuple[Tensor, Tensor]:
    lengths = [len(row) for row in rows]
    width = -(-max(lengths) // multiple) * multiple
    return torch.tensor([row + [pad] * (width - len(row)) for row in rows]), torch.tensor(lengths)


def training_order(items: Sequence[Encoded], batch_size: int, seed: int) -> Iterator[list[int]]:
    """Endless batches of indices: a function of seed and data only, so every method meets the same.

    Batches are whole: what an epoch leaves over is left out of it, at random.
    """
    generator = torch.Generator().manual_seed(seed)
    batch_size = min(batch_size, len(items))
    pool = batch_size * POOL
    while True:
        order = torch.randperm(len(items), generator=generator).tolist()
        # Before the sort by length: else the longest would be left over, in a small data set always the same.
        order = order[: len(order) - len(order) % batch_size]
        for start in range(0, len(order), pool):
            part = sorted(
                order[start : start + pool], key=lambda i: len(items[i].source) + len(items[i].target)
            )
            batches = [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
            for index in torch.randperm(len(batches), generator=generator).tolist():
                yield batches[index]
