"""The one model of what steps cost, from shapes and lengths: estimates, forecasts and shards all read it."""

from dataclasses import dataclass, field

from warmup_bench.contracts.method import Method
from warmup_bench.contracts.settings import Budget, Decode, Lora, Settings
from warmup_bench.models.costs import Costs, IntArray

UTILISATION = 0.35
"""Share of a matrix rate that training reaches (our choice; printed with every estimate)."""
A100_TFLOPS = 312.0
"""Dense bfloat16 peak of an NVIDIA A100, by its data sheet."""
WRITING = 0.1
"""Utilisation of sampling and decoding, token by token, as a share of training's (our choice)."""


@dataclass(frozen=True, slots=True)
class Operations:
    """Floating-point operations by how they run.

    Attributes:
        scored: Of whole sequences at once: training, forward and backward.
        written: Token by token: sampling warmups, decoding the test set.
    """

    scored: float = 0.0
    written: float = 0.0

    def __add__(self, other: "Operations") -> "Operations":
        return Operations(self.scored + other.scored, self.written + other.written)

    def __mul__(self, times: float) -> "Operations":
        return Operations(times * self.scored, times * self.written)

    @property
    def total(self) -> float:
        """All of them."""
        return self.scored + self.written


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
class PerExample:
    """Mean operations of one example, for one method.

    Attributes:
        plain: Of training on it without a warmup.
        training: Of training on it as the method does.
        drafting: Of what the warm start writes of it, before the training, for a method that gives drafts.
        decoding: Of decoding it.
        target_tokens: Its target's length.
    """

    plain: Operations
    training: Operations
    drafting: Operations
    decoding: Operations
    target_tokens: float


@dataclass(frozen=True, slots=True)
class _Passes:
    """Mean forward operations of one example, by what is read or written.

    Attributes:
        read: The source.
        answer: The output, without a warmup.
        write: A warmup, token by token.
        given: A warmup that is there already, with nothing predicted.
        after: The output behind a warmup.
    """

    read: float
    answer: float
    write: float
    given: float
    after: float


def _passes(costs: Costs, cap: int, source: IntArray, target: IntArray) -> _Passes:
    import numpy as np

    count, c = len(source), np.full_like(source, cap)
    given = costs.advance(source, c) / count
    predicted = costs.predict(target.sum())
    return _Passes(
        read=costs.encode(source) / count,
        answer=(costs.advance(source, target) + predicted) / count,
        write=given + costs.predict(c.sum()) / count,
        given=given,
        after=(costs.advance(source, c + target) + predicted) / count - given,
    )


def per_example(
    costs: Costs, settings: Settings, method: Method, source: IntArray, target: IntArray
) -> PerExample:
    """Operations of an example from a model's shape, a method, and the lengths of some examples.

    Every warmup counts at its longest, and no two warmups or outputs drawn for an input are equal: an upper
    bound, and what a sampler that never ends one early spends. An output is as long as its target.

    Args:
        costs: Of the model.
        settings: Number and length of the warmups, and how outputs are written.
        method: Whose training and decoding is counted.
        source, target: Tokens of the examples, [examples].
    """
    one = _passes(costs, settings.warmup.max_tokens, source, target)
    plain = Operations(scored=costs.backward * (one.read + one.answer))
    drafting = Operations(written=one.read + one.write if method.drafts else 0.0)
    return PerExample(
        plain=plain,
        training=plain if method.warmup == "none" else _training(costs, settings, method, one),
        drafting=drafting,
        decoding=_decoding(settings.decode, method, one)
        + (drafting if method.given_at_inference else Operations()),
        target_tokens=float(target.mean()),
    )


def of_mean_lengths(
    costs: Costs, settings: Settings, method: Method, source: float, target: float
) -> PerExample:
    """:func:`per_example` of an example as long as the mean, cut as the settings cut it."""
    import numpy as np

    lengths = zip((source, target), settings.train.token_limits, strict=True)
    return per_example(costs, settings, method, *(np.array([min(pair)]) for pair in lengths))


def _training(costs: Costs, settings: Settings, method: Method, one: _Passes) -> Operations:
    """Of training on an example with n drawn warmups or a given one, as the ledger counts a step."""
    sampled = method.warmup == "sampled"
    n = settings.warmup.samples if sampled else 1
    scored = one.read + n * (one.write + one.after)
    direct = one.answer if settings.warmup.direct_weight else 0.0
    undropped = sampled and settings.train.dropout > 0
    return Operations(
        scored=costs.backward * (scored + direct) + scored * (method.reference + undropped),
        written=n * one.write if sampled else 0.0,
    )


def _decoding(decode: Decode, method: Method, one: _Passes) -> Operations:
    """Of decoding an example, as :func:`warmup_bench.decode.infer` does."""
    drawn = decode.samples if decode.warmup == "sampled" else 0
    if method.warmup == "none" or decode.warmup == "none":
        written = one.read + (drawn or decode.beams) * one.answer
        rescored = drawn * one.answer
    else:
        # Beams and given warmups take a pass of their own behind the warmup.
        behind = one.read + one.given + decode.beams * one.after
        rescored = drawn**2 * (one.given + one.after)  # every output under every warmup
        if drawn:
            written = one.read + drawn * (one.write + behind)
        elif method.gives_at_inference:
            written = behind
        elif decode.beams > 1 or decode.warmup == "shuffled":
            written = one.read + one.write + behind
        else:
            written = one.read + one.write + one.after
    if drawn and decode.select == "marginal":
        return Operations(scored=one.read + rescored, written=written)
    return Operations(written=written)


def warm_start_operations(each: PerExample, settings: Settings) -> Operations:
    """Operations of a warm start."""
    return each.plain * (settings.warm_start.steps * settings.train.batch_size)


def training_operations(
    each: PerExample, settings: Settings, *, train: int, rate: float, matched: str = ""
) -> Operations:
    """Operations of a training.

    Args:
        each: Operations of one example.
        settings: Of the training.
        train: Examples of the training split.
        rate: Operations a second: what a budget in seconds buys.
        matched: "flops" or "seconds": plain training is given as many operations, or those of as much time.
    """
    step, batch = each.training, settings.train.batch_size
    steps = _steps(
        settings.budget.in_steps(train, batch), batch * step.total, batch * each.target_tokens, rate
    )
    spent = step * (batch * steps) + each.drafting * train
    if matched:
        return Operations(scored=spent.scored + spent.written / (WRITING if matched == "seconds" else 1))
    return spent


def reads_start(settings: Settings, method: Method) -> bool:
    """Whether decoding reads the warm start beside the model: under adapters, and where the method gives
    warmups.
    """
    return settings.lora.rank > 0 or method.gives_at_inference


@dataclass(slots=True)
class Disk:
    """What steps write.

    Attributes:
        starts: Bytes of the model (fp32) of each warm start; ``bases``: of those that decoding reads too.
        trainings: The same of each training.
        decoded: Examples, about 300 bytes each.
    """

    starts: list[int] = field(default_factory=list)
    bases: list[int] = field(default_factory=list)
    trainings: list[int] = field(default_factory=list)
    decoded: int = 0

    def add(
        self, costs: Costs, lora: Lora, *, starts: int = 0, trainings: int = 0, base: bool = False
    ) -> None:
        """Add so many models of one size; a training with LoRA stores its adapter alone."""
        (self.bases if base else self.starts).extend([4 * costs.parameters] * starts)
        self.trainings += [4 * (costs.trainable if lora.rank else costs.parameters)] * trainings

    def peak(self, models: str, workers: int) -> int:
        """Bytes that stand on the disk when most do.

        Args:
            models: Which models stay, as ``store.models`` says. Of those that don't, no more stand at once
                than there are workers, since what ends the need for one comes first.
            workers: Steps at once.
        """
        written = self.starts, self.bases, self.trainings
        stay = {"all": written, "trained": written[1:], "none": ()}[models]
        go = {"all": (), "trained": written[:1], "none": (self.starts + self.bases, self.trainings)}[models]
        standing = sum(map(sum, stay)) + sum(sum(sorted(sizes)[-workers:]) for sizes in go)
        return standing + 300 * self.decoded


def _steps(budget: Budget, step: float, tokens: float, rate: float) -> float:
    """Steps that a budget buys where one costs ``step`` operations and trains on ``tokens`` tokens."""
    if budget.flops is not None:
        return budget.flops / step
    if budget.seconds is not None:
        return budget.seconds * rate / step
    return budget.tokens / tokens if budget.tokens is not None else float(budget.steps or 0)
