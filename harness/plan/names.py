"""The names of a spec resolved: task, scale, subsets, methods, backbones, metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.language import language_code
from warmup_bench.contracts.learned_metric import is_learned
from warmup_bench.contracts.method import Method
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.contracts.preset import Preset
from warmup_bench.contracts.registry import Entry, metrics
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Score
from warmup_bench.contracts.task import Scale, ScaleCard, Task, TaskCard
from warmup_bench.data.registry import tasks
from warmup_bench.models.load import resolve_preset
from warmup_bench.plan.selection import choose_scale, choose_subsets, is_offline
from warmup_bench.spec.spec import RunSpec


@dataclass(frozen=True)
class Names:
    """What the names of a spec stand for.

    Attributes:
        task: The task and where it came from.
        scale, subsets: Of the task.
        presets: Backbones by their reference in the spec.
        methods: By name.
        metrics: What every cell is scored with as it is decoded.
        learned: Learned metrics that can score here.
        left_out: Why a learned metric of the task can't, one sentence each.
    """

    task: Entry[Task]
    scale: Scale
    subsets: tuple[str, ...]
    presets: dict[str, Entry[Preset]]
    methods: dict[str, Entry[Method]]
    metrics: tuple[str, ...]
    learned: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def card(self) -> TaskCard:
        """Of the task."""
        return self.task.value.card

    @property
    def scale_card(self) -> ScaleCard:
        """Of the scale."""
        return self.card.scales[self.scale]

    def matched(self, spec: RunSpec) -> list[tuple[Entry[Method], str, str]]:
        """The baseline, once for each method whose FLOPs or seconds it is to be given, that method's name and
        :attr:`Cell.matched_by`.
        """
        base = self.methods[spec.stats.baseline] if spec.match else None
        by = ["" if unit == "flops" else unit for unit in spec.match_by]
        return [(base, name, unit) for name in spec.match for unit in by] if base else []


def resolve_names(spec: RunSpec) -> Names:
    """Resolve every name of a spec.

    Raises:
        UserError: One is unknown, two have one name, or something is asked of a method that is not there.
    """
    task: Entry[Task] = tasks().load(spec.task)
    card = task.value.card
    scale = choose_scale(card, spec.scale)
    subsets = choose_subsets(card, spec.subsets)
    plain, learned, left_out = _choose_metrics(card, subsets, spec.score)
    methods = {entry.value.name: entry for entry in map(resolve_method, spec.methods)}
    if len(methods) < len(spec.methods):
        raise UserError("two methods have one name", origin="--method", hint="Rename one of them.")
    for name in (name for name, sections in spec.decodings.items() if sections):
        _require_chosen(name, methods, f"decodings.{name}")
    for name in (spec.stats.baseline, *spec.match) if spec.match else ():
        _require_chosen(name, methods, "--match")
    offline = is_offline(spec.offline)
    references = spec.backbones or (card.scales[scale].backbone,)
    presets = {name: resolve_preset(name, offline=offline) for name in references}
    _require_own_names(presets)
    return Names(task, scale, tuple(subsets), presets, methods, plain, learned, left_out)


def _choose_metrics(
    card: TaskCard, subsets: Sequence[str], settings: Score
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Plain metrics, learned ones that can score here, and why others of the card can't.

    Raises:
        UserError: An unknown metric or language, or a learned metric that was asked for and can't score here:
            better said now than after the training.
    """
    for subset in subsets:
        language_code(card.subsets[subset].target_language, f"the task's card, subset {subset}")
    plain, learned, left_out = [], [], []
    for reference in dict.fromkeys((*card.metrics, *settings.metrics)):
        entry = metrics().load(reference)
        variants = [
            entry.value(MetricContext(card.subsets[subset].target_language, card.labels, settings=settings))
            for subset in subsets
        ]
        if not is_learned(variants[0]):
            plain.append(reference)
            continue
        reason = next((reason for metric in variants if (reason := metric.missing())), "")
        if reason and reference in settings.metrics:
            raise UserError(f"metric '{reference}' can't score here: {reason}", origin="score.metrics")
        if reason:
            left_out.append(f"{variants[0].name} is left out: {reason}.")
        else:
            learned.append(reference)
    return tuple(plain), tuple(learned), tuple(left_out)


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
