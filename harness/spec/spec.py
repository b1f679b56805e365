"""What a user asks for: the run spec and its settings, read, merged and validated.

Settings are merged in one order, the later winning: the defaults (:mod:`warmup_bench.contracts.settings`),
the task's scale, the backbone's preset, the spec file, ``--set`` and the command-line options; of a spec,
what stands at the top level, under the backbone's name, under the method's. A key that nobody reads is an
error.
"""

import copy
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.redact import redact
from warmup_bench.contracts.settings import (
    OBSOLETE,
    Resources,
    Score,
    Settings,
    Stats,
    Store,
    Tune,
    at_least_one,
    distinct,
    in_range,
    names,
)
from warmup_bench.contracts.task import Scale
from warmup_bench.contracts.validation import known_keys, shortened, validated
from warmup_bench.data.plain_yaml import DEEPEST, read_yaml

MOST_SEEDS = 10_000


class RunSpec(BaseModel):
    """A run: every combination of subset, backbone, method and seed is one cell.

    The seven sections of :class:`Settings` may stand at the top level (for all backbones), under a
    backbone's name and under a method's (for it alone); each holds only what should differ.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    task: str = Field(
        description="name, a .yaml or .py file, or hf:OWNER/NAME@COMMIT?source=COLUMN&target=COLUMN"
    )
    scale: Scale | None = Field(default=None, description="None: the task's first")
    subsets: tuple[str, ...] = Field(
        default=(), description="e.g. translation directions; (): the task's first"
    )
    backbones: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="a list, or name -> settings for it alone; {}: that of the task's scale",
    )
    methods: dict[str, dict[str, Any]] = Field(
        default={"sft": {}, "warmup": {}}, description="a list, or name -> settings for it alone"
    )
    match: tuple[str, ...] = Field(
        default=(),
        description="methods whose training FLOPs the baseline is given too, each in a row of its own",
    )
    match_by: tuple[Literal["flops", "seconds"], ...] = Field(
        default=("flops",),
        description="what of them it is given: flops, seconds (which depend on the machine), or each in a "
        "row of its own",
    )
    decodings: dict[str, tuple[dict[str, Any], ...]] = Field(
        default_factory=dict,
        description="method -> list of sections like decode: its models are decoded in these ways too",
    )
    seeds: tuple[int, ...] = Field(default=(0, 1), description="a list, or how many: 6 means 0 to 5")
    budget: dict[str, Any] = Field(default_factory=dict)
    warm_start: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    warmup: dict[str, Any] = Field(default_factory=dict)
    decode: dict[str, Any] = Field(default_factory=dict)
    lora: dict[str, Any] = Field(default_factory=dict)
    limit: dict[str, Any] = Field(default_factory=dict)
    score: Score = Score()
    stats: Stats = Stats()
    out: Path | None = Field(default=None, description="results folder; None: runs/TASK-SCALE")
    data_dir: Path | None = Field(
        default=None, description="folder with the data files; None: WARMUP_BENCH_DATA, else they are fetched"
    )
    offline: bool = Field(default=False, description="nothing is fetched; also by HF_HUB_OFFLINE=1")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto: cuda if there is one")
    threads: int = Field(
        default=1, ge=1, le=4096, description="CPU threads of a worker; more may change the last bits"
    )
    workers: int | None = Field(default=None, ge=1, description="cells at once; None: one a core, one a GPU")
    executor: Literal["local", "ray"] = Field(
        default="local", description="ray: the steps run on a Ray cluster; changes no number"
    )
    address: str | None = Field(
        default=None,
        description="ray: HOST:PORT of the cluster; None: RAY_ADDRESS, else one that runs on this machine, "
        "else one that is started here for the run",
    )
    resources: Resources = Resources()
    store: Store = Store()
    retries: int = Field(
        default=3, ge=0, description="ray: how often a step is tried again whose node or worker was lost"
    )
    devices: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="devices a cell, which share its batches; None: 1, or all that torchrun or accelerate "
        "launch has started; more may change the last bits",
    )
    track: tuple[str, ...] = Field(
        default=(), description="where run logs go too: tensorboard, wandb, mlflow; changes no number"
    )
    tune: Tune | None = Field(default=None, description="a sweep that chooses settings of methods first")

    @field_validator("backbones", "methods", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """A list of names is a mapping without settings."""
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple):
            return value
        if len(set(map(str, value))) != len(value):
            raise ValueError(f"a value is repeated: {list(value)}")
        return {str(name): {} for name in value}

    @field_serializer("methods")
    def _unnamed(self, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]] | list[str]:
        """A mapping without settings is a list of names."""
        return value if any(value.values()) else list(value)

    @field_validator("seeds", mode="before")
    @classmethod
    def _counted(cls, value: Any) -> Any:
        """``seeds: 5`` means 0, 1, 2, 3, 4."""
        if isinstance(value, int) and value > MOST_SEEDS:  # before a range of them fills the memory
            raise ValueError(f"at most {MOST_SEEDS:,} seeds, not {value}")
        return tuple(range(value)) if isinstance(value, int) else value

    _seeds = field_validator("seeds")(in_range)
    _listed = field_validator("track", "match_by", mode="before")(names)
    _distinct = field_validator("subsets", "match", "match_by", "track")(distinct)
    _some = field_validator("methods", "seeds", "match_by")(at_least_one)

    @model_validator(mode="after")
    def _apart(self) -> "RunSpec":
        """A setting that was chosen on the seeds of the run would favour what was tried on them."""
        if self.tune and (shared := set(self.tune.seeds) & set(self.seeds)):
            raise ValueError(f"tune.seeds must be none of the run's seeds, and both have {min(shared)}")
        return self

    def sections(self) -> dict[str, Any]:
        """The settings given for all backbones."""
        return {name: getattr(self, name) for name in Settings.model_fields}


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings, the later winning key by key; the arguments stay as they are.

    A budget is one thing in one of several units: the later one replaces the earlier whole. A later list of
    backbones or methods chooses: those that it names keep their settings.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            if key == "budget" and not value:
                continue
            old = None if key == "budget" else merged.get(key)
            if key in ("backbones", "methods"):
                if isinstance(old, Mapping) and isinstance(value, list | tuple):
                    merged[key] = {str(name): copy.deepcopy(old.get(str(name), {})) for name in value}
                    continue
                if isinstance(old, list | tuple) and isinstance(value, Mapping):
                    old = {str(name): {} for name in old}
            nested = isinstance(old, Mapping) and isinstance(value, Mapping)
            merged[key] = merge(old, value) if nested else copy.deepcopy(value)  # type: ignore[arg-type]
    return merged


def overruled(content: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """A spec without what it says of single backbones and methods and a later layer says of all of them."""
    kept = dict(content)
    for kind in ("backbones", "methods"):
        if isinstance(named := content.get(kind), Mapping):
            sections = {key: value for key, value in later.items() if key in Settings.model_fields}
            kept[kind] = {
                name: _less(settings, sections) if isinstance(settings, Mapping) else settings
                for name, settings in named.items()
            }
    return kept


def _less(settings: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings without those that are given later; a budget goes whole."""
    left = {}
    for key, value in settings.items():
        if key not in later:
            left[key] = value
        elif key != "budget" and isinstance(value, Mapping) and isinstance(later[key], Mapping):
            left[key] = _less(value, later[key])
    return left


def read_spec(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file (``safe_load``).

    Raises:
        UserError: The file is missing, no YAML, or no mapping.
    """
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"spec file {path} does not exist", origin="--spec") from error
    except (ValueError, OSError) as error:  # a UnicodeDecodeError is a ValueError
        reason = " ".join(str(error).split())
        raise UserError(f"spec file {path} can't be read: {reason}", origin="--spec") from error
    if not isinstance(content, dict):
        raise UserError(
            f"spec file {path} holds no mapping", origin="--spec", hint="Write 'key: value' lines."
        )
    return {str(key): value for key, value in content.items()}


def parse_assignment(text: str) -> dict[str, Any]:
    """``train.learning_rate=1e-3`` as a nested mapping; the value is YAML.

    Raises:
        UserError: No ``=``, or a value that is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(
            f"'{shortened(text)}' is not of the form KEY=VALUE",
            origin="--set",
            hint="Example: --set train.batch_size=32",
        )
    try:
        parsed = read_yaml(value)
    except ValueError as error:
        raise UserError(
            f"'{shortened(value)}' is not a YAML value: {error}", origin=f"--set {shortened(key)}"
        ) from error
    if isinstance(parsed, str):
        with suppress(ValueError):
            parsed = float(parsed)  # YAML 1.1 reads 1e-3 as a string
    if key.count(".") > DEEPEST:
        raise UserError(f"'{shortened(key)}' is not a key", origin="--set")
    return nested({key.strip(): parsed})


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train.learning_rate": 0.01}`` as ``{"train": {"learning_rate": 0.01}}``."""
    layers = []
    for key, value in dotted.items():
        layer: Any = value
        for part in reversed(key.split(".")):
            layer = {part: layer}
        layers.append(layer)
    return merge(*layers)


def make_spec(content: Mapping[str, Any], origin: str) -> RunSpec:
    """Validate a merged mapping, its settings sections included.

    Raises:
        UserError: An unknown key (the nearest one is told), a value out of its range, or a secret.
    """
    content = {key: _current(key, section) for key, section in content.items()}
    known_keys(content, RunSpec, origin, sections=Settings)
    _no_secrets(content, origin)
    spec = validated(RunSpec, content, origin)
    make_settings(origin, spec.sections())
    for kind, named in (("backbones", spec.backbones), ("methods", spec.methods)):
        for name, section in named.items():
            make_settings(f"{origin}, {kind}.{name}", section)
    for name, sections in spec.decodings.items():
        for section in sections:
            make_settings(f"{origin}, decodings.{name}", {"decode": section})
    if spec.tune is not None:
        for point in spec.tune.points():
            make_settings(f"{origin}, tune.grid", nested(point))
        make_settings(f"{origin}, tune.budget", {"budget": spec.tune.budget})
    return spec


def _current(name: str, section: Any) -> Any:
    """A section of a spec without the keys that mean nothing any more."""
    if name not in OBSOLETE or not isinstance(section, Mapping):
        return section
    return {key: value for key, value in section.items() if key not in OBSOLETE[name]}


def make_settings(origin: str, *layers: Mapping[str, Any]) -> Settings:
    """Merge layers over the defaults and validate them.

    Raises:
        UserError: As :func:`make_spec`.
    """
    for layer in layers:
        known_keys(layer, Settings, origin)
    return validated(Settings, merge(*layers), origin)


def _no_secrets(content: Any, origin: str) -> None:
    """A spec is stored beside its results, and shared with them.

    Raises:
        UserError: It holds a token, or a URL with a user.
    """
    if isinstance(content, Mapping):
        content = (*content.keys(), *content.values())
    if isinstance(content, list | tuple | set | frozenset):
        for part in content:
            _no_secrets(part, origin)
    elif isinstance(content, str | Path) and redact(str(content)) != str(content):
        raise UserError(
            f"'{content}' holds a secret, and a spec is stored with its results",
            origin=origin,
            hint="Log in with 'hf auth login' or set HF_TOKEN; a spec needs neither.",
        )
