"""Ranks of a group as forks of the tests' own process, so that torch is imported once."""

import multiprocessing
import tempfile
from pathlib import Path

import torch

from warmup_bench.models.parallel import ALONE, joined, rendezvous

forking = multiprocessing.get_context("fork")


def in_ranks(size, work):
    """What ``work(group)`` returns on each of ``size`` ranks, in their order; plain data."""
    if size == 1:
        return [work(ALONE)]
    with tempfile.TemporaryDirectory() as folder:
        address = f"file:{Path(folder) / 'store'}"
        members = []
        for rank in range(size):
            ours, theirs = forking.Pipe(duplex=False)
            process = forking.Process(target=_be, args=(rank, size, address, theirs, work), daemon=True)
            process.start()
            theirs.close()
            members.append((process, ours))
        try:
            return [pipe.recv() for _, pipe in members]
        finally:
            for process, _ in members:
                process.join(10)
                process.kill()
                process.join()


def _be(rank, size, address, pipe, work):
    torch.set_num_threads(1)
    with joined(rank, size, rendezvous(address), device="cpu", local_rank=rank) as group:
        pipe.send(work(group))
