"""From a spec to cells: every name resolved and every input checked before the first step."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from warmup_bench.contracts.boundary import splits_of
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.registry import Entry
from warmup_bench.contracts.settings import Limit, Settings
from warmup_bench.contracts.task import LoadRequest, Scale, Splits, Task, TaskCard
from warmup_bench.contracts.undone import undone
from warmup_bench.plan.layers import backbone_section, decoded, resolve
from warmup_bench.plan.matches import with_matches
from warmup_bench.plan.names import Names, resolve_names
from warmup_bench.plan.selection import find_data_dir, is_offline
from warmup_bench.spec.cell import NO_NUMBER, Cell
from warmup_bench.spec.spec import RunSpec
from warmup_bench.store.examples import limited
from warmup_bench.store.folders import require_path
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
        whole: Of a shard, the cells of all shards.
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
    whole: tuple[Cell, ...] = ()

    @property
    def data_notes(self) -> list[str]:
        """What the task tells of its data, each sentence once."""
        return list(dict.fromkeys(note for splits in self.data.values() for note in splits.notes))

    def data_folder(self, subset: str) -> Path:
        """Where the examples of a subset are kept."""
        name = self.task.value.card.name
        return self.out / "data" / f"{name}.{subset}.{self.spec.scale}-{self.fingerprints[subset]}"


@undone()
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
    require_path(spec.out or Path())
    names = resolve_names(spec)
    device, devices = _choose_devices(spec, names)
    settings = _merge_settings(spec, names, device)
    data_dir, offline = find_data_dir(spec.data_dir), is_offline(spec.offline)
    if data is None:
        requests = {subset: LoadRequest(subset, names.scale, data_dir, offline) for subset in names.subsets}
        task = names.task
        data = {
            subset: splits_of(task.name, task.origin, task.value.load, request)
            for subset, request in requests.items()
        }
    data = {subset: limited(data[subset], settings.limit) for subset in names.subsets}
    for splits in data.values():
        require_examples(names.task, splits)
    fingerprints = {subset: splits.fingerprint() for subset, splits in data.items()}
    cells = with_matches(_cells(spec, names, settings, data, fingerprints))
    require_one_start(cells)
    out = spec.out or Path("runs") / f"{names.card.name}-{names.scale}"
    resolved = spec.model_copy(
        update={
            "scale": names.scale,
            "subsets": names.subsets,
            "backbones": {
                reference: backbone_section(shared, names.scale_card.settings, preset.value.settings)
                for (reference, preset), shared in zip(names.presets.items(), settings.shared, strict=True)
            },
            **{name: {} for name in Settings.model_fields},
            "out": out,
            "devices": devices if devices > 1 else None,
            "offline": offline,
            "data_dir": data_dir,
        }
    )
    return Plan(
        spec=resolved,
        out=out,
        device=device,
        task=names.task,
        presets=names.presets,
        methods=names.methods,
        data=data,
        fingerprints=fingerprints,
        cells=cells,
        metrics=names.metrics,
        learned=names.learned,
        left_out=names.left_out,
        other_data=_other_data(names.card, names.scale, fingerprints),
        devices=devices,
    )


@dataclass(frozen=True)
class _Merged:
    """Settings of a run.

    Attributes:
        shared: Of each backbone, in order, without what a method sets.
        of_methods: Of each backbone and method, by their references and names: one a way to decode.
        limit: Of the examples, the same for all.
    """

    shared: list[Settings]
    of_methods: dict[tuple[str, str], list[Settings]]
    limit: Limit


def _merge_settings(spec: RunSpec, names: Names, device: str) -> _Merged:
    """Merge the layers of settings for every backbone and method.

    Raises:
        UserError: A value that makes no sense, or limits that differ.
    """
    shared: list[Settings] = []
    of_methods: dict[tuple[str, str], list[Settings]] = {}
    for reference, preset in names.presets.items():
        section = spec.backbones.get(reference, {})
        scale = {"train": {"deterministic": names.scale == "mini"}}
        layers = scale, names.scale_card.settings, preset.value.settings, spec.sections(), section
        shared.append(resolve(f"settings of {reference}", device, *layers))
        # A method's own learning rate is none of the warm start, which it shares with the others.
        start = {"warm_start": {"learning_rate": shared[-1].warm_start.learning_rate}}
        for (name, method), of_method in zip(names.methods.items(), spec.methods.values(), strict=True):
            origin = f"settings of {reference}, methods.{name}"
            merged = resolve(origin, device, *layers, start, of_method)
            of_methods[reference, name] = decoded(spec, method.value, merged)
    limits = {settings.limit for settings in (*shared, *(ways[0] for ways in of_methods.values()))}
    if len(limits) > 1:
        raise UserError(
            "backbones and methods of one run must share their limits", hint="Give 'limit' at the top level."
        )
    return _Merged(shared, of_methods, limits.pop())


def _cells(
    spec: RunSpec,
    names: Names,
    settings: _Merged,
    data: Mapping[str, Splits],
    fingerprints: Mapping[str, str],
) -> Iterator[Cell]:
    """The cells in the order in which they run; the matched ones without what they are matched with."""
    card = names.card
    trained_on = {
        subset: splits.training_fingerprint() if card.subsets[subset].trained_as else ""
        for subset, splits in data.items()
    }
    rows = [*((method, "", "") for method in names.methods.values()), *names.matched(spec)]
    for subset, (reference, preset), seed in product(names.subsets, names.presets.items(), spec.seeds):
        for method, match, by in rows:
            for way in settings.of_methods[reference, method.name][: 1 if match else None]:
                yield Cell(
                    task=card.name,
                    task_version=card.version,
                    subset=subset,
                    scale=names.scale,
                    backbone=preset.name,
                    method=method.name,
                    warmup=method.value.warmup,
                    seed=seed,
                    matched=match,
                    matched_by="seconds" if by else "",
                    credit="without dropout"
                    if method.value.warmup == "sampled" and way.train.dropout
                    else "",
                    settings=way,
                    data=fingerprints[subset],
                    trained_as=card.subsets[subset].trained_as,
                    training_data=trained_on[subset],
                    code={"task": names.task.code, "backbone": preset.code, "method": method.code},
                )


def _choose_devices(spec: RunSpec, names: Names) -> tuple[str, int]:
    """The device of every cell, and how many of them a cell has.

    Raises:
        UserError: They are not there, or a method can't share its batches among several: it reads warmups of
            an input's last visit.
    """
    elsewhere = spec.executor != "local"
    device = choose_device(spec.device, elsewhere=elsewhere)
    devices = choose_devices(spec.devices, device, elsewhere=elsewhere)
    if not elsewhere:
        check_workers(spec.workers, devices, device)
    for method in names.methods.values():
        sampler = method.value.sampler
        if devices > 1 and sampler is not None and sampler.replayed > 0:
            raise UserError(
                f"method '{method.name}' replays warmups, and on {devices} devices an input's last visit may "
                "have been to another one",
                origin="--devices",
                hint="Use --devices 1, or a sampler without replay.",
            )
    return device, devices


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


def require_examples(task: Entry[Task], splits: Splits) -> None:
    """See that every split has examples, each once.

    Raises:
        UserError: One is empty or repeats an id.
    """
    for name, split in splits.named().items():
        ids = [example.id for example in split]
        if not ids:
            raise UserError(f"split '{name}' of task '{task.name}' is empty", origin=task.origin)
        if len(set(ids)) < len(ids):
            raise UserError(
                f"split '{name}' of task '{task.name}' repeats an id",
                origin=task.origin,
                hint="Ids must be unique.",
            )
