"""What a study will cost on a declared device, from declared shapes, sizes and lengths.

Neither the data nor a checkpoint is needed: sizes stand on the task's card, shapes in the backbone's preset.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.backbones.load import resolve_preset
from harness.backbones.shapes import shape_costs
from harness.errors import UserError
from harness.methods import resolve_method
from harness.planning.estimate import Kind, Operations, disk_bytes, operations, per_example
from harness.planning.selection import choose_scale, choose_subsets
from harness.planning.studies import Lengths
from harness.registry import tasks
from harness.settings import Settings
from harness.spec import RunSpec, make_settings

A100_TFLOPS = 312.0
"""Dense bfloat16 peak of an NVIDIA A100, by its data sheet."""
WRITING = 0.1
"""Utilisation of sampling and decoding, token by token, as a share of training's (our choice)."""


@dataclass(frozen=True, slots=True)
class Device:
    """A declared rate.

    Attributes:
        tflops: Peak, in 10¹² operations a second.
        utilisation: Share of it that training reaches.
    """

    tflops: float
    utilisation: float

    def hours(self, spent: Operations) -> float:
        """Hours of one such device."""
        rate = self.tflops * 1e12 * self.utilisation
        return (spent.scored + spent.written / WRITING) / rate / 3600


@dataclass(frozen=True, slots=True)
class Expense:
    """Steps of one kind: how many, and what all of them cost."""

    name: str
    count: int
    spent: Operations


@dataclass(frozen=True, slots=True)
class Forecast:
    """A study's cost.

    Attributes:
        cells: Number of cells.
        expenses: Warm starts, trainings of each method, decodings.
        disk: Bytes of models and predictions.
        examples: Training examples and test examples of a cell.
        parameters: Of each backbone, by name.
    """

    cells: int
    expenses: tuple[Expense, ...]
    disk: int
    examples: tuple[int, int]
    parameters: dict[str, int]

    @property
    def total(self) -> Operations:
        """Of all expenses."""
        return sum((one.spent for one in self.expenses), Operations())


def forecast(spec: RunSpec, lengths: Lengths, device: Device) -> Forecast:
    """Count what a whole study costs, nothing of it being stored yet.

    Args:
        spec: As a spec file gives it, not yet resolved.
        lengths: Mean tokens of an example, before they are cut.
        device: Where it runs; read for a budget in seconds.

    Raises:
        UserError: A name that is not known, sizes or a shape that are not declared, or adapters without peft.
    """
    import numpy as np

    card = tasks().load(spec.task).value.card
    scale = choose_scale(card, spec.scale)
    subsets = len(choose_subsets(card, spec.subsets))
    scale_card = card.scales[scale]
    methods = [resolve_method(reference).value for reference in spec.methods]
    own = dict(zip((m.name for m in methods), spec.methods.values(), strict=True))
    rows: list[tuple[str, Kind, Mapping[str, Any]]] = [
        (m.name, "direct" if m.warmup == "none" else "warmup", own[m.name]) for m in methods
    ]
    # A matched row spends what the other method's settings make that one spend.
    rows += [
        (f"{spec.stats.baseline} (FLOPs of {name})", "matched", own.get(name, {})) for name in spec.match
    ]
    expenses: dict[str, Expense] = {}
    parameters: dict[str, int] = {}
    disk = cells = 0
    sizes = (0, 0)
    for reference, section in (spec.backbones or {scale_card.backbone: {}}).items():
        preset = resolve_preset(reference).value
        layers = scale_card.settings, preset.settings, spec.sections(), section
        settings = make_settings(f"settings of {reference}", *layers)
        if scale_card.sizes is None:
            raise UserError(
                f"the card of task '{card.name}' tells no sizes at scale {scale}", origin=spec.task
            )
        sizes = _sizes(scale_card.sizes, settings)
        parameters[preset.name] = shape_costs(preset, settings.lora).parameters
        rate = device.tflops * 1e12 * device.utilisation
        runs = subsets * len(spec.seeds)
        told = {name: make_settings(f"settings of {name}", *layers, given) for name, _, given in rows}
        jobs: list[tuple[str, Settings, int, list[Kind], list[Kind]]] = [
            ("warm start", settings, runs, [], [])
        ]
        jobs += [(f"training {name}", told[name], 0, [kind], []) for name, kind, _ in rows]
        jobs += [(f"decoding {name}", told[name], 0, [], [kind]) for name, kind, _ in rows]
        jobs += [
            (
                f"decoding {name}",
                make_settings(f"decodings.{name}", *layers, own[name], {"decode": way}),
                0,
                [],
                [kind],
            )
            for name, kind, _ in rows
            for way in spec.decodings.get(name, ())
        ]
        for name, held, starts, trained, decoded in jobs:
            costs = shape_costs(preset, held.lora)
            each = per_example(
                costs,
                held,
                np.array([min(lengths.source, held.train.max_source_tokens)]),
                np.array([min(lengths.target, held.train.max_target_tokens)]),
            )
            spent = operations(
                each,
                held,
                train=sizes[0],
                test=sizes[1],
                starts=starts,
                trained=trained * runs,
                decoded=decoded * runs,
                rate=rate,
            )
            before = expenses.get(name, Expense(name, 0, Operations()))
            expenses[name] = Expense(name, before.count + runs, before.spent + spent)
            disk += disk_bytes(
                costs,
                held,
                test=sizes[1],
                starts=starts,
                trainings=runs * len(trained),
                decoded=runs * len(decoded),
            )
        cells += runs * (len(rows) + sum(map(len, spec.decodings.values())))
    return Forecast(cells, tuple(expenses.values()), disk, sizes, parameters)


def _sizes(declared: tuple[int, int, int], settings: Settings) -> tuple[int, int]:
    """Training examples and decoded ones, by the card and the limits."""
    sizes = dict(zip(("train", "validation", "test"), declared, strict=True))
    train, decoded = (
        min(sizes[name], getattr(settings.limit, name) or sizes[name])
        for name in ("train", settings.decode.split)
    )
    return train, decoded
