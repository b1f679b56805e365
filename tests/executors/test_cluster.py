"""Cells on a real Ray cluster of several nodes on this machine: the numbers of a local run, bit for bit."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugin_files import write_plugins
from same_results import assert_same

from harness.errors import UserError
from harness.executors import Event, cluster
from harness.plan import Plan, make_plan
from harness.runner import execute, outstanding
from harness.spec import make_spec
from harness.store import DONE

ray = pytest.importorskip("ray")
SMALL = {"object_store_memory": 80 * 2**20, "include_dashboard": False}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of a head without CPUs and two nodes of one each, to which this process is connected."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    # A node counts as dead after a second without a sign of life, and not after fifteen.
    config = {"health_check_period_ms": 500, "health_check_failure_threshold": 2}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": config, **SMALL})
    for _ in range(2):
        made.add_node(num_cpus=1, **SMALL)
    ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
    yield made
    ray.shutdown()
    made.shutdown()


def plan(place: Path, out: str, **more: Any) -> Plan:
    files = write_plugins(place)
    content = {
        "task": files["task"],
        "backbones": [files["backbone"]],
        "methods": ["sft", "warmup", "shuffled"],
        "match": ["warmup"],
        "seeds": 2,
        "limit": {"train": 24, "validation": 8, "test": 8},
        "train": {"checkpoint_every": 2, "dropout": 0.1, "eval_every": 3},
        "warm_start": {"steps": 6},
        "out": str(place / out),
    }
    return make_plan(make_spec(content | more, "a test"))


def run(made: Plan, listener: Any = lambda event: None) -> None:
    work = outstanding(made)
    assert execute(made, work, listener) == {}
    assert outstanding(made).pending == ()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("local")
    run(plan(place, "local", workers=1))
    return place


def test_a_cluster_gives_the_numbers_of_a_local_run(nodes: Any, local: Path) -> None:
    made, events = plan(local, "shared", executor="ray"), []
    assert [cell.id for cell in made.cells] == [cell.id for cell in plan(local, "local").cells]
    steps = outstanding(made).steps
    run(made, events.append)
    assert_same(local / "local", local / "shared")
    ended = Counter(event.job for event in events if event.kind == "done")
    assert ended == {step.key: 1 for step in steps}  # warm starts are made once for all methods of a seed
    assert {event.job for event in events if event.kind == "started"} == set(ended)
    assert {event.stage for event in events} >= {"warm start", "training", "decode", "score"}


def test_nodes_that_do_not_share_the_folder_send_back_what_they_make(
    nodes: Any, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(local, "apart", executor="ray")
    # Workers look for the driver's lock; they find this one in no file, as if the folder were not there.
    monkeypatch.setattr(cluster, "read_owner", lambda path: {"token": "of another machine"})

    def listener(event: Event) -> None:
        assert not (made.out / "checkpoints").exists()  # nobody works in the driver's folder

    run(made, listener)
    assert_same(local / "local", local / "apart")


def test_a_node_that_dies_costs_nothing_but_time(nodes: Any, local: Path) -> None:
    longer = {"budget": {"steps": 150}, "methods": ["sft", "warmup"], "match": [], "retries": 1}
    run(plan(local, "whole", workers=1, **longer))
    made = plan(local, "killed", executor="ray", **longer)
    victim, events, stored = nodes.add_node(num_cpus=1, **SMALL), [], {}

    def listener(event: Event) -> None:
        events.append(event)
        under_way = {e.job for e in events if e.stage == "training"}
        if not stored and len(under_way) == 3 and event.done > 4:  # one on each node
            stored.update(
                {p: p.stat().st_mtime_ns for p in made.out.rglob(DONE) if p.parts[-3] != "checkpoints"}
            )
            nodes.remove_node(victim, allow_graceful=False)

    run(made, listener)
    assert_same(local / "whole", local / "killed")
    assert stored
    assert all(path.stat().st_mtime_ns == when for path, when in stored.items())
    ended = Counter(event.job for event in events if event.kind == "done")
    assert set(ended.values()) == {1}
    (lost,) = (key for key, n in Counter(e.job for e in events if e.kind == "started").items() if n == 2)
    again = [place for place, e in enumerate(events) if e.job == lost and e.kind == "started"][1]
    first = next(e for e in events[again:] if e.job == lost and e.kind == "progress")
    assert first.done > 2  # from its checkpoint


def test_what_no_node_has_is_said_before_the_first_step(nodes: Any, tmp_path: Path) -> None:
    made = plan(tmp_path, "out", executor="ray", resources={"cpus": 64})
    with pytest.raises(UserError, match=r"no node of the cluster has 64 CPUs for a step; it has 3: .*1 CPUs"):
        execute(made, outstanding(made), lambda event: None)
    assert list((tmp_path / "out").iterdir()) == []
