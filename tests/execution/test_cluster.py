"""Cells on a real Ray cluster of several nodes on this machine: the numbers of a local run, bit for bit."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from plugin_files import planned
from same_results import assert_same
from warmup_bench.contracts.errors import UserError
from warmup_bench.execution.executors import Event, cluster
from warmup_bench.execution.runner import execute
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.plan import Plan
from warmup_bench.store.folders import DONE

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(900)  # several processes import torch: half a minute on free cores
SMALL = {"object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of a head without CPUs and two nodes of one each, to which this process is connected."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL})
    for _ in range(2):
        made.add_node(num_cpus=1, **SMALL)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


def plan(place: Path, out: str, **more: Any) -> Plan:
    content = {
        "limit": {"train": 24, "validation": 8, "test": 8},
        "train": {"checkpoint_every": 2, "dropout": 0.1, "eval_every": 3},
        "warm_start": {"steps": 6},
        "out": str(place / out),
    }
    return planned(place, **content | more)


def run(made: Plan, listener: Any = lambda event: None) -> None:
    work = outstanding(made)
    assert execute(made, work, listener) == {}
    assert outstanding(made).pending == ()


def cut_power(node: Any) -> None:
    """Kill a node with its workers: without them, they may finish their step before they miss it."""
    raylet = node.all_processes["raylet"][0].process.pid
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    doomed = [raylet]
    for pid in doomed:  # it grows: a worker may be a child of a child
        doomed += [child for child, parent in parents.items() if parent == pid]
    for pid in doomed:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_cluster_gives_the_numbers_of_a_local_run(nodes: Any, tmp_path: Path) -> None:
    kinds = {"methods": ["sft", "warmup", "shuffled"], "match": ["warmup"]}
    run(plan(tmp_path, "local", workers=1, **kinds))
    made = plan(tmp_path, "cluster", executor="ray", **kinds)
    steps, events = outstanding(made).steps, []
    run(made, events.append)
    assert_same(tmp_path / "local", tmp_path / "cluster")
    ended = Counter(event.job for event in events if event.kind == "done")
    assert ended == {step.key: 1 for step in steps}  # warm starts are made once for all methods of a seed
    assert {event.job for event in events if event.kind == "started"} == set(ended)
    for seed in ("seed0", "seed1"):
        stages = {event.stage for event in events if seed in event.job}
        assert stages >= {"warm start", "training", "decode", "score"}
    assert not list((made.out / "locks").glob("*.probe"))


def test_a_folder_that_a_node_does_not_see_is_named_before_the_first_step(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(tmp_path, "out", executor="ray")

    @contextmanager
    def elsewhere(out: Path) -> Iterator[Path]:
        yield tmp_path / "elsewhere" / "locks" / "probe"

    monkeypatch.setattr(cluster, "_probe", elsewhere)
    with pytest.raises(UserError, match=r"does not see the results folder .*elsewhere"):
        execute(made, outstanding(made), lambda event: None)


def test_what_no_node_has_is_said_before_the_first_step(nodes: Any, tmp_path: Path) -> None:
    made = plan(tmp_path, "out", executor="ray", resources={"cpus": 64})
    with pytest.raises(UserError, match=r"no node of the cluster has 64 CPUs for a step; it has 3: .*1 CPUs"):
        execute(made, outstanding(made), lambda event: None)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_a_node_that_dies_costs_nothing_but_time(
    nodes: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # So long that nobody has finished before the loss is noticed: then nothing would be left to go on with.
    longer = {"budget": {"steps": 1500}, "methods": ["sft"], "train": {"checkpoint_every": 10}}
    run(plan(tmp_path, "whole", workers=1, **longer))
    made = plan(tmp_path, "killed", executor="ray", retries=1, **longer)
    victim, events, stored = nodes.worker_nodes.copy().pop(), [], {}

    def listener(event: Event) -> None:
        events.append(event)
        if not stored and event.kind == "progress" and event.stage == "training":
            reached = {e.job: e.done for e in events if e.kind == "progress" and e.stage == "training"}
            if len(reached) == 2 and all(10 < done < 300 for done in reached.values()):  # one on each node
                stored.update({path: path.stat().st_mtime_ns for path in made.out.glob(f"*/*/{DONE}")})
                cut_power(victim)
                nodes.remove_node(victim, allow_graceful=False)

    run(made, listener)
    nodes.add_node(num_cpus=1, **SMALL)
    assert stored, "both trainings were over before a node was killed"
    assert_same(tmp_path / "whole", tmp_path / "killed")
    assert all(path.stat().st_mtime_ns == when for path, when in stored.items())
    ended = Counter(event.job for event in events if event.kind == "done")
    assert ended == {step.key: 1 for step in outstanding(plan(tmp_path, "other", **longer)).steps}
    assert "its node or worker was lost" in caplog.text
    begun = [place for place, event in enumerate(events) if event.kind == "started"]
    (again,) = (at for n, at in enumerate(begun) if events[at].job in {events[k].job for k in begun[:n]})
    went_on = next(e for e in events[again:] if e.job == events[again].job and e.kind == "progress")
    assert went_on.done > 10  # from a checkpoint, not from the first step
