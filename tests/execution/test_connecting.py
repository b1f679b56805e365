"""What can go wrong before a cluster is reached."""

import socket
import sys
from pathlib import Path

import pytest

from plugin_files import planned
from warmup_bench.contracts.errors import UserError
from warmup_bench.execution.executors import cluster
from warmup_bench.execution.executors.choose import executor
from warmup_bench.plan.plan import choose_device
from warmup_bench.spec.spec import RunSpec, make_spec


def enter(**more: object) -> None:
    with executor(RunSpec(task="wmt", executor="ray", **more), "cpu", 1):  # type: ignore[arg-type]
        raise AssertionError("it is ready")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="ray is not installed") as raised:
        enter()
    assert raised.value.hint == 'pip install "warmup-bench[ray]"'


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[::1]:{}"])
def test_an_address_where_nobody_listens_is_refused_at_once(form: str) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = form.format(free.getsockname()[1])
        with pytest.raises(UserError, match="nothing answers at") as raised:
            enter(address=address)
    assert address in raised.value.problem
    assert raised.value.origin == "--address"


@pytest.mark.parametrize("address", ["nowhere", "host:port", "127.0.0.1:99999", ":", "127.0.0.1:"])
def test_what_is_no_address_is_refused(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=f"nothing answers at {address}"):
        enter(address=address)


def test_ray_is_not_imported_by_a_local_run() -> None:
    before = "ray" in sys.modules
    with executor(RunSpec(task="wmt"), "cpu", 1) as run_steps:
        assert run_steps([], lambda event: None) == {}
    assert ("ray" in sys.modules) == before


def test_a_gpu_may_be_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA device"):
        choose_device("cuda")
    assert choose_device("cuda", elsewhere=True) == "cuda"
    assert choose_device("auto", elsewhere=True) == "cpu"
    with pytest.raises(UserError, match=r"train.dtype=auto asks this machine's GPU"):
        planned(tmp_path, executor="ray", device="cuda")
    plan = planned(tmp_path, executor="ray", device="cuda", train={"dtype": "bfloat16"})
    assert plan.device == "cuda"


@pytest.mark.parametrize(
    ("key", "value"),
    [("executor", "slurm"), ("retries", -1), ("resources", {"cpus": 0}), ("resources", {"gpu": 1})],
)
def test_a_spec_says_what_it_can(key: str, value: object) -> None:
    with pytest.raises(UserError):
        make_spec({"task": "wmt", key: value}, "a test")
