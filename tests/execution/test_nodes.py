import pytest

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Resources
from warmup_bench.execution.executors.nodes import (
    Node,
    needed_resources,
    require_room,
    require_same_versions,
    room,
    versions,
)

NODES = [
    Node("a", "big", {"CPU": 16.0, "GPU": 4.0, "memory": 64e9}),
    Node("b", "small", {"CPU": 4.0, "memory": 7.9e9}),
]


@pytest.mark.parametrize(
    ("given", "threads", "device", "need"),
    [
        ({}, 1, "cpu", {"CPU": 1}),
        ({}, 4, "cuda", {"CPU": 4, "GPU": 1}),
        ({"cpus": 0.5, "gpus": 0.25, "memory": 2.5}, 4, "cuda", {"CPU": 0.5, "GPU": 0.25, "memory": 2.5e9}),
        ({"gpus": 0}, 2, "cuda", {"CPU": 2}),
    ],
)
def test_what_a_step_takes(given, threads, device, need):
    assert needed_resources(Resources(**given), threads, device) == need


@pytest.mark.parametrize(
    ("need", "steps"),
    [
        ({"CPU": 1.0}, 16 + 4),
        ({"CPU": 3.0}, 5 + 1),
        ({"CPU": 1.0, "GPU": 1.0}, 4),
        ({"CPU": 1.0, "GPU": 0.5}, 8),
        ({"CPU": 1.0, "memory": 4e9}, 16 + 1),
        ({"CPU": 17.0}, 0),  # 20 in all, but not on one node
    ],
)
def test_a_step_does_not_spread_over_nodes(need, steps):
    assert room(NODES, need) == steps
    if steps:
        require_room(NODES, need)
        return
    with pytest.raises(UserError) as raised:
        require_room(NODES, need)
    assert raised.value.problem == (
        "no node of the cluster has 17 CPUs for a step; it has 2: big (16 CPUs, 4 GPUs, 64 GB of memory); "
        "small (4 CPUs, 0 GPUs, 7.9 GB of memory)"
    )


def test_versions_that_differ_are_named():
    here = versions()
    assert {"python", "torch", "transformers", "warmup-bench"} <= here.keys()
    assert "+" not in here["torch"]  # a build for a GPU is the same version
    require_same_versions(here, dict(here), "n1")
    there = here | {"torch": "1.0", "python": "3.9.1"}
    with pytest.raises(
        UserError, match=rf"node n1 has python 3.9.1 \(here: .*\); torch 1.0 \(here: {here['torch']}\)"
    ):
        require_same_versions(here, there, "n1")
    del there["numpy"]
    with pytest.raises(UserError, match="numpy none"):
        require_same_versions(here, there, "n1")
