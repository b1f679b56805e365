"""Steps are timed by a clock that the tests move: how many, on how many inputs, and what is said of them."""

from collections.abc import Callable
from itertools import count

import pytest
import torch

from tiny import make_t5
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Settings
from warmup_bench.models.base import Backbone
from warmup_bench.models.batching import Encoded
from warmup_bench.plan import measure as module
from warmup_bench.plan.costs import A100_TFLOPS, UTILISATION, per_example
from warmup_bench.plan.measure import DIRECT, FEW, REPEATS, Rates, Timing, lengths_of, measure, timed

SETTINGS = Settings.model_validate(
    {
        "train": {"batch_size": 6, "max_source_tokens": 8, "max_target_tokens": 4, "dtype": "float32"},
        "warmup": {"samples": 2, "max_tokens": 2},
        "decode": {"batch_size": 5, "max_tokens": 4},
    }
)
ITEMS = [Encoded([4, 5] * (1 + i % 3), [5, 1]) for i in range(20)]


class Clock:
    """A clock that stands still but for what a test adds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps: list[int] = []

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: Callable[[int, int], float]) -> module.Work:
        """Steps that take ``seconds`` of the number of inputs and of the step, from 0 in each call."""

        def steps(inputs: int, note: Callable[[], None]) -> None:
            for step in count():
                self.steps.append(inputs)
                self.now += seconds(inputs, step)
                note()

        return steps


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "clock", made)
    return made


def test_the_plans_batch_is_timed_where_there_is_time(clock: Clock) -> None:
    # A GPU: the first step starts it, and the others take as long whatever the batch.
    gpu = clock.work(lambda inputs, step: 9.0 if step == 0 else 0.01)
    assert timed(gpu, 64, within=1.0) == Timing(64, pytest.approx(0.01))
    assert clock.steps == [FEW] * 2 + [64] * 2  # its first step has taken the time of more


def test_as_many_steps_as_there_is_time_for_up_to_a_few(clock: Clock) -> None:
    steps = clock.work(lambda inputs, step: 0.01 * inputs + 0.001 * step)
    # The median of five after the first: 0.1 + 0.001, ..., 0.1 + 0.005.
    assert timed(steps, 10, within=1.0) == Timing(10, pytest.approx(0.103))
    assert clock.steps == [FEW] * 2 + [10] * (REPEATS + 1)


def test_a_batch_that_takes_too_long_is_cut(clock: Clock) -> None:
    steps = clock.work(lambda inputs, step: inputs / 16)  # 4 take 0.25 s
    assert timed(steps, 64, within=1.0) == Timing(16, 1.0)
    assert timed(steps, 64, within=0.3) == Timing(FEW, 0.25)
    assert timed(steps, 2, within=1.0) == Timing(2, 0.125)


def test_a_batch_that_does_not_fit_is_not_timed(clock: Clock) -> None:
    def taken(inputs: int, step: int) -> float:
        if inputs > FEW:
            raise torch.OutOfMemoryError
        return 0.125

    assert timed(clock.work(taken), 64, within=10.0) == Timing(FEW, 0.125)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is an eighth of a second after the one before."""
    ticks = count()
    monkeypatch.setattr(module, "clock", lambda: next(ticks) / 8)


def measured(backbone: Backbone, device: str = "cpu", within: float = 60.0) -> Rates:
    sampled = SETTINGS, resolve_method("warmup").value
    return measure(backbone, ITEMS, SETTINGS, sampled, device, threads=1, devices=1, within=within)


@pytest.mark.usefixtures("ticking")
def test_rates_are_the_operations_of_real_steps_over_their_seconds() -> None:
    backbone = make_t5()
    before = [parameter.clone() for parameter in backbone.model.parameters()]
    got = measured(backbone)
    # Sources of 2, 4 and 6 tokens: the middle ones of 20 have 4.
    lengths = lengths_of([Encoded([4, 5, 4, 5], [5, 1])])
    plain, sampled = (
        per_example(backbone.costs, SETTINGS, method, *lengths)
        for method in (DIRECT, resolve_method("warmup").value)
    )
    assert got.plain == got.training(DIRECT) == pytest.approx(6 * plain.training.total / 0.125)
    assert got.sampled == got.training(resolve_method("warmup").value)
    assert got.sampled == pytest.approx(6 * sampled.training.total / 0.125)
    assert got.written == pytest.approx(5 * plain.decoding.total / 0.125)
    assert got.source == (
        "measured: a step on 6 inputs 125 ms, one that draws warmups on 6 inputs 125 ms, "
        "to decode 5 inputs 125 ms"
    )
    assert all(map(torch.equal, before, backbone.model.parameters()))  # at learning rate 0


@pytest.mark.usefixtures("ticking")
def test_devices_share_a_batch_and_a_micro_batch_is_all_at_once() -> None:
    for devices, micro, inputs in ((3, None, 2), (1, 3, 3)):
        train = SETTINGS.train.model_copy(update={"micro_batch_size": micro})
        settings = SETTINGS.model_copy(update={"train": train})
        got = measure(make_t5(), ITEMS, settings, None, "cpu", threads=1, devices=devices, within=60.0)
        assert got.source.startswith(f"measured: a step on {inputs} inputs 125 ms, to decode")
        assert got.sampled == got.plain


@pytest.mark.usefixtures("ticking")
def test_what_is_not_timed_takes_a_share_of_what_matrices_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    rate = UTILISATION * 2 * 512**3 / 0.125
    assumed = "assumed: 35% of what matrices reach here"
    long = measured(make_t5(), within=1e-9)
    assert long == Rates(rate, rate, rate, f"{assumed} (its steps are too long to be timed)")

    backbone = make_t5()
    backbone.model.config.max_position_embeddings = 8
    # 2 of the warmup, the separator, 4 of the output and its end; a decoder's start and its language
    fits = "sequences of up to 10 tokens do not fit the model: it has 8 positions"
    assert measured(backbone).source == f"{assumed} ({fits})"

    def full(*arguments: object, **options: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("warmup_bench.train.loop.batch_loss", full)
    whole = measured(make_t5())
    assert whole.source == f"{assumed} (memory ran out on a single warmup of a single input)"
    assert whole.plain == rate


def test_a_gpu_that_is_elsewhere_is_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    got = measured(make_t5(), "cuda")
    assert got.source == "assumed: 35% of an A100's peak"
    assert got.plain == got.written == pytest.approx(UTILISATION * A100_TFLOPS * 1e12)
