"""Run logs for TensorBoard, Weights & Biases and MLflow, through accelerate's trackers; off by default.

A tracker follows the training's own log file: what it shows is what is stored, and a training does not know
of it. It is told the cell's settings and nothing of the environment; the keys of a service stay where that
service keeps them, and are never stored here.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from warmup_bench.contracts.errors import UserError
from warmup_bench.spec.cell import Cell

PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "mlflow": ("mlflow",)}
"""Trackers by the name that accelerate gives them, each with the packages of which it needs one."""
Step = Callable[[int, int, dict[str, float]], None]
"""What a training calls after every step."""
PROJECT = "warmup-bench"
SERVERS = {"mlflow": ("MLFLOW_TRACKING_URI", ""), "wandb": ("WANDB_BASE_URL", "https://api.wandb.ai")}
"""The variable that names a tracker's server, and the server where it is not set."""
WANDB_LOCAL = ("offline", "disabled", "dryrun")
"""Values of ``WANDB_MODE`` with which it asks no service."""
CONNECT_SECONDS = 3.0
"""How long a tracker's server may take to answer."""


def require_trackers(names: Sequence[str]) -> None:
    """See that every tracker is known and installed: better said now than after the warm start.

    Raises:
        UserError: One is not.
    """
    for name in names:
        if name not in PACKAGES:
            raise UserError(
                f"unknown tracker '{name}'", origin="track", hint=f"Trackers: {', '.join(PACKAGES)}."
            )
        if not any(map(find_spec, PACKAGES[name])):
            raise UserError(
                f"tracker '{name}' needs a package that is not installed",
                origin="track",
                hint=f"pip install {PACKAGES[name][0]}, or leave '{name}' out of 'track'.",
            )


def unreachable(name: str, timeout: float = CONNECT_SECONDS) -> tuple[str, str]:
    """Why a tracker's server can't be used from here, and what to do; ("", "") where nothing is known to.

    It is the one that the service's own client reads from ``MLFLOW_TRACKING_URI`` or ``WANDB_BASE_URL``.

    Args:
        name: A tracker.
        timeout: Seconds that an answer may take.
    """
    variable, usual = SERVERS.get(name, ("", ""))
    local = name == "wandb" and os.environ.get("WANDB_MODE", "").lower() in WANDB_LOCAL
    address = "" if local else os.environ.get(variable) or usual
    if not address.startswith(("http://", "https://")):
        return "", ""  # a folder or a database, which the client makes or finds itself
    scheme, _, rest = address.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    try:
        urlopen(f"{scheme}://{host}", timeout=timeout).close()
    except HTTPError:
        return "", ""  # it has answered
    except (OSError, ValueError, HTTPException) as error:
        hint = f"Start it, mend {variable}, or leave '{name}' out of 'track'."
        return f"{host or address} can't be reached: {_reason(error)}", hint
    return "", ""


@contextmanager
def tracked(
    names: Sequence[str], cell: Cell, out: Path, *, cpu: bool
) -> Iterator[Callable[[Path, Step], Step]]:
    """Start the trackers of a training; yields what makes its callback pass on what is new in its log.

    TensorBoard's files go to ``out/tracking/TRAINING``; the others keep their own rules on where to write. A
    training that goes on after it was stopped is a run of its own, with the steps before the stop in it. A
    tracker that fails half-way is left behind with a warning: it must not cost the training.

    Args:
        names: Trackers; (): nothing is started.
        cell: What is trained: its training id names the run, its settings are the configuration.
        out: Results folder.
        cpu: Whether it runs on the CPU.

    Raises:
        UserError: A tracker can't be started, e.g. for want of a login.
    """
    if not names:
        yield lambda log, then: then
        return
    from accelerate import Accelerator

    folder = out / "tracking"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "wandb": {"name": cell.training_id, "dir": str(folder)},
        "mlflow": {"run_name": cell.training_id},
    }
    try:
        accelerator = Accelerator(cpu=cpu, log_with=list(names), project_dir=folder / cell.training_id)
        accelerator.init_trackers(PROJECT, config=configuration(cell), init_kwargs=options)
        if len(accelerator.trackers) < len(names):  # it leaves out without a word what it does not find
            raise RuntimeError("accelerate does not find its package")
    except Exception as error:  # a service's client may raise anything
        raise UserError(
            f"tracker {' or '.join(names)} can't be started: {_reason(error)}",
            origin="track",
            hint="Log in to the service, or leave it out of 'track'.",
        ) from error
    working = True

    def attempt(action: Callable[[], None]) -> None:
        nonlocal working
        try:
            action()
        except Exception as error:
            working = False
            warnings.warn(f"tracking of {cell.training_id} has stopped: {_reason(error)}", stacklevel=2)

    def follow(log: Path, then: Step) -> Step:
        lines = new_lines(log)

        def publish() -> None:
            for line in next(lines):
                accelerator.log(figures(line), step=line["step"])

        def step(done: int, total: int, values: dict[str, float]) -> None:
            if working:
                attempt(publish)
            then(done, total, values)

        return step

    try:
        yield follow
    finally:
        if working:
            attempt(accelerator.end_training)


def new_lines(log: Path) -> Iterator[list[dict[str, Any]]]:
    """What has been added to a JSON-lines file since the last call, whole lines alone."""
    read = 0
    while True:
        with log.open("rb") as file:
            file.seek(read)
            added = [line for line in file if line.endswith(b"\n")]
        read += sum(map(len, added))
        yield [json.loads(line) for line in added]


def configuration(cell: Cell) -> dict[str, str | int | float | bool]:
    """The cell's coordinates and settings by dotted key, as trackers take them: None left out."""
    return dict(_flat(cell.model_dump(mode="json", exclude_none=True)))


def figures(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line of the log: ``train/loss`` and the like, or ``validation/…``; no skipped ones."""
    validation = line.get("validation")
    prefix, values = ("train", line) if validation is None else ("validation", validation)
    return {
        f"{prefix}/{key}": float(value)
        for key, value in values.items()
        if key != "step" and value is not None
    }


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{key}", value


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
