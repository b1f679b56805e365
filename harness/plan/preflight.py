"""What a run needs besides its spec, found before the first step: packages, models, room and permission.

:func:`missing_pieces` looks at what one run needs; :func:`machine` at everything that this program can use.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from warmup_bench.contracts.errors import UserError
from warmup_bench.store.provenance import free_cores

if TYPE_CHECKING:
    from warmup_bench.contracts.preset import Preset
    from warmup_bench.plan.jobs import Work
    from warmup_bench.plan.plan import Plan

State = Literal["ok", "missing", "absent"]
"""``missing``: a run can't do without it; ``absent``: only what is named needs it."""
MARGIN = 100_000_000
"""Bytes that predictions, statistics and logs may take beside the models (our choice, generous)."""
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True, slots=True)
class Need:
    """One row of ``warmup-bench doctor``: what was looked for, how it is, and what to do where it is not."""

    what: str
    state: State
    detail: str
    hint: str = ""


def require(plan: "Plan", work: "Work") -> None:
    """Refuse a run that would fail later.

    Raises:
        UserError: All that is missing, in one sentence each.
    """
    missing = [need for need in missing_pieces(plan, work) if need.state == "missing"]
    if missing:
        problems = "; ".join(f"{need.what}: {need.detail}" for need in missing)
        hints = " ".join(need.hint for need in missing)
        raise UserError(problems, origin="checks before the first step", hint=hints)


def missing_pieces(plan: "Plan", work: "Work") -> Iterator[Need]:
    """What the outstanding steps of a plan need: packages, checkpoints, trackers, permission, room."""
    yield writable(plan.out)
    if any(step.kind == "training" for step in work.steps):
        yield from map(tracker_state, plan.spec.track)
    starts = {step.job.backbone for step in work.steps if step.kind == "warm start"}
    sizes = {
        step.job.backbone: _stored_parameters(step.job.warm_start_folder)
        for step in work.steps
        if step.kind == "training"
    }
    for reference in sorted({*starts, *sizes}):
        preset = plan.presets[reference].value
        adapted = any(c.settings.lora.rank for c in plan.cells if c.backbone == preset.name)
        if adapted and find_spec("peft") is None:
            yield Need("LoRA", "missing", "package peft is not installed", "pip install 'warmup-bench[lora]'")
        if reference not in starts:
            continue
        if preset.checkpoint is not None:
            yield (checkpoint := checkpoint_state(preset, offline=plan.spec.offline))
            if checkpoint.state != "ok":
                continue
        try:
            sizes[reference] = count_parameters(preset, offline=plan.spec.offline)
        except Exception as error:  # a configuration may be wrong in any way
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            detail = f"its configuration can't be read: {reason[:200]}"
            yield Need(f"backbone {preset.name}", "missing", detail, "Mend or replace it.")
    fewer = "" if plan.spec.store.models == "none" else " --set store.models=none keeps no models."
    yield room(plan.out, bytes_needed(plan, work, sizes), fewer)


def writable(out: Path) -> Need:
    """Whether a results folder can be made and written; nothing is left behind."""
    try:
        with tempfile.TemporaryFile(dir=_existing(out)):
            pass
    except OSError as error:
        detail = f"results folder {out} is not writable: {error.strerror}"
        return Need("write permission", "missing", detail, "Choose another --out.")
    return Need("write permission", "ok", str(out))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def room(out: Path, needed: int, hint: str = "") -> Need:
    """Whether the disk of a results folder has ``needed`` bytes; ``hint``: what would help besides."""
    free = shutil.disk_usage(_existing(out)).free
    detail = f"{free / 1e9:.1f} GB free at {out}"
    if free >= needed:
        return Need("disk", "ok", detail)
    detail += f", about {needed / 1e9:.1f} GB needed"
    return Need("disk", "missing", detail, f"Free some, or choose another --out.{hint}")


def bytes_needed(plan: "Plan", work: "Work", sizes: dict[str, int]) -> int:
    """An upper estimate of what stands on the disk of what the outstanding steps write, when most does.

    Every model is stored in fp32 (with LoRA a training stores adapters only, which is left out here). Each
    running step keeps up to three checkpoints for a moment, with two more numbers a weight for AdamW. Models
    that ``store.models`` lets go are counted as :meth:`warmup_bench.plan.costs.Disk.peak` does; those of a
    shard whose warm start other shards need stay until these are done, which is left out here.

    Args:
        plan: The plan.
        work: What is outstanding.
        sizes: Parameters of each backbone, by reference.
    """
    from warmup_bench.plan.costs import Disk
    from warmup_bench.train.checkpoint import KEPT

    models = [s for s in work.steps if s.kind in ("warm start", "training") and s.job.backbone in sizes]
    disk = Disk()
    for step in models:
        kinds = {
            "training": disk.trainings,
            "warm start": disk.bases if step.job.keeps_start else disk.starts,
        }
        kinds[step.kind].append(4 * sizes[step.job.backbone])
    stored = disk.peak(plan.spec.store.models, work.workers)
    running = max((4 * sizes[step.job.backbone] * 3 * (KEPT + 1) for step in models), default=0)
    return stored + min(work.workers, len(models)) * running + MARGIN


def count_parameters(preset: "Preset", *, offline: bool) -> int:
    """Parameters of a backbone, from its configuration alone: no weight is allocated or read."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    if preset.checkpoint is not None:
        config = AutoConfig.from_pretrained(
            preset.checkpoint,
            revision=preset.revision,
            local_files_only=offline or Path(preset.checkpoint).is_dir(),
            trust_remote_code=False,
        )
    else:
        settings = dict(preset.config)
        config = AutoConfig.for_model(settings.pop("model_type"), vocab_size=preset.vocabulary, **settings)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


def _stored_parameters(folder: Path) -> int:
    """Parameters of a model that is stored in fp32; 0 where there is none."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) // 4


def checkpoint_state(preset: "Preset", *, offline: bool) -> Need:
    """Whether a pretrained checkpoint is on this machine, or can be fetched; nothing is downloaded."""
    assert preset.checkpoint is not None
    what, revision = f"backbone {preset.name}", preset.revision
    folder = Path(preset.checkpoint)
    if folder.is_dir():
        if any((folder / name).is_file() for name in _WEIGHTS):
            return Need(what, "ok", str(folder))
        return Need(what, "missing", f"{folder} has no weights in safetensors", "Convert them.")
    from huggingface_hub import file_exists, try_to_load_from_cache

    if any(
        isinstance(try_to_load_from_cache(preset.checkpoint, n, revision=revision), str) for n in _WEIGHTS
    ):
        return Need(what, "ok", f"{preset.checkpoint} in the cache")
    if offline:
        hint = "Run once with a network and without --offline, or give --backbone FOLDER."
        return Need(what, "missing", f"{preset.checkpoint} is not in the cache", hint)
    try:
        there = any(file_exists(preset.checkpoint, name, revision=revision) for name in _WEIGHTS)
    except Exception as error:  # the hub's client raises errors of several libraries
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        hint = "With a network, run again, or give --backbone FOLDER."
        return Need(what, "missing", f"{preset.checkpoint} can't be reached: {reason}", hint)
    if not there:
        return Need(what, "missing", f"{preset.checkpoint} has no weights in safetensors", "Name another.")
    return Need(what, "ok", f"{preset.checkpoint} will be fetched")


def tracker_state(name: str, otherwise: State = "missing") -> Need:
    """Whether a tracker's service can be reached as it is set up here."""
    from warmup_bench.train.tracking import unreachable

    reason, hint = unreachable(name)
    if reason:
        return Need(f"tracker {name}", otherwise, reason, hint)
    return Need(f"tracker {name}", "ok", "nothing stands in its way")


def machine(out: Path) -> Iterator[Need]:
    """Everything that this program can use on this machine; nothing is fetched."""
    yield Need("python", "ok", f"{platform.python_version()}, {platform.platform()}")
    for package in ("warmup-bench", "torch", "transformers", "datasets", "accelerate", "sacrebleu"):
        yield _package(package)
    yield _device()
    yield from _extras()
    yield from _metric_models()
    yield from _backbones()
    yield _hub_cache()
    yield writable(out)
    yield room(out, MARGIN)
    yield from _trackers()


def _package(name: str, state: State = "missing", hint: str = "pip install warmup-bench") -> Need:
    try:
        return Need(name, "ok", version(name))
    except PackageNotFoundError:
        return Need(name, state, "not installed", hint)


def _device() -> Need:
    import torch

    cpu = f"{free_cores()} CPU cores, {torch.get_num_threads()} threads"
    if not torch.cuda.is_available():
        return Need("device", "ok", f"cpu: {cpu}; no CUDA device")
    gpu = torch.cuda.get_device_properties(0)
    count = torch.cuda.device_count()
    return Need("device", "ok", f"cuda: {count} x {gpu.name}, {gpu.total_memory / 2**30:.0f} GiB; {cpu}")


def _extras() -> Iterator[Need]:
    """The optional extras of this package, as its metadata names them."""
    from packaging.requirements import Requirement

    try:
        lines = [Requirement(line) for line in requires("warmup-bench") or []]
    except PackageNotFoundError:
        return
    wanted: dict[str, list[Requirement]] = {}
    for line in lines:
        marker = str(line.marker or "")
        if "extra ==" in marker:
            wanted.setdefault(marker.split("extra ==")[1].strip(" \"')"), []).append(line)
    wanted.pop("dev", None)
    for extra, of_extra in sorted(wanted.items()):
        packages = [_package(line.name) for line in of_extra]
        problems = [f"{package.what} is not installed" for package in packages if package.state != "ok"]
        problems += [
            f"{line.name} {package.detail} (not {line.specifier})"
            for line, package in zip(of_extra, packages, strict=True)
            if package.state == "ok" and not line.specifier.contains(package.detail, prereleases=True)
        ]
        if problems:
            hint = f"pip install 'warmup-bench[{extra}]'"
            yield Need(f"extra {extra}", "absent", ", ".join(problems), hint)
        else:
            yield Need(f"extra {extra}", "ok", ", ".join(f"{p.what} {p.detail}" for p in packages))


def _metric_models() -> Iterator[Need]:
    """Learned metrics: whether they can score here, their models in the cache."""
    from warmup_bench.contracts.learned_metric import is_learned
    from warmup_bench.contracts.metric import MetricContext
    from warmup_bench.contracts.registry import metrics

    for name, entry in metrics().entries():
        if isinstance(entry, UserError):
            yield Need(f"metric {name}", "absent", str(entry))
            continue
        try:
            metric: Any = entry.value(MetricContext(labels=("A", "B")))
            if not is_learned(metric):
                continue
            reason = metric.missing()
        except Exception as error:  # a plugin may raise anything; the other rows are still wanted
            reason = f"{type(error).__name__}: {error}"
        state: State = "absent" if reason else "ok"
        yield Need(f"metric {name}", state, reason or "can score here, its model is on this machine")


def _backbones() -> Iterator[Need]:
    """Pretrained backbones that are registered: those in the cache, and in one row those that are not."""
    from warmup_bench.contracts.registry import backbones

    away = []
    for name, entry in backbones().entries():
        if isinstance(entry, UserError):
            yield Need(f"backbone {name}", "absent", str(entry))
        elif entry.value.checkpoint is not None:
            checkpoint = checkpoint_state(entry.value, offline=True)
            if checkpoint.state == "ok":
                yield checkpoint
            else:
                away.append(name)
    if away:
        detail = f"not in the cache: {', '.join(away)}"
        yield Need("other backbones", "absent", detail, "A run fetches what it needs.")


def _trackers() -> Iterator[Need]:
    """The trackers that ``track`` may name here; without one a training logs to its folder alone."""
    from warmup_bench.train.tracking import PACKAGES

    here = [name for name, packages in PACKAGES.items() if any(map(find_spec, packages))]
    yield Need("trackers", "ok", f"{', '.join(here) or 'none'}; off unless 'track' names them")
    states = (tracker_state(name, otherwise="absent") for name in here)
    yield from (state for state in states if state.state != "ok")


def _hub_cache() -> Need:
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    folder = Path(HF_HUB_CACHE)
    offline = ", HF_HUB_OFFLINE is set: nothing is fetched" if HF_HUB_OFFLINE else ""
    if os.access(_existing(folder), os.W_OK):
        return Need("hub cache", "ok", f"{folder}{offline}")
    return Need("hub cache", "absent", f"{folder} is not writable{offline}", "Set HF_HOME.")
