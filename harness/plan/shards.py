"""Shards of a plan: ``--cells i/N`` runs one of N parts, on any machine, with nobody to hand the parts out.

A shard follows from the plan alone: from its cells and their declared costs, never from what is stored or
cached on a machine, so that N processes that never speak to each other run every cell exactly once.

- A *bundle* is never cut: a cell, the baseline that is matched with it (it needs that training), and cells
  that only decode the same training otherwise.
- A *start group* shares a warm start: the bundles of a (subset, backbone, seed). It stays whole unless
  cutting it makes the longest shard shorter by more than ``TOLERANCE``; each further shard then counts the
  warm start once more.

Pieces go longest first to the shard that ends first with them (Graham 1969, the LPT rule).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from heapq import heappop, heappush

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.settings import Lora, Settings
from warmup_bench.models.costs import Costs
from warmup_bench.models.shapes import shape_costs
from warmup_bench.plan.costs import (
    A100_TFLOPS,
    UTILISATION,
    WRITING,
    Operations,
    PerExample,
    of_mean_lengths,
    training_operations,
    warm_start_operations,
)
from warmup_bench.plan.matches import matchable, spent_by
from warmup_bench.plan.plan import Plan
from warmup_bench.spec.cell import Cell

TOLERANCE = 0.1
"""Share of the longest shard that cutting start groups must save (our choice: a warm start made twice is
wasted where shards have folders of their own, and waited for where they share one)."""
BYTES_PER_TOKEN = 4
"""Of UTF-8 text (our choice): shards must not depend on whose tokenizer is in the cache of which machine."""
_UNDECLARED = Costs(1, 0, 1, 1, 0, 0, 0, parameters=2, trainable=2)
"""Stands for every backbone of a plan where one declares no shape: work is then counted in tokens."""

StartGroup = tuple[str, str, int]
"""Subset (that the model is trained as), backbone and seed: what shares a warm start."""


@dataclass(frozen=True, slots=True)
class Shard:
    """The shard ``number`` of ``count``, counted from 1 as by GNU parallel and pytest-split."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


@dataclass(frozen=True, slots=True)
class Weight:
    """What a cell needs, in operations: warm start and training, which it may share, and its decoding."""

    start: int
    training: int
    decoding: int


@dataclass(frozen=True, slots=True)
class Slice:
    """What one shard has of a plan.

    Attributes:
        cells: Its cells, in the order of the plan.
        share: Its part of the work of all shards, 0 to 1.
        longest: The largest such part of any shard.
        shared: Its start groups that other shards have a part of.
        filled: Number of shards that have cells.
    """

    cells: tuple[Cell, ...]
    share: float
    longest: float
    shared: tuple[StartGroup, ...]
    filled: int


def parse_shard(text: str) -> Shard:
    """Read ``i/N``.

    Raises:
        UserError: It is none, or i is not from 1 to N.
    """
    numbers = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip(), flags=re.ASCII)
    if numbers is None:
        raise UserError(f"'{text}' is not a shard", origin="--cells", hint="Give i/N, as in --cells 1/4.")
    shard = Shard(*map(int, numbers.groups()))
    if not 1 <= shard.number <= shard.count:
        hint = "The first is 1: a job array starts at 1 too." if shard.number == 0 else ""
        problem = f"there is no shard {shard.number} of {shard.count}: they are numbered from 1 to N"
        raise UserError(problem, origin="--cells", hint=hint)
    return shard


def slice_of(plan: Plan, shard: Shard) -> Slice:
    """What a shard has of a plan; the same on every machine.

    Raises:
        UserError: A cost needs a package that is missing (LoRA without peft).
    """
    parts, loads = split(plan.cells, shard.count, weigh(plan))
    everything = max(1, sum(loads))
    longest = max(loads) / everything
    if shard.number > len(parts):
        return Slice((), 0.0, longest, (), len(parts))
    cells = parts[shard.number - 1]
    elsewhere = {start_group(cell) for part in parts if part is not cells for cell in part}
    shared = tuple(group for group in dict.fromkeys(map(start_group, cells)) if group in elsewhere)
    return Slice(tuple(cells), loads[shard.number - 1] / everything, longest, shared, len(parts))


def take_shard(plan: Plan, shard: Shard) -> tuple[Plan, list[str]]:
    """The plan with the cells of one shard, and what to say of it."""
    part, every = slice_of(plan, shard), len(plan.cells)
    taken = replace(plan, cells=part.cells, whole=plan.cells)
    if not part.cells:
        filled = "1 shard" if part.filled == 1 else f"{part.filled} shards"
        empty = f"Shard {shard} is empty: the {every} cells of this plan fill {filled}. Nothing to do."
        return taken, [empty]
    notes = [
        f"Shard {shard}: {len(part.cells)} of {every} cells, {part.share:.0%} of the estimated work "
        f"(the longest of {part.filled} shards: {part.longest:.0%})."
    ]
    if part.shared:
        named = ", ".join(f"{subset} {backbone} seed {seed}" for subset, backbone, seed in part.shared[:3])
        more = f" and {len(part.shared) - 3} more" if len(part.shared) > 3 else ""
        notes.append(
            f"Other shards need the warm start of {named}{more} too: in a shared results folder it is made "
            "once, in folders of their own once in each."
        )
    return taken, notes


def split(
    cells: Sequence[Cell], count: int, work_of: Callable[[Cell], Weight]
) -> tuple[list[list[Cell]], list[int]]:
    """Deal the cells out to at most ``count`` shards; those that are not returned are empty.

    Args:
        cells: Of a plan, in its order.
        count: Number of shards, at least 1.
        work_of: What each cell needs.

    Returns:
        Each shard's cells, and its work.
    """
    position = {id(cell): place for place, cell in enumerate(cells)}
    groups: dict[StartGroup, list[Cell]] = defaultdict(list)
    bundles: dict[tuple[StartGroup, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[start_group(cell)].append(cell)
        bundles[start_group(cell), cell.matched or cell.method].append(cell)
    work = {id(cell): work_of(cell) for cell in cells}
    (whole, long), (cut, short) = (_pack(list(p.values()), count, work) for p in (groups, bundles))
    chosen, loads = (cut, short) if max(short) < (1 - TOLERANCE) * max(long) else (whole, long)
    return [sorted(part, key=lambda cell: position[id(cell)]) for part in chosen], loads


def start_group(cell: Cell) -> StartGroup:
    """What a cell shares its warm start with."""
    return cell.trained_as or cell.subset, cell.backbone, cell.seed


def _pack(
    pieces: list[list[Cell]], count: int, work: dict[int, Weight]
) -> tuple[list[list[Cell]], list[int]]:
    """Deal pieces out, longest first; returns the shards that got any, and their work."""
    count = min(count, len(pieces))
    parts: list[list[Cell]] = [[] for _ in range(count)]
    loads = [0] * count
    holders: dict[StartGroup, list[int]] = defaultdict(list)
    queue = [(0, index) for index in range(count)]
    sized = [(_without_start(piece, work), piece) for piece in pieces]
    for needed, piece in sorted(sized, key=lambda item: -item[0]):  # stable: ties stay in the plan's order
        while queue[0][0] != loads[queue[0][1]]:
            heappop(queue)  # of a shard that has got more since
        group, start = start_group(piece[0]), work[id(piece[0])].start
        # Of the shards without the warm start, only the one with the least work can be the best.
        choices = [(loads[index], index) for index in holders[group]]
        free = queue[0][1]
        if free not in holders[group]:
            choices.append((loads[free] + start, free))
        load, index = min(choices)
        if index not in holders[group]:
            holders[group].append(index)
        loads[index] = load + needed
        parts[index] += piece
        heappush(queue, (loads[index], index))
    filled = [index for index in range(count) if parts[index]]
    return [parts[index] for index in filled], [loads[index] for index in filled]


def _without_start(piece: list[Cell], work: dict[int, Weight]) -> int:
    """Weight of a piece: what cells that only decode otherwise share is trained once."""
    trainings = {
        (start_group(cell), cell.method, cell.matched, cell.matched_by): work[id(cell)].training
        for cell in piece
    }
    return sum(trainings.values()) + sum(work[id(cell)].decoding for cell in piece)


def weigh(plan: Plan) -> Callable[[Cell], Weight]:
    """What tells the work of a cell of the plan: operations, those token by token counting for more.

    Raises:
        UserError: A backbone has adapters and peft is missing.
    """
    presets = {entry.name: entry.value for entry in plan.presets.values()}
    declared = all(preset.config for preset in presets.values())
    candidates = matchable(plan.cells)

    @cache
    def costs(backbone: str, lora: Lora) -> Costs:
        return shape_costs(presets[backbone], lora) if declared else _UNDECLARED

    @cache
    def each(backbone: str, subset: str, method: str, settings: Settings) -> PerExample:
        shape = costs(backbone, settings.lora)
        return _per_example(plan, subset, shape, settings, plan.methods[method].value)

    @cache
    def training(backbone: str, subset: str, method: str, settings: Settings, matched: str) -> int:
        spent = training_operations(
            each(backbone, subset, method, settings),
            settings,
            train=len(plan.data[subset].train),
            rate=A100_TFLOPS * 1e12 * UTILISATION,
            matched=matched,
        )
        return _weight(spent)

    def work_of(cell: Cell) -> Weight:
        by, settings = spent_by(cell, candidates), cell.settings
        one = each(cell.backbone, cell.subset, cell.method, settings)
        matched = (cell.matched_by or "flops") if cell.matched else ""
        tests = len(getattr(plan.data[cell.subset], settings.decode.split))
        return Weight(
            start=_weight(warm_start_operations(one, settings)),
            training=training(cell.backbone, cell.subset, by.method, by.settings, matched),
            decoding=_weight(one.decoding * tests),
        )

    return work_of


def _weight(spent: Operations) -> int:
    return int(spent.scored + spent.written / WRITING)


def _per_example(plan: Plan, subset: str, costs: Costs, settings: Settings, method: Method) -> PerExample:
    """Operations of an example of the mean length of the first 200, in tokens as bytes tell."""
    examples = plan.data[subset].train[:200]
    sizes = (
        sum(len(text.encode("utf-8", "surrogatepass")) for text in side)
        for side in ([ex.source for ex in examples], [ex.target for ex in examples])
    )
    source, target = (max(1, size // (BYTES_PER_TOKEN * len(examples))) for size in sizes)
    return of_mean_lengths(costs, settings, method, source, target)
