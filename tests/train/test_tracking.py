"""Trackers: a stand-in for a service, and TensorBoard's own files read back."""

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import accelerate.tracking
import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from accelerate.utils import LoggerType

import warmup_bench.train.tracking
from command import invoke
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Settings
from warmup_bench.spec.cell import Cell
from warmup_bench.spec.spec import make_spec
from warmup_bench.train.tracking import (
    configuration,
    figures,
    new_lines,
    require_trackers,
    tracked,
    unreachable,
)

CELL = Cell(
    task="t",
    task_version=1,
    subset="all",
    scale="mini",
    backbone="nano",
    method="sft",
    warmup="none",
    seed=7,
    settings=Settings(),
    data="feed",
    code={"task": "1", "backbone": "1", "method": "1"},
)
LINES = [
    {"step": 1, "validation": {"loss": 3.5}},
    {"step": 2, "loss": 2.25, "grad_norm": None, "seconds": 0.5},
    {"step": 4, "loss": 1.5, "grad_norm": 0.75, "seconds": 1.0},
]


class StandIn(GeneralTracker):
    """What a service is told, kept in memory."""

    name = "wandb"
    requires_logging_directory = False
    told: ClassVar[list[Any]] = []
    fails = False

    def __init__(self, run_name: str, **options: Any) -> None:
        super().__init__()
        self.told.append(("start", run_name, options))

    @property
    def tracker(self) -> None:
        """There is no service."""

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.told.append(("configuration", values))

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        if self.fails:
            raise ConnectionError("the service is away")
        self.told.append((step, values))

    def finish(self) -> None:
        self.told.append("finish")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "wandb", StandIn)
    monkeypatch.setattr(accelerate.tracking, "_available_trackers", [LoggerType.WANDB])
    monkeypatch.setattr(StandIn, "told", [])
    return StandIn


def write(log: Path, lines: list[dict[str, Any]]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_a_tracker_is_told_the_settings_and_every_line_of_the_log_once(
    service: type[StandIn], tmp_path: Path
) -> None:
    log, steps = tmp_path / "log.jsonl", []
    with tracked(["wandb"], CELL, tmp_path, cpu=True) as follow:
        step = follow(log, lambda done, total, values: steps.append((done, total, values)))
        write(log, LINES[:1])
        step(1, 4, {"loss": 1.0})
        step(2, 4, {})
        write(log, LINES[1:])
        step(4, 4, {})
    assert steps == [(1, 4, {"loss": 1.0}), (2, 4, {}), (4, 4, {})]
    start, (_, values), *rest = service.told
    assert start == ("start", "warmup-bench", {"name": CELL.training_id, "dir": str(tmp_path / "tracking")})
    assert values == configuration(CELL)
    assert rest == [
        (1, {"validation/loss": 3.5}),
        (2, {"train/loss": 2.25, "train/seconds": 0.5}),
        (4, {"train/loss": 1.5, "train/grad_norm": 0.75, "train/seconds": 1.0}),
        "finish",
    ]


def test_a_service_that_goes_away_does_not_cost_the_training(
    service: type[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "fails", True)
    log, steps = tmp_path / "log.jsonl", []
    write(log, LINES)
    with (
        pytest.warns(UserWarning, match="tracking of .* has stopped: the service is away"),
        tracked(["wandb"], CELL, tmp_path, cpu=True) as follow,
    ):
        step = follow(log, lambda done, total, values: steps.append(done))
        step(1, 2, {})
        step(2, 2, {})
    assert steps == [1, 2]
    assert "finish" not in service.told


def test_a_service_that_does_not_start_is_told_before_the_training(
    service: type[StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: StandIn, run_name: str, **options: Any) -> None:
        raise RuntimeError("no API key configured")

    monkeypatch.setattr(service, "__init__", refuse)
    with (
        pytest.raises(UserError, match="wandb can't be started: no API key configured"),
        tracked(["wandb"], CELL, tmp_path, cpu=True),
    ):
        raise AssertionError("not reached")


def test_without_trackers_nothing_is_made(tmp_path: Path) -> None:
    def then(done: int, total: int, values: dict[str, float]) -> None:
        """The training's own callback."""

    with tracked([], CELL, tmp_path, cpu=True) as follow:
        assert follow(tmp_path / "none", then) is then
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_not_whole_is_left_for_later(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"a": 1}\n{"b"')
    lines = new_lines(log)
    assert next(lines) == [{"a": 1}]
    assert next(lines) == []
    with log.open("a") as file:
        file.write(": 2}\n")
    assert next(lines) == [{"b": 2}]


def test_the_configuration_is_plain_and_knows_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a-secret")
    values = configuration(CELL)
    assert values["settings.train.batch_size"] == 32
    assert (values["seed"], values["method"]) == (7, "sft")
    assert all(isinstance(value, str | int | float | bool) for value in values.values())
    assert "a-secret" not in str(values)


def test_skipped_steps_have_no_figure() -> None:
    assert figures({"step": 3, "loss": None, "ess": 2}) == {"train/ess": 2.0}


def test_trackers_are_checked_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"unknown tracker 'tensorbord'.*tensorboard, wandb, mlflow"):
        require_trackers(["tensorbord"])
    monkeypatch.setattr(warmup_bench.train.tracking, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tracker 'mlflow' needs a package.*pip install mlflow"):
        require_trackers(["mlflow"])
    require_trackers([])


def test_the_spec_takes_a_list_or_names() -> None:
    for given in ("tensorboard, wandb", ["tensorboard", "wandb"]):
        assert make_spec({"task": "t", "track": given}, "a test").track == ("tensorboard", "wandb")
    with pytest.raises(UserError, match="repeated"):
        make_spec({"task": "t", "track": ["wandb", "wandb"]}, "a test")
    assert make_spec({"task": "t"}, "a test").track == ()


def test_a_run_is_the_same_with_tensorboard_and_stands_in_its_files(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    small = ("--task", "wmt", "--method", "sft", "--seeds", "1", "--workers", "1", "--offline")
    small += ("--limit", "train=64,validation=8,test=8", "--budget", "steps=3")
    small += ("--set", "warm_start.steps=1", "--set", "decode.max_tokens=4", "--set", "train.log_every=2")
    for out, more in (("plain", ()), ("tracked", ("--set", "track=[tensorboard]"))):
        done = invoke("run", *small, "--out", out, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    cells = [next((tmp_path / out / "cells").iterdir()) for out in ("plain", "tracked")]
    assert cells[0].name == cells[1].name
    written = [(cell / "decode" / "predictions.parquet").read_bytes() for cell in cells]
    assert written[0] == written[1]
    assert not (tmp_path / "plain" / "tracking").exists()
    (training,) = (tmp_path / "tracked" / "tracking").iterdir()
    assert (tmp_path / "tracked" / "trainings" / training.name).is_dir()
    events = EventAccumulator(str(training / "warmup-bench")).Reload()
    log = (tmp_path / "tracked" / "trainings" / training.name / "log.jsonl").read_text().splitlines()
    losses = [(line["step"], line["loss"]) for line in map(json.loads, log) if "loss" in line]
    found = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert [step for step, _ in found] == [step for step, _ in losses] == [2, 3]
    assert [value for _, value in found] == pytest.approx([value for _, value in losses], rel=1e-6)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting of any service, and no proxy."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "MLFLOW_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_server_that_does_not_answer_is_found_before_the_run(bare: pytest.MonkeyPatch) -> None:
    port = closed_port()
    bare.setenv("MLFLOW_TRACKING_URI", f"http://someone:hunter2@127.0.0.1:{port}/api")
    reason, hint = unreachable("mlflow")
    assert reason.startswith(f"127.0.0.1:{port} can't be reached")
    assert "MLFLOW_TRACKING_URI" in hint
    assert "hunter2" not in reason + hint
    bare.setenv("WANDB_BASE_URL", f"http://localhost:{port}")
    assert f"localhost:{port} can't be reached" in unreachable("wandb")[0]
    bare.setenv("WANDB_MODE", "offline")
    assert unreachable("wandb") == ("", "")


def test_a_server_that_answers_anything_is_there(bare: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # 501 to every request
        threading.Thread(target=server.serve_forever, daemon=True).start()
        bare.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        assert unreachable("mlflow") == ("", "")
        server.shutdown()


@pytest.mark.parametrize("address", [None, "", "runs/mlruns", "file:///x", "sqlite:///x.db", "databricks"])
def test_what_is_no_server_is_the_clients_own_affair(bare: pytest.MonkeyPatch, address: str | None) -> None:
    if address is not None:
        bare.setenv("MLFLOW_TRACKING_URI", address)
    assert unreachable("mlflow") == unreachable("tensorboard") == ("", "")


@pytest.mark.parametrize("address", ["http://", "http://x:port", "http://[::1"])
def test_an_address_that_is_none_is_named(bare: pytest.MonkeyPatch, address: str) -> None:
    bare.setenv("MLFLOW_TRACKING_URI", address)
    reason, hint = unreachable("mlflow")
    assert "can't be reached" in reason
    assert "mend MLFLOW_TRACKING_URI" in hint
