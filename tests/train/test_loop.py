"""The training loop: the same twice, the same in pieces, an honest ledger, a way out of NaNs."""

import dataclasses
import itertools
import json

import pytest
import torch

from tiny import (
    ANSWER,
    EOS,
    PAD,
    SEPARATOR,
    batch_of,
    counting_costs,
    draws_of,
    make,
    make_llama,
    make_t5,
    source_of,
)
from warmup_bench.baselines import sft, warmup
from warmup_bench.baselines.samplers import replay
from warmup_bench.contracts.errors import TrainingError, UserError
from warmup_bench.contracts.method import Coefficients, Method
from warmup_bench.contracts.settings import Budget, Train, Warmup
from warmup_bench.models.batching import Encoded, training_order
from warmup_bench.models.costs import Meter
from warmup_bench.models.state import SpecialTokens
from warmup_bench.train import loop, optimizer
from warmup_bench.train import rounds as rounds_module
from warmup_bench.train.fit import Fit
from warmup_bench.train.ledger import Outlay
from warmup_bench.train.loop import train
from warmup_bench.train.loss import batch_loss
from warmup_bench.train.objective import Objective
from warmup_bench.train.rounds import Memory, Turn

METHODS = {"sft": sft.METHOD, "warmup": warmup.METHOD}
SETTINGS = Train(batch_size=4, lr_warmup_steps=2, dtype="float32", log_every=2)
OFTEN = SETTINGS.model_copy(update={"eval_every": 1})
WARMUP = Warmup(samples=3, max_tokens=4)
PAIRS = [
    ([4, 5], [5]),
    ([5], [4, 4, 4]),
    ([4, 4, 4, 5], [5, 4]),
    ([5, 5, 4], []),
    ([4], [4, 5, 5, 4]),
    ([5, 4, 5, 4, 5], [5]),
    ([4, 4], [4, 5]),
]
EIGHT_ALIKE = [([4, 5], [4, 5])] * 8


def items_of(backbone, pairs=PAIRS):
    return [Encoded(source_of(backbone, x), [*y, EOS]) for x, y in pairs]


def trained(
    name,
    method,
    folder,
    *,
    steps=3,
    seed=0,
    learning_rate=1e-2,
    settings=SETTINGS,
    warmups=WARMUP,
    dropout=0.0,
    backbone=None,
    pairs=PAIRS,
    **options,
):
    """(weights, log lines, ledger) of a run from the same start; other options as those of ``train``."""
    backbone = backbone or make(name, dropout=dropout)
    torch.manual_seed(seed)
    log = folder / "log.jsonl"
    ledger = train(
        backbone,
        items_of(backbone, pairs),
        Objective(METHODS[method] if isinstance(method, str) else method, warmups),
        settings,
        learning_rate=learning_rate,
        seed=seed,
        log=log,
        **{"budget": Budget(steps=steps), "report": lambda *_: None} | options,
    )
    lines = [json.loads(line, parse_constant=pytest.fail) for line in log.read_text().splitlines()]
    return backbone.model.state_dict(), lines, ledger


def short_of_memory(monkeypatch, fits):
    """Training runs out of memory on a batch of inputs of which ``fits(inputs, turn)`` is not true."""
    real = loop.batch_loss

    def small_memory(backbone, batch, *arguments, **options):
        if not fits(batch.size, options["turn"]):
            raise torch.OutOfMemoryError("no room")
        return real(backbone, batch, *arguments, **options)

    monkeypatch.setattr(loop, "batch_loss", small_memory)


def without_time(lines):
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["t5", "llama"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_two_runs_of_a_seed_agree_bit_for_bit(name, method, dropout, tmp_path):
    settings = SETTINGS.model_copy(update={"dropout": dropout})
    run = lambda seed: trained(  # noqa: E731
        name, METHODS[method], tmp_path, seed=seed, settings=settings, dropout=dropout
    )
    first, lines, ledger = run(0)
    second, lines_again, ledger_again = run(0)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert without_time(lines) == without_time(lines_again)
    timeless = {"train_seconds": 0.0, "peak_memory": 0}
    assert dataclasses.replace(ledger, **timeless) == dataclasses.replace(ledger_again, **timeless)
    other, _, _ = run(1)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["t5", "llama"])
def test_micro_batches_give_the_same_parameters(name, method, tmp_path):
    start = make(name).model.state_dict()
    run = lambda settings: trained(  # noqa: E731
        name, METHODS[method], tmp_path, learning_rate=1e-3, settings=settings
    )
    whole, lines, ledger = run(SETTINGS)
    for size in (1, 3):
        parts, lines_of_parts, ledger_of_parts = run(SETTINGS.model_copy(update={"micro_batch_size": size}))
        # By norm: AdamW divides by the size of a gradient, so the rounding of one next to 0 is magnified.
        for key, value in whole.items():
            assert (parts[key] - value).norm() <= 5e-3 * (value - start[key]).norm(), key
        assert ledger_of_parts.warmup_tokens == ledger.warmup_tokens
        assert ledger_of_parts.target_tokens == ledger.target_tokens
        assert ledger_of_parts.train_flops == pytest.approx(ledger.train_flops)
        for line, of_parts in zip(lines, lines_of_parts, strict=True):
            for key in set(line) - {"seconds"}:
                assert of_parts[key] == pytest.approx(line[key], rel=1e-4), key


def test_the_order_of_examples_in_a_batch_does_not_change_the_loss(tiny):
    sources = [source_of(tiny, x) for x, _ in PAIRS]
    targets = [y for _, y in PAIRS]
    draws = draws_of(torch.rand(len(PAIRS), 3, 4, generator=torch.Generator().manual_seed(0)))
    objective = Objective(warmup.METHOD, WARMUP)
    tiny.model.train()
    loss = batch_loss(tiny, batch_of(sources, targets), objective, draws)
    order = [3, 6, 0, 5, 2, 1, 4]
    moved_batch = batch_of([sources[i] for i in order], [targets[i] for i in order])
    moved = batch_loss(tiny, moved_batch, objective, draws[order])
    torch.testing.assert_close(moved.rollout.ly, loss.rollout.ly[order], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved.rollout.lc, loss.rollout.lc[order], atol=1e-5, rtol=0)
    assert float(moved.value.detach()) == pytest.approx(float(loss.value.detach()), rel=1e-5)
    assert moved.flops == pytest.approx(loss.flops)


def record(monkeypatch, name, module=loop):
    """Calls of a function that a module calls, as (arguments, result)."""
    calls, real = [], getattr(module, name)

    def recorded(*arguments, **keywords):
        result = real(*arguments, **keywords)
        calls.append((arguments, result))
        return result

    monkeypatch.setattr(module, name, recorded)
    return calls


@pytest.mark.parametrize("name", ["t5", "llama"])
def test_dropout_is_on_for_the_gradient_alone(name, monkeypatch):
    """Off where warmups are drawn and where they are weighed, as if the model had none."""
    dropped, plain = make(name, dropout=0.5), make(name)
    sources = [source_of(plain, x) for x, _ in PAIRS]
    batch = batch_of(sources, [y for _, y in PAIRS])
    draws = draws_of(torch.rand(len(PAIRS), 3, 4, generator=torch.Generator().manual_seed(0)))
    objective = Objective(warmup.METHOD, WARMUP)
    calls = record(monkeypatch, "sample_warmups", rounds_module)
    # With dropout equal warmups are not the same row.
    monkeypatch.setattr(rounds_module, "merge_equals", every_row)
    losses = []
    for backbone, rate in ((dropped, 0.5), (dropped, 0.5), (plain, 0.0)):
        backbone.model.train()
        losses.append(batch_loss(backbone, batch, objective, draws, dropout=rate))
        assert backbone.model.training
    first, second, without = (warmups for _, warmups in calls)
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.tokens, without.tokens)
    torch.testing.assert_close(first.logp, without.logp, atol=1e-5, rtol=0)
    for part in ("credit", "likelihood"):  # the pass with a gradient has it
        assert not torch.allclose(getattr(losses[0], part), getattr(losses[1], part))
    torch.testing.assert_close(losses[0].rollout.lc.flatten(), without.logp, atol=1e-5, rtol=0)
    credit = torch.stack([objective.method.coefficients(loss.rollout).a.flatten() for loss in losses])
    assert credit.corrcoef().min() > 1 - 1e-5 and credit[2].std() > 0.03
    # Inputs are encoded once more, and their rows read once more.
    again = Meter(plain.costs)
    source, target = batch.mask.sum(dim=1), batch.target_lengths.repeat_interleave(3)
    again.read(source)
    predicted = (first.lengths + first.ended + target).sum()
    again.write(source.repeat_interleave(3), first.lengths + target, predicted)
    assert float(losses[0].flops - losses[2].flops) == pytest.approx(float(again.flops))


def test_methods_of_a_seed_meet_the_same_batches(monkeypatch, tmp_path):
    calls = record(monkeypatch, "collate")
    expected = None
    for method in METHODS.values():
        calls.clear()
        trained("llama", method, tmp_path, steps=4, seed=7)
        met = [arguments[0] for arguments, _ in calls]
        expected = expected or met
        assert met == expected
    items = items_of(make("llama"))
    order = itertools.islice(training_order(items, 4, 7), 4)
    assert expected == [[items[i] for i in picked] for picked in order]


def test_the_sampler_draws_anew_for_every_step_and_seed(monkeypatch, tmp_path):
    calls = record(monkeypatch, "batch_loss")
    drawn = []
    for seed in (0, 1):
        calls.clear()
        trained("llama", warmup.METHOD, tmp_path, seed=seed)
        drawn += [arguments[3].flatten(1) for arguments, _ in calls]
    both = torch.cat(drawn)
    assert both.shape == (2 * 3 * 4, 3 * (4 + 1))  # seeds, steps, inputs; samples, cap and the method's own
    assert len(both.unique(dim=0)) == len(both)
    assert ((both >= 0) & (both < 1)).all()


@pytest.mark.parametrize(
    ("method", "extra"), [("sft", set()), ("warmup", {"ess", "warmup_length", "forced", "samples"})]
)
def test_the_log_says_what_happened(method, extra, tmp_path, monkeypatch):
    calls = record(monkeypatch, "batch_loss")
    reports = []
    report = lambda *arguments: reports.append(arguments)  # noqa: E731
    _, lines, ledger = trained("t5", method, tmp_path, steps=5, report=report)
    assert [line["step"] for line in lines] == [2, 4, 5]
    assert set(lines[0]) == {"loss", "grad_norm", "learning_rate", "step", "seconds", "flops"} | extra
    assert [(step, steps) for step, steps, _ in reports] == [(i, 5) for i in range(1, 6)]

    # The loss is -log of the mean likelihood over the samples, a target token; the first line is a mean of 2.
    expected = []
    for (_, batch, *_), loss in calls:
        log_mean = (loss.rollout.ly.double().exp().mean(dim=1)).log()
        expected.append(float(-log_mean.sum()) / int(batch.target_lengths.sum()))
    assert lines[0]["loss"] == pytest.approx(sum(expected[:2]) / 2, rel=1e-5)
    assert lines[2]["loss"] == pytest.approx(expected[4], rel=1e-5)
    assert lines[-1]["flops"] == ledger.train_flops == pytest.approx(sum(loss.flops for _, loss in calls))
    # Linear warm-up over 2 steps to the peak, then linear to 0: 1/3, 2/3, 3/3, 2/3, 1/3 of the peak.
    rates = [figures["learning_rate"] for *_, figures in reports]
    assert rates == pytest.approx([1e-2 / 3, 2e-2 / 3, 1e-2, 2e-2 / 3, 1e-2 / 3])
    assert lines[0]["learning_rate"] == pytest.approx(0.5e-2)
    if extra:
        lengths = [float(loss.rollout.lengths.float().mean()) for _, loss in calls]
        assert lines[0]["warmup_length"] == pytest.approx(sum(lengths[:2]) / 2)
        assert lines[2]["forced"] == pytest.approx(float(calls[4][1].rollout.forced.float().mean()))
        assert 1 <= lines[2]["ess"] <= 3


@pytest.mark.parametrize(
    ("schedule", "expected"), [("constant", [0.5, 1, 1, 1]), ("linear", [0.5, 1, 2 / 3, 1 / 3])]
)
def test_learning_rate_schedules(schedule, expected):
    settings = Train(lr_warmup_steps=1, schedule=schedule)
    assert [optimizer.rate(step, step / 4, 1 / 4, settings) for step in range(4)] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        (Budget(steps=3), 3),
        (Budget(tokens=30), 3),  # 12 target tokens a step: 24 are not enough, 36 are
        (Budget(flops=2.5), 3),  # in units of one step's operations
        (Budget(flops=2.0), 2),
        (Budget(seconds=1e-9), 1),
    ],
)
def test_training_ends_with_the_step_that_reaches_the_budget(budget, steps, tmp_path):
    def run(spend):
        seen = []
        settings = Train(batch_size=4, lr_warmup_steps=1, dtype="float32")
        alike = {"pairs": EIGHT_ALIKE, "settings": settings, "learning_rate": 1e-3}
        report = lambda *event: seen.append(event)  # noqa: E731
        return trained("llama", "sft", tmp_path, budget=spend, report=report, **alike)[2], seen

    if budget.flops is not None:
        budget = Budget(flops=budget.flops * run(Budget(steps=1))[0].train_flops)
    ledger, seen = run(budget)
    assert ledger.steps == steps
    assert ledger.target_tokens == 12 * steps
    assert seen[-1][0] == seen[-1][1]  # the bar is full
    assert [event[2]["learning_rate"] for event in seen][:2] == pytest.approx([0.5e-3, 1e-3][:steps])


@pytest.mark.parametrize(
    ("budget", "outlay", "steps"),
    [
        (Budget(flops=3.0), Outlay(), 3),  # in units of one step's operations
        (Budget(flops=3.0), Outlay(flops=1.0), 2),
        (Budget(flops=3.0), Outlay(flops=1.5), 2),
        (Budget(flops=3.0), Outlay(flops=2.5, seconds=1e9), 1),
        (Budget(seconds=1e6), Outlay(flops=1e9, seconds=1e6 - 1e-6), 1),
        (Budget(steps=3), Outlay(flops=1e9, seconds=1e9), 3),
    ],
)
def test_an_outlay_counts_from_the_start(budget, outlay, steps, tmp_path):
    """Four steps with equal costs; the rate falls with the share of the budget that is spent."""

    settings = Train(batch_size=4, lr_warmup_steps=0, dtype="float32")
    alike = {"pairs": EIGHT_ALIKE, "settings": settings, "learning_rate": 1.0}
    unit = trained("llama", "sft", tmp_path, steps=1, **alike)[2].train_flops
    if budget.flops is not None:
        budget = Budget(flops=budget.flops * unit)
    spent, rates = Outlay(outlay.flops * unit, outlay.seconds), []
    report = lambda step, total, figures: rates.append(figures["learning_rate"])  # noqa: E731
    _, lines, ledger = trained("llama", "sft", tmp_path, budget=budget, outlay=spent, report=report, **alike)
    assert ledger.steps == steps
    assert ledger.train_flops == (outlay.flops + steps) * unit
    assert outlay.seconds <= ledger.train_seconds < outlay.seconds + 60
    assert rates[0] == 1.0  # the schedule begins where the training does
    assert lines[-1]["flops"] == ledger.train_flops


@pytest.mark.parametrize(
    ("budget", "message"), [(Budget(flops=2e9), "flops=2e\\+09"), (Budget(seconds=30), "seconds=30")]
)
def test_an_outlay_of_the_whole_budget_is_a_clear_error(budget, message, tmp_path):
    with pytest.raises(UserError, match=rf"took 2e\+09 FLOPs and 31 seconds, .* the budget {message}"):
        trained("llama", "sft", tmp_path, budget=budget, outlay=Outlay(2e9, 31.0))


COUNTER = counting_costs(parameters=77, trainable=66)


@pytest.mark.parametrize("method", METHODS)
def test_the_ledger_by_hand(method, tmp_path):
    # Two steps of three inputs: a prompt of 3 tokens (two and the answer mark), a target of 4 with eos.
    backbone = make_llama(costs=COUNTER)
    # Warmups that never end by themselves: the cap is their length.
    backbone.tokens = SpecialTokens(PAD, EOS, SEPARATOR, never=(ANSWER, SEPARATOR))
    _, _, ledger = trained(
        "llama",
        method,
        tmp_path,
        steps=2,
        settings=SETTINGS.model_copy(update={"batch_size": 3}),
        warmups=Warmup(samples=5, max_tokens=6),
        backbone=backbone,
        pairs=[([4, 5], [5, 4, 4])] * 3,
    )
    assert ledger.steps == 2
    assert ledger.target_tokens == 2 * 3 * 4
    assert (ledger.parameters, ledger.trainable) == (77, 66)
    assert ledger.skipped_steps == 0
    assert ledger.train_seconds > 0
    assert ledger.peak_memory > 10_000_000
    if method == "sft":
        # A row feeds 3 + 3 tokens and predicts 4.
        one = 3 * (2 * 6 + 2000 * 4)
        assert ledger.warmup_tokens == 0
    else:
        # A prompt of 3 once; five rows that sample 6 tokens (5 fed) and score c, sep and y (10 fed): the
        # forced separator is not a prediction, so 6 + 4 are.
        one = 3 * (2 * 3) + 5 * (2 * 5 + 2000 * 6) + 5 * 3 * (2 * 10 + 2000 * 10)
        assert ledger.warmup_tokens == 2 * 3 * 5 * 6
    assert ledger.train_flops == 2 * 3 * one


def test_a_written_separator_is_a_prediction_and_no_warmup_token():
    backbone = make_llama(costs=COUNTER)
    backbone.model.train()
    source = source_of(backbone, [4, 5])
    # The separator is the first allowed id: a uniform of 0 draws it, and the warmup is empty.
    loss = batch_loss(
        backbone, batch_of([source], [[5]]), Objective(warmup.METHOD, WARMUP), draws_of(torch.zeros(1, 3, 4))
    )
    assert loss.rollout.lengths.tolist() == [[0, 0, 0]]
    assert loss.warmup_tokens == 0
    # The prompt of 3; sampling predicts 1 and feeds 0, three times; the three are equal and scored once,
    # which feeds sep and 5, and predicts sep, 5 and eos.
    assert loss.flops == 3 * (2 * 3) + 3 * 2000 * 1 + 3 * (2 * 2 + 2000 * 3)


def every_row(warmups, n):
    rows = torch.arange(warmups.lengths.shape[0])
    return rows, rows


def loss_and_gradients(backbone, objective, draws, turn=None):
    """The loss of all pairs, and the gradients of the weights that have one."""
    batch = batch_of([source_of(backbone, x) for x, _ in PAIRS], [y for _, y in PAIRS])
    backbone.model.zero_grad()
    loss = batch_loss(backbone, batch, objective, draws_of(draws), turn=turn)
    loss.value.backward()
    parameters = backbone.model.named_parameters()
    return loss, {n: p.grad.clone() for n, p in parameters if p.grad is not None}


def same_gradients(ours, expected):
    for key, gradient in expected.items():
        torch.testing.assert_close(ours[key], gradient, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["t5", "llama"])
def test_equal_warmups_are_scored_once_with_the_same_gradient(name, monkeypatch):
    backbone, objective = make(name), Objective(warmup.METHOD, Warmup(samples=4, max_tokens=3))
    draws = torch.rand(len(PAIRS), 4, 3, generator=torch.Generator().manual_seed(1))
    draws[:, 2] = draws[:, 0]  # the third warmup of each input is its first
    merged, gradients = loss_and_gradients(backbone, objective, draws)
    monkeypatch.setattr(rounds_module, "merge_equals", every_row)
    apart, expected = loss_and_gradients(backbone, objective, draws)
    assert not merged.rollout.distinct[:, 2].any()
    assert merged.flops < apart.flops
    torch.testing.assert_close(merged.rollout.ly, apart.rollout.ly, atol=1e-5, rtol=0)
    torch.testing.assert_close(merged.rollout.lc, apart.rollout.lc, atol=1e-5, rtol=0)
    same_gradients(gradients, expected)


def failing(at):
    """``sft`` whose coefficients are NaN at the given calls."""
    calls = itertools.count(1)

    def coefficients(rollout):
        bad = next(calls) in at
        value = torch.full_like(rollout.ly, float("nan") if bad else 1.0)
        return Coefficients(torch.zeros_like(rollout.lc), value)

    return Method("failing", "", "", "none", coefficients)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
def test_a_step_with_a_loss_that_is_not_finite_is_skipped_and_counted(tmp_path):
    start = make_t5().model.state_dict()
    weights, lines, ledger = trained("t5", failing({1, 2}), tmp_path, steps=2)
    assert ledger.skipped_steps == 2
    assert all(torch.equal(weights[key], start[key]) for key in start)
    assert lines[0]["grad_norm"] is None  # and not NaN, which is not JSON

    weights, _, ledger = trained("t5", failing({2}), tmp_path, steps=3)
    assert ledger.skipped_steps == 1
    assert all(value.isfinite().all() for value in weights.values())
    assert not any(torch.equal(weights[key], start[key]) for key in start if "DenseReluDense" in key)


@pytest.mark.parametrize(
    ("steps", "share", "most"),
    [(5, 0.01, 2), (20, 0.2, 4), (20, 0.0, 2), (30, 1.0, 20)],
    ids=["two are forgiven", "a share", "two without a share", "never more than 20"],
)
def test_a_training_that_loses_too_many_steps_fails(steps, share, most, tmp_path):
    settings = SETTINGS.model_copy(update={"max_skipped": share})
    for budget in (
        Budget(steps=steps),
        Budget(tokens=steps * 4),
    ):  # four targets of one token: it is known at last
        options = {"pairs": [([4], [])] * 4, "settings": settings, "budget": budget}
        _, _, ledger = trained("llama", failing(set(range(most))), tmp_path, **options)
        assert (ledger.steps, ledger.skipped_steps) == (steps, most - 1)
        _, _, ledger = trained("llama", failing(set(range(1, most + 1))), tmp_path, **options)
        assert ledger.skipped_steps == most
        with pytest.raises(
            TrainingError, match=f"and {most} may be lost .train.max_skipped={share:g}"
        ) as told:
            trained("llama", failing(set(range(most + 2))), tmp_path, **options)
        assert told.value.diagnostics["skipped_steps"] == most + 1
        assert told.value.diagnostics["steps"] == (most + 1 if budget.steps or most == 20 else steps)


def test_cells_of_different_precision_share_a_process(tmp_path):
    half = SETTINGS.model_copy(update={"dtype": "bfloat16"})
    exact, lines, _ = trained("llama", warmup.METHOD, tmp_path)
    rounded, lines_of_half, _ = trained("llama", warmup.METHOD, tmp_path, settings=half)
    again, _, _ = trained("llama", warmup.METHOD, tmp_path)
    assert all(torch.equal(exact[key], again[key]) for key in exact)
    assert not all(torch.equal(exact[key], rounded[key]) for key in exact)
    assert lines_of_half[0]["loss"] == pytest.approx(lines[0]["loss"], rel=0.1)
    assert {value.dtype for value in rounded.values()} == {torch.float32}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["t5", "llama"])
def test_training_raises_the_likelihood(name, method, tmp_path):
    settings = SETTINGS.model_copy(update={"log_every": 1, "batch_size": 7})
    _, lines, _ = trained(name, METHODS[method], tmp_path, steps=30, settings=settings)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]


def test_memory_that_runs_out_halves_the_micro_batch(tmp_path, monkeypatch):
    """The step is done again in halves, and ends with the numbers of a run that was halved from the start."""
    settings = SETTINGS.model_copy(update={"micro_batch_size": 1})
    expected, _, halved = trained("llama", warmup.METHOD, tmp_path, settings=settings)
    short_of_memory(monkeypatch, lambda inputs, turn: inputs == 1)
    weights, _, ledger = trained("llama", warmup.METHOD, tmp_path)
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert ledger.micro_batch_size == halved.micro_batch_size == 1
    assert ledger.warmup_tokens == halved.warmup_tokens


def test_memory_that_runs_out_on_one_input_halves_the_warmups_at_once(tmp_path, monkeypatch):
    """Three warmups an input: two at once, then one; the gradient stays, and so does every number."""
    settings = SETTINGS.model_copy(update={"micro_batch_size": 1})
    expected, _, _ = trained("llama", warmup.METHOD, tmp_path, settings=settings)
    short_of_memory(monkeypatch, lambda inputs, turn: inputs == turn.rows_at_once == 1)
    weights, _, ledger = trained("llama", warmup.METHOD, tmp_path)
    assert (ledger.micro_batch_size, ledger.rows_at_once) == (1, 1)
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, atol=1e-4, rtol=0)


def test_a_step_that_ran_out_of_memory_leaves_nothing_to_recall(tmp_path, monkeypatch):
    """With replay a micro-batch writes what the next visit recalls; a step done again has not been."""
    method = dataclasses.replace(warmup.METHOD, name="replay", sampler=replay())
    halves = SETTINGS.model_copy(update={"micro_batch_size": 2})

    def run(failing_call):
        calls = []
        with monkeypatch.context() as patch:
            short_of_memory(patch, lambda inputs, turn: calls.append(inputs) or len(calls) != failing_call)
            weights, _, ledger = trained("llama", method, tmp_path, steps=5, settings=halves)
        assert calls == [2] * failing_call + [1] * 4
        assert ledger.micro_batch_size == 1
        return weights

    weights = run(10)  # the second micro-batch of the fifth step: each input was met before
    expected = run(9)  # before anything of the step was written
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("room", "ends"), [(2, Fit(2, 3)), (1, Fit(1, 3)), (0.4, Fit(1, 1))])
def test_an_evaluation_that_runs_out_of_memory_gets_less_and_training_keeps_its_own(room, ends, tmp_path):
    """``room``: inputs with all their warmups that fit; 0.4: one of the three warmups of one input."""
    met = []

    def evaluate(step, fit):
        met.append((step, fit))
        if fit.inputs * fit.rows > 3 * room:
            raise torch.OutOfMemoryError("no room")
        return {"loss": float(step)}

    plain, lines, _ = trained("llama", warmup.METHOD, tmp_path)
    weights, with_evaluations, ledger = trained(
        "llama", warmup.METHOD, tmp_path, settings=OFTEN, evaluate=evaluate
    )
    assert all(torch.equal(weights[name], plain[name]) for name in plain)
    assert (ledger.micro_batch_size, ledger.rows_at_once) == (4, 3)
    assert [line for line in with_evaluations if "validation" in line] == [
        {"step": step, "validation": {"loss": step}} for step in (1, 2, 3)
    ]
    assert without_time([line for line in with_evaluations if "validation" not in line]) == without_time(
        lines
    )
    assert met[0] == (1, Fit(4, 3))
    assert met[-3:] == [(1, ends), (2, ends), (3, ends)]  # what did not fit is not tried again


@pytest.mark.parametrize(
    ("budget", "every", "expected"),
    [
        ({"steps": 7}, 3, [1, 3, 6, 7]),
        ({"steps": 3}, 3, [3]),  # what was asked for, and no more
        ({"steps": 2}, 50, [2]),
        ({"tokens": 30}, 50, [1, 3]),  # how many steps that is shows at its end
    ],
)
def test_evaluations_are_as_many_as_asked_for(budget, every, expected, tmp_path):
    met = []
    settings = SETTINGS.model_copy(update={"eval_every": every})
    trained(
        "t5",
        "sft",
        tmp_path,
        settings=settings,
        pairs=EIGHT_ALIKE,  # a step has four of them, 12 tokens to write
        budget=Budget(**budget),
        evaluate=lambda step, fit: met.append(step) or {},
    )
    assert met == expected


def test_an_evaluation_gets_the_micro_batch_that_training_has_come_to(tmp_path, monkeypatch):
    met = []
    short_of_memory(monkeypatch, lambda inputs, turn: inputs <= 2)
    evaluate = lambda step, fit: met.append(fit) or {}  # noqa: E731
    trained("llama", warmup.METHOD, tmp_path, settings=OFTEN, evaluate=evaluate)
    assert met == [Fit(2, 3)] * 3


def test_memory_that_runs_out_on_one_warmup_of_an_evaluation_is_a_clear_error(tmp_path):
    def evaluate(step, fit):
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(UserError, match=r"single warmup of a single input.*evaluation, training of warmup"):
        trained("llama", warmup.METHOD, tmp_path, evaluate=evaluate)


@pytest.mark.parametrize("name", ["t5", "llama"])
@pytest.mark.parametrize("at_once", [1, 4])
def test_the_score_in_parts_has_the_same_gradient(name, at_once):
    backbone = make(name)
    draws = torch.rand(len(PAIRS), 4, 3, generator=torch.Generator().manual_seed(1))
    method = dataclasses.replace(warmup.METHOD, reference=True)
    objective = Objective(method, Warmup(samples=4, max_tokens=3), make(name, seed=3))
    (whole, expected), (parts, gradients) = (
        loss_and_gradients(backbone, objective, draws, Turn(0.0, range(len(PAIRS)), Memory(), rows))
        for rows in (None, at_once)
    )
    torch.testing.assert_close(parts.rollout.ly, whole.rollout.ly, atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.rollout.lc_reference, whole.rollout.lc_reference, atol=1e-5, rtol=0)
    assert parts.flops == whole.flops  # the ledger counts the method, not how it was made to fit
    same_gradients(gradients, expected)


def test_memory_that_runs_out_on_one_warmup_is_a_clear_error(tmp_path, monkeypatch):
    short_of_memory(monkeypatch, lambda inputs, turn: False)
    with pytest.raises(UserError, match="memory ran out on a single warmup"):
        trained("llama", warmup.METHOD, tmp_path)


def test_the_optimiser_is_what_the_settings_say():
    """One step from a gradient of 2 and a weight of 1, rate 0.1."""
    matrix, bias = (torch.nn.Parameter(torch.ones(shape)) for shape in ((2, 2), (2,)))
    settings = Train(weight_decay=0.5, adam_betas=(0.5, 0.75), adam_eps=2.0, decay_norms=False)
    made = optimizer.make_optimizer([matrix, bias], settings, 0.1)
    for parameter in (matrix, bias):
        parameter.grad = torch.full_like(parameter, 2.0)
    made.step()
    # Both means are corrected to 2 and 4; 2 / (sqrt 4 + eps 2) of the rate.
    moved = 0.1 * 2 / (2 + 2)
    assert matrix.flatten().tolist() == pytest.approx([1 - 0.1 * 0.5 - moved] * 4)
    assert bias.tolist() == pytest.approx([1 - moved] * 2)
    assert [group["betas"] for group in made.param_groups] == [(0.5, 0.75)] * 2
    (plain,) = optimizer.make_optimizer([matrix, bias], Train(weight_decay=0.5), 0.1).param_groups
    assert (plain["betas"], plain["eps"], plain["weight_decay"]) == ((0.9, 0.98), 1e-8, 0.5)


def test_gradients_may_be_left_as_they_are(tmp_path):
    def first_norm(most):
        settings = SETTINGS.model_copy(update={"max_grad_norm": most})
        weights, lines, _ = trained("t5", "sft", tmp_path, steps=1, settings=settings)
        return weights["shared.weight"], lines[0]["grad_norm"]

    (small, norm), (whole, same), (huge, _) = first_norm(1e-6), first_norm(None), first_norm(1e6)
    assert norm == same > 1e-3  # the figure is that before clipping
    assert torch.equal(whole, huge)
    assert not torch.equal(whole, small)
