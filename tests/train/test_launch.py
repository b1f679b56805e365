"""How many devices a cell gets, and what is refused: never fewer than were asked for without a word."""

import pytest
import torch

from warmup_bench.contracts.errors import UserError
from warmup_bench.models import parallel
from warmup_bench.train.launch import Launch, check_workers, choose_devices, launched, leading

TORCHRUN = {
    "RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "node7",
    "MASTER_PORT": "4711",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
}


def test_where_a_launcher_has_put_a_process():
    assert launched({}) is None
    assert launched(TORCHRUN | {"WORLD_SIZE": "1", "RANK": "0"}) is None
    launch = launched(TORCHRUN)
    assert launch == Launch(1, 4, 1, 2, "node7", 4711, hosted=True)
    assert launch.address == "tcp:node7:4711"
    assert launched({"RANK": "1", "WORLD_SIZE": "2"}) == Launch(1, 2, 1, 2, "127.0.0.1", 29500, hosted=False)


@pytest.mark.parametrize(
    ("wish", "environ", "devices"), [(None, {}, 1), (3, {}, 3), (None, TORCHRUN, 4), (4, TORCHRUN, 4)]
)
def test_devices_are_those_asked_for_or_started(wish, environ, devices):
    assert choose_devices(wish, "cpu", environ) == devices


@pytest.mark.parametrize("wish", [1, 2, 8])
def test_other_numbers_than_were_started_are_refused(wish):
    with pytest.raises(
        UserError, match=f"{wish} devices were asked for, and 4 of {wish} processes started"
    ) as e:
        choose_devices(wish, "cpu", TORCHRUN)
    assert f"--nproc-per-node {wish} -m warmup_bench run" in e.value.hint


def test_accelerate_starting_one_process_for_several_is_refused():
    """What accelerate 1.15 leaves in the environment for --cpu --num_processes 2, and for 1."""
    one = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_CPU": "True"}
    assert choose_devices(None, "cpu", one) == 1
    with pytest.raises(UserError, match="asked for 2 processes or more, and has started 1"):
        choose_devices(None, "cpu", one | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"})


@pytest.mark.parametrize(
    ("variable", "name"), [("ACCELERATE_USE_FSDP", "FSDP"), ("ACCELERATE_USE_DEEPSPEED", "DeepSpeed")]
)
def test_sharded_models_are_refused(variable, name):
    with pytest.raises(UserError, match=f"{name} shards a model"):
        choose_devices(None, "cpu", TORCHRUN | {variable: "true"})
    assert choose_devices(None, "cpu", {variable: "false"}) == 1


def test_more_devices_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_devices(2, "cuda", {}) == 2
    with pytest.raises(UserError, match="3 devices were asked for, and this machine has 2 GPUs") as error:
        choose_devices(3, "cuda", {})
    assert "--devices 2" in error.value.hint
    assert choose_devices(4, "cuda", TORCHRUN) == 4  # two on each of two machines
    with pytest.raises(UserError, match="4 devices were asked for, and this machine has 2 GPUs"):
        choose_devices(4, "cuda", TORCHRUN | {"LOCAL_WORLD_SIZE": "4"})


def test_cells_at_once_do_not_share_gpus():
    check_workers(4, 2, "cpu")
    check_workers(4, 1, "cuda")
    check_workers(None, 2, "cuda")
    with pytest.raises(UserError, match="4 cells of 2 devices each can't run at once"):
        check_workers(4, 2, "cuda")


def test_ranks_that_do_not_come_are_named(monkeypatch):
    monkeypatch.setattr(parallel, "JOIN_SECONDS", 0.3)
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="2 devices were asked for, and 1 of 2 processes started"), leading():
        pytest.fail("nothing may run")
    store = torch.distributed.HashStore()
    with (
        pytest.raises(UserError, match="3 devices were asked for, and 1 of 3 processes started"),
        parallel.joined(0, 3, store, device="cpu", local_rank=0),
    ):
        pytest.fail("nothing may run")
