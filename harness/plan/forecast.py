"""What a study will cost on a declared device, from declared shapes, sizes and lengths.

Neither the data nor a checkpoint is needed: sizes stand on the task's card, shapes in the backbone's preset.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from warmup_bench.comparison.paper import Lengths
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Settings
from warmup_bench.contracts.task import SPLITS
from warmup_bench.data.registry import tasks
from warmup_bench.models.costs import Costs
from warmup_bench.models.load import resolve_preset
from warmup_bench.models.shapes import shape_costs
from warmup_bench.plan.costs import (
    Device,
    Disk,
    Operations,
    PerExample,
    of_mean_lengths,
    reads_start,
    training_operations,
    warm_start_operations,
)
from warmup_bench.plan.selection import choose_scale, choose_subsets
from warmup_bench.spec.cell import matched_note
from warmup_bench.spec.spec import RunSpec, make_settings


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
        disk: Bytes of models and predictions, when most stand.
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
    card = tasks().load(spec.task).value.card
    scale = choose_scale(card, spec.scale)
    subsets = choose_subsets(card, spec.subsets)
    scale_card = card.scales[scale]
    methods = {method.name: method for method in (resolve_method(name).value for name in spec.methods)}
    sections = dict(zip(methods, spec.methods.values(), strict=True))
    rows = [_Row(name, method, method) for name, method in methods.items()]
    rows += [_matched(spec.stats.baseline, name, by, methods) for name in spec.match for by in spec.match_by]
    runs = len(subsets) * len(spec.seeds)
    models = len({card.subsets[name].trained_as or name for name in subsets}) * len(spec.seeds)
    expenses: dict[str, Expense] = {}
    parameters: dict[str, int] = {}
    disk, cells = Disk(), 0
    sizes = (0, 0)

    def each(costs: Costs, settings: Settings, method: Method) -> PerExample:
        return of_mean_lengths(costs, settings, method, lengths.source, lengths.target)

    def spend(name: str, count: int, each: Operations) -> None:
        before = expenses.get(name, Expense(name, 0, Operations()))
        expenses[name] = Expense(name, before.count + count, before.spent + each * count)

    for reference, section in (spec.backbones or {scale_card.backbone: {}}).items():
        preset = resolve_preset(reference).value
        layers = scale_card.settings, preset.settings, spec.sections(), section
        settings = make_settings(f"settings of {reference}", *layers)
        if scale_card.sizes is None:
            raise UserError(
                f"the card of task '{card.name}' tells no sizes at scale {scale}", origin=spec.task
            )
        sizes = _sizes(scale_card.sizes, settings)
        costs = shape_costs(preset, settings.lora)
        parameters[preset.name] = costs.parameters
        rate = device.tflops * 1e12 * device.utilisation
        # A warm start is plain training, whatever the method.
        start = warm_start_operations(each(costs, settings, rows[0].method), settings)
        spend("warm start", models, start)
        base = False
        for row in rows:
            settings = make_settings(f"settings of {row.name}", *layers, sections.get(row.by.name, {}))
            costs = shape_costs(preset, settings.lora)
            one = each(costs, settings, row.by)
            spent = training_operations(one, settings, train=sizes[0], rate=rate, matched=row.matched)
            spend(f"training {row.name}", models, spent)
            disk.add(costs, settings.lora, trainings=models)
            base |= reads_start(settings, row.method)
        disk.add(costs, settings.lora, starts=models, base=base)
        for row in rows:
            of_method = sections.get(row.method.name, {})
            for way in ({}, *spec.decodings.get(row.name, ())):
                settings = make_settings(f"decodings of {row.name}", *layers, of_method, {"decode": way})
                costs = shape_costs(preset, settings.lora)
                spend(f"decoding {row.name}", runs, each(costs, settings, row.method).decoding * sizes[1])
                disk.decoded += runs * sizes[1]
                cells += runs
    standing = disk.peak(spec.store.models, spec.workers or 1)
    return Forecast(cells, tuple(expenses.values()), standing, sizes, parameters)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a study: its method, and the one whose operations or seconds (``matched``) its training
    spends.
    """

    name: str
    method: Method
    by: Method
    matched: str = ""


def _matched(baseline: str, name: str, matched: str, methods: Mapping[str, Method]) -> _Row:
    """The baseline with the operations or the time of another method."""
    method, by = (methods[n] if n in methods else resolve_method(n).value for n in (baseline, name))
    return _Row(baseline + matched_note(name, matched), method, by, matched)


def _sizes(declared: tuple[int, int, int], settings: Settings) -> tuple[int, int]:
    """Training examples and decoded ones, by the card and the limits."""
    sizes = dict(zip(SPLITS, declared, strict=True))
    train, decoded = (
        min(sizes[name], getattr(settings.limit, name) or sizes[name])
        for name in ("train", settings.decode.split)
    )
    return train, decoded
