"""From a spec to cells: every name resolved and every input checked before the first step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.learned_metric import is_learned
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.registry import Entry, metrics, tasks
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Score, Settings
from warmup_bench.contracts.task import LoadRequest, Scale, Splits, Task, TaskCard
from warmup_bench.models.load import resolve_preset
from warmup_bench.plan.layers import backbone_section, decoded, resolve
from warmup_bench.plan.matches import Coordinates, matchable, with_matches
from warmup_bench.plan.selection import choose_scale, choose_subsets, find_data_dir, is_offline
from warmup_bench.spec.cell import NO_NUMBER, Cell
from warmup_bench.spec.spec import RunSpec
from warmup_bench.store.examples import limited
from warmup_bench.train.launch import check_workers, choose_devices
from warmup_bench.train.tracking import require_trackers


@dataclass(frozen=True)
class Plan:
    """A resolved run.

    Attributes:
        spec: The spec with every default filled in; running it again gives the same cells.
        out: Results folder.
        device: "cpu" or "cuda".
        devices: Of each cell.
        task: The task and where it came from.
        presets, methods: The same of each backbone and method, by name.
        data: The examples of each subset after limits.
        fingerprints: Their fingerprints.
        cells: The cells in the order in which they run.
        metrics: What every cell is scored with as it is decoded.
        learned: Learned metrics that can score here; they do so when all cells are decoded.
        left_out: Why a learned metric of the task can't, one sentence each.
        other_data: Why the data are others than the published ones, a sentence; empty where they are not.
    """

    spec: RunSpec
    out: Path
    device: str
    task: Entry[Task]
    presets: dict[str, Entry[Preset]]
    methods: dict[str, Entry[Method]]
    data: dict[str, Splits]
    fingerprints: dict[str, str]
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]
    learned: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    other_data: str = ""
    devices: int = 1

    def data_folder(self, subset: str) -> Path:
        """Where the examples of a subset are kept."""
        name = self.task.value.card.name
        return self.out / "data" / f"{name}.{subset}.{self.spec.scale}-{self.fingerprints[subset]}"

    def matchable(self) -> dict[Coordinates, Cell]:
        """The cells whose operations a matched one may be given, by subset, backbone, seed and method."""
        return matchable(self.cells)


def make_plan(spec: RunSpec, data: Mapping[str, Splits] | None = None) -> Plan:
    """Resolve names, merge settings, load the data and lay out the cells.

    Args:
        spec: What was asked for.
        data: Examples of each subset where they are at hand; None: the task loads them.

    Raises:
        UserError: Anything that the user can mend: unknown names, a scale or subset that the task does not
            have, two backbones or methods of one name, data that are not there, trackers that are not
            installed, methods with unlike starts.
    """
    if spec.tune is not None:
        raise UserError(
            "this spec holds a sweep that is still to choose settings",
            origin="tune",
            hint="Run 'warmup-bench tune' and then the spec that it writes, or pass --set tune=null.",
        )
    require_trackers(spec.track)
    task: Entry[Task] = tasks().load(spec.task)
    card = task.value.card
    scale = choose_scale(card, spec.scale)
    subsets = choose_subsets(card, spec.subsets)
    plain, learned, left_out = _choose_metrics(card, subsets, spec.score)
    chosen_methods = _by_name(resolve_method(reference) for reference in spec.methods)
    if len(chosen_methods) < len(spec.methods):
        raise UserError("two methods have one name", origin="--method", hint="Rename one of them.")
    for name in (name for name, sections in spec.decodings.items() if sections):
        _require_chosen(name, chosen_methods, f"decodings.{name}")
    scale_card = card.scales[scale]
    references = spec.backbones or {scale_card.backbone: {}}
    resolved = {reference: resolve_preset(reference) for reference in references}
    _require_own_names(resolved)
    elsewhere = spec.executor != "local"
    device = choose_device(spec.device, elsewhere=elsewhere)
    devices = choose_devices(spec.devices, device, elsewhere=elsewhere)
    if not elsewhere:
        check_workers(spec.workers, devices, device)
    for method in chosen_methods.values():
        _check_devices(method, devices)
    shared: dict[str, Settings] = {}
    own: dict[tuple[str, str], list[Settings]] = {}
    for reference, entry in resolved.items():
        layers = scale_card.settings, entry.value.settings, spec.sections(), references[reference]
        shared[reference] = resolve(f"settings of {reference}", device, *layers)
        for (name, method), section in zip(chosen_methods.items(), spec.methods.values(), strict=True):
            origin = f"settings of {reference}, methods.{name}"
            own[reference, name] = decoded(spec, method.value, resolve(origin, device, *layers, section))
    limits = {settings.limit for settings in (*shared.values(), *(held[0] for held in own.values()))}
    if len(limits) > 1:
        raise UserError(
            "backbones and methods of one run must share their limits", hint="Give 'limit' at the top level."
        )
    limit = limits.pop()
    data_dir = find_data_dir(spec.data_dir)
    offline = is_offline(spec.offline)
    if data is None:
        data = {s: load_data(task, LoadRequest(s, scale, data_dir, offline), limit) for s in subsets}
    else:
        data = {s: limited(data[s], limit) for s in subsets}
    fingerprints = {subset: splits.fingerprint() for subset, splits in data.items()}
    trained_on = {
        subset: splits.training_fingerprint() if card.subsets[subset].trained_as else ""
        for subset, splits in data.items()
    }
    out = spec.out or Path("runs") / f"{card.name}-{scale}"
    matched = _matched(spec, chosen_methods)
    cells = with_matches(
        Cell(
            task=card.name,
            task_version=card.version,
            subset=subset,
            scale=scale,
            backbone=preset.name,
            method=method.name,
            warmup=method.value.warmup,
            seed=seed,
            matched=match,
            settings=settings,
            data=fingerprints[subset],
            trained_as=card.subsets[subset].trained_as,
            training_data=trained_on[subset],
            code={"task": task.code, "backbone": preset.code, "method": method.code},
        )
        for subset in subsets
        for reference, preset in resolved.items()
        for seed in spec.seeds
        for method, match in [*((m, "") for m in chosen_methods.values()), *matched]
        for settings in own[reference, method.name][: 1 if match else None]
    )
    require_one_start(cells)
    full = spec.model_copy(
        update={
            "scale": scale,
            "subsets": tuple(subsets),
            "backbones": {
                reference: backbone_section(settings, scale_card.settings, resolved[reference].value.settings)
                for reference, settings in shared.items()
            },
            **{name: {} for name in Settings.model_fields},
            "out": out,
            "devices": devices if devices > 1 else None,
            "offline": offline,
            "data_dir": data_dir,
        }
    )
    return Plan(
        spec=full,
        out=out,
        device=device,
        task=task,
        presets=dict(resolved),
        methods=chosen_methods,
        data=dict(data),
        fingerprints=fingerprints,
        cells=cells,
        metrics=plain,
        learned=learned,
        left_out=left_out,
        other_data=_other_data(card, scale, fingerprints),
        devices=devices,
    )


def _other_data(card: TaskCard, scale: Scale, fingerprints: Mapping[str, str]) -> str:
    """A sentence where data that are made from installed packages are others than the published ones."""
    published = card.scales[scale].published
    why = published.difference(fingerprints) if published else ""
    return why and (
        f"The {scale} data of {card.name} differ from the published ones, and so will scores on them: "
        f"they are made from {why}."
    )


def require_one_start(cells: Sequence[Cell]) -> None:
    """See that every method of a seed starts from the same weights.

    Raises:
        UserError: Their settings make warm starts of their own.
    """
    starts: dict[tuple[str, str, int], Cell] = {}
    for cell in cells:
        first = starts.setdefault((cell.subset, cell.backbone, cell.seed), cell)
        if cell.warm_start_id == first.warm_start_id:
            continue
        apart = {f"train.{key}" for key in ("learning_rate", *NO_NUMBER)}
        differing = [
            f"{section}.{key}={value} (that of {first.label}: {theirs})"
            for section in ("warm_start", "train")
            for key, value in getattr(cell.settings, section).model_dump().items()
            if value != (theirs := getattr(getattr(first.settings, section), key))
            and f"{section}.{key}" not in apart
        ]
        raise UserError(
            f"methods of one seed must share its warm start, and {cell.label} has one of its own: "
            f"{', '.join(differing)}",
            origin=f"settings of methods.{cell.method}",
            hint="Give what shapes the warm start at the top level, or under the backbone.",
        )


def _choose_metrics(
    card: TaskCard, subsets: Sequence[str], settings: Score
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Plain metrics, learned ones that can score here, and why others of the card can't.

    Raises:
        UserError: An unknown metric, or a learned one that was asked for and can't score here: better said
            now than after the training.
    """
    plain, learned, left_out = [], [], []
    for reference in dict.fromkeys((*card.metrics, *settings.metrics)):
        entry = metrics().load(reference)
        made = [
            entry.value(MetricContext(card.subsets[subset].target_language, card.labels, settings=settings))
            for subset in subsets
        ]
        if not is_learned(made[0]):
            plain.append(reference)
            continue
        reason = next((reason for metric in made if (reason := metric.missing())), "")
        if reason and reference in settings.metrics:
            raise UserError(f"metric '{reference}' can't score here: {reason}", origin="score.metrics")
        if reason:
            left_out.append(f"{made[0].name} is left out: {reason}.")
        else:
            learned.append(reference)
    return tuple(plain), tuple(learned), tuple(left_out)


def _check_devices(method: Entry[Method], devices: int) -> None:
    """See that a method can share its batches among devices.

    Raises:
        UserError: It reads warmups of an input's last visit, which another device may have had.
    """
    sampler = method.value.sampler
    if devices > 1 and sampler is not None and sampler.replayed > 0:
        raise UserError(
            f"method '{method.name}' replays warmups, and on {devices} devices an input's last visit may "
            "have been to another one",
            origin="--devices",
            hint="Use --devices 1, or a sampler without replay.",
        )


def _matched(spec: RunSpec, chosen: dict[str, Entry[Method]]) -> list[tuple[Entry[Method], str]]:
    """The baseline, once for each method whose FLOPs it is to be given.

    Raises:
        UserError: The baseline or such a method is not among the methods of the run.
    """
    for name in (spec.stats.baseline, *spec.match) if spec.match else ():
        _require_chosen(name, chosen, "--match")
    return [(chosen[spec.stats.baseline], name) for name in spec.match]


def _require_own_names(resolved: Mapping[str, Entry[Preset]]) -> None:
    """See that every backbone has a name of its own: rows and jobs are told apart by it.

    Raises:
        UserError: Two have one, as checkpoint folders of one name in two places have.
    """
    references: dict[str, str] = {}
    for reference, entry in resolved.items():
        if (other := references.setdefault(entry.name, reference)) != reference:
            raise UserError(
                f"two backbones have one name: {other} and {reference} are both '{entry.name}'",
                origin="--backbone",
                hint="Rename one of them, or run them one at a time.",
            )


def _require_chosen(name: str, chosen: Mapping[str, Entry[Method]], origin: str) -> None:
    if name not in chosen:
        raise UserError(
            f"'{name}' is not among the methods of this run",
            origin=origin,
            hint=f"The methods are: {', '.join(chosen)}.",
        )


def choose_device(wish: str, *, elsewhere: bool = False) -> str:
    """ "cuda" where there is one and it is not declined.

    Args:
        wish: "auto", "cpu" or "cuda".
        elsewhere: Whether the cells run on other machines, whose device is taken on trust.

    Raises:
        UserError: "cuda" was asked for and is not there.
    """
    import torch

    present = torch.cuda.is_available() or (elsewhere and wish == "cuda")
    if wish == "cuda" and not present:
        raise UserError("no CUDA device is available", origin="--device", hint="Use --device cpu.")
    return "cuda" if present and wish != "cpu" else "cpu"


def load_data(task: Entry[Task], request: LoadRequest, limit: Any) -> Splits:
    """Load a subset and apply the limits.

    Raises:
        UserError: The loader's own, an empty split, or ids that repeat.
    """
    splits = limited(task.value.load(request), limit)
    for name in ("train", "validation", "test"):
        ids = [example.id for example in getattr(splits, name)]
        if not ids:
            raise UserError(f"split '{name}' of task '{task.name}' is empty", origin=task.origin)
        if len(set(ids)) < len(ids):
            raise UserError(
                f"split '{name}' of task '{task.name}' repeats an id",
                origin=task.origin,
                hint="Ids must be unique.",
            )
    return splits


def _by_name(entries: Iterator[Entry[Method]]) -> dict[str, Entry[Method]]:
    return {entry.value.name: entry for entry in entries}
