"""Two processes that share every batch train, count and decode as one."""

import dataclasses
import itertools
import math
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_loop import METHODS, SETTINGS, failing, short_of_memory, trained, without_time

from forked_ranks import in_ranks
from tiny import make, source_of
from warmup_bench.baselines import warmup
from warmup_bench.contracts.errors import TrainingError
from warmup_bench.contracts.settings import Budget, Decode
from warmup_bench.decode import infer
from warmup_bench.models.parallel import ALONE, BUCKET, RankGroup, _buckets
from warmup_bench.train import loop

BATCH_OF_5 = SETTINGS.model_copy(update={"batch_size": 5})  # 2 and 3 inputs
TIMELESS = {"train_seconds": 0.0, "peak_memory": 0, "micro_batch_size": 0}


@given(count=st.integers(0, 50), size=st.integers(1, 9))
def test_shares_are_contiguous_even_and_complete(count, size):
    things = list(range(count))
    shares = [things[RankGroup(rank, size).share(count)] for rank in range(size)]
    assert list(itertools.chain(*shares)) == things
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_what_ranks_exchange():
    def work(group):
        values = group.gather({"rank": group.rank, "text": "ä" * (3 * group.rank), "nan": math.nan})
        finished = []
        squares = group.spread(range(5), lambda n: [n * n, group.rank], finished.append)
        return values, group.of_first(group.rank + 7), squares, finished, group.gather([])

    for values, first, squares, finished, empty in in_ranks(3, work):
        assert [value["rank"] for value in values] == [0, 1, 2]
        assert [len(value["text"]) for value in values] == [0, 3, 6]
        assert all(math.isnan(value["nan"]) for value in values)
        assert first == 7
        assert squares == [[0, 0], [1, 1], [4, 2], [9, 0], [16, 1]]
        assert finished[-1] == (5 if len(finished) == 2 else 3)
        assert empty == [[], [], []]
    assert ALONE.gather(3) == [3]


def test_gradients_are_summed_and_stay_away_where_no_rank_has_one():
    def work(group):
        weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (3,), (1,))]
        weights[0].grad = torch.full((2, 2), float(group.rank + 1))
        if group.rank == 1:
            weights[1].grad = torch.tensor([1.0, 2.0, 3.0])
        group.sum_gradients(weights)
        return [None if w.grad is None else w.grad.tolist() for w in weights]

    expected = [[[3.0, 3.0], [3.0, 3.0]], [1.0, 2.0, 3.0], None]
    assert in_ranks(2, work) == [expected, expected]


def test_gradients_are_summed_in_buckets_of_one_type():
    shapes = [(BUCKET // 2, torch.float32), (BUCKET // 2, torch.float32), (1, torch.float32)]
    shapes += [(2 * BUCKET, torch.float32), (1, torch.float32), (1, torch.bfloat16)]
    weights = [torch.empty(n, dtype=dtype, device="meta") for n, dtype in shapes]
    assert [len(bucket) for bucket in _buckets(weights)] == [2, 1, 1, 1, 1]


class Recording(torch.optim.SGD):
    """Keeps every gradient that it is given."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=0.05)
        self.seen = []

    def step(self, closure=None):
        weights = [p for group in self.param_groups for p in group["params"]]
        self.seen.append(torch.cat([p.grad.flatten() for p in weights]))
        return super().step(closure)


def run(
    group,
    folder,
    *,
    name="t5",
    method="sft",
    settings=BATCH_OF_5,
    dropout=0.0,
    learning_rate=0.05,
    double=False,
    **options,
):
    """(gradients of every step, weights, log without times, ledger without times) of a rank."""
    backbone = make(name, dropout=dropout)
    if double:
        backbone.model.double()
    folder.mkdir(exist_ok=True)
    optimizers = []

    def make_optimizer(parameters, settings, learning_rate):
        optimizers.append(Recording(parameters))
        return optimizers[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_optimizer", make_optimizer)
        _, lines, ledger = trained(
            name,
            method,
            folder,
            learning_rate=learning_rate,
            settings=settings.model_copy(update={"dropout": dropout}),
            backbone=backbone,
            checkpoints=folder,
            group=group,
            **options,
        )
    weights = torch.cat([p.detach().flatten() for p in backbone.model.parameters()]).tolist()
    gradients = [gradient.tolist() for gradient in optimizers[0].seen]
    ledger = dataclasses.asdict(dataclasses.replace(ledger, **TIMELESS))
    return gradients, weights, without_time(lines), ledger


def relative(one, other):
    one, other = torch.tensor(one, dtype=torch.float64), torch.tensor(other, dtype=torch.float64)
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["t5", "llama"])
def test_two_ranks_have_the_gradients_of_one(name, method, tmp_path):
    """Three batches of 5 under the same weights: 2 inputs on one rank and 3 on the other."""

    def work(group):
        folder = tmp_path / str(group.size)
        return run(group, folder, name=name, method=method, learning_rate=0.0, double=True)

    (expected,) = in_ranks(1, work)
    first, second = in_ranks(2, work)
    assert first[0] == second[0], "the ranks have the same gradient, bit for bit"
    assert first[1] == second[1]
    assert len(first[0]) == 3
    for ours, theirs in zip(first[0], expected[0], strict=True):
        assert relative(ours, theirs) <= 1e-6
    assert first[3] == second[3] == expected[3]  # FLOPs, tokens and steps are those of all ranks
    assert [line["step"] for line in first[2]] == [line["step"] for line in expected[2]]
    for ours, theirs in zip(first[2], expected[2], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)


def test_two_ranks_train_the_weights_of_one(tmp_path):
    work = lambda group: run(group, tmp_path / str(group.size), method="warmup")  # noqa: E731
    start = torch.cat([p.detach().flatten() for p in make("t5").model.parameters()]).tolist()
    (expected,) = in_ranks(1, work)
    first, second = in_ranks(2, work)
    assert first[1] == second[1]
    assert relative(first[1], expected[1]) <= 1e-6
    assert relative(start, expected[1]) > 1e-3


def test_more_ranks_than_inputs(tmp_path):
    settings = SETTINGS.model_copy(update={"batch_size": 2})
    work = lambda group: run(group, tmp_path / str(group.size), settings=settings, double=True)  # noqa: E731
    (expected,) = in_ranks(1, work)
    for ours in in_ranks(3, work):
        assert relative(ours[0][0], expected[0][0]) <= 1e-6
        assert ours[3] == expected[3]


def test_memory_that_runs_out_on_one_rank_halves_its_part_alone(tmp_path, monkeypatch):
    (expected,) = in_ranks(1, lambda group: run(group, tmp_path / "1", method="warmup", double=True))

    def work(group):
        short_of_memory(monkeypatch, lambda inputs, turn: group.rank == 0 or inputs == 1)
        monkeypatch.delitem(TIMELESS, "micro_batch_size")
        return run(group, tmp_path / "2", method="warmup", double=True)

    for ours in in_ranks(2, work):
        assert relative(ours[0][0], expected[0][0]) <= 1e-6
        assert ours[3]["micro_batch_size"] == 1  # the least of the ranks
        assert ours[3]["warmup_tokens"] == expected[3]["warmup_tokens"]


def test_a_step_that_fails_on_one_rank_is_skipped_on_all(tmp_path):
    def work(group):
        method = failing({1, 2} if group.rank == 1 else set())
        return run(group, tmp_path / "2", method=method)

    first, second = in_ranks(2, work)
    assert len(first[0]) == 1
    assert first[:2] == second[:2]
    assert first[3]["skipped_steps"] == second[3]["skipped_steps"] == 2


def test_all_ranks_give_up_together(tmp_path):
    def work(group):
        method = failing(set(range(1, 100)) if group.rank == 1 else set())
        try:
            run(group, tmp_path / "2", method=method, budget=Budget(steps=50))
        except TrainingError as error:
            return error.diagnostics["steps"]
        return None

    assert in_ranks(2, work) == [loop.FORGIVEN + 1] * 2


def test_ranks_stop_by_the_clock_of_the_first(tmp_path, monkeypatch):
    def work(group):
        clock = itertools.count(step=1.0 if group.first else 100.0)
        monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
        return run(group, tmp_path / "2", budget=Budget(seconds=20))[3]["steps"]

    steps = in_ranks(2, work)
    assert steps[0] == steps[1] > 3


def test_two_ranks_go_on_from_a_checkpoint_bit_for_bit(tmp_path):
    """With dropout: each rank goes on with a stream of its own."""

    class KilledError(Exception):
        pass

    def work(group, folder, stop=None):
        seeds = []

        def report(step, steps, figures):
            seeds.append(torch.initial_seed())
            if step == stop:
                raise KilledError

        settings = BATCH_OF_5.model_copy(update={"checkpoint_every": 2})
        try:
            options = {"settings": settings, "steps": 5, "dropout": 0.3, "report": report}
            return run(group, tmp_path / folder, method="warmup", **options), seeds
        except KilledError:
            return None

    whole = in_ranks(2, lambda group: work(group, "whole"))
    assert in_ranks(2, lambda group: work(group, "parts", stop=4)) == [None, None]
    parts = in_ranks(2, lambda group: work(group, "parts"))
    for (expected, seeds), (ours, later) in zip(whole, parts, strict=True):
        assert ours[1:] == expected[1:]
        assert ours[0] == expected[0][4:]  # gone on from step 4
        assert later == seeds[4:]
    drawn = [seed for _, seeds in whole for seed in seeds]
    assert len(set(drawn)) == len(drawn) == 2 * 5


@pytest.mark.parametrize(
    "keys",
    [{}, {"beams": 2}, {"warmup": "shuffled"}, {"warmup": "sampled", "samples": 3, "temperature": 0.7}],
    ids=["greedy", "beams", "shuffled", "marginal"],
)
def test_decoding_is_shared_and_gathered_in_order(keys):
    def work(group):
        backbone = make("t5", vocabulary=12, seed=14)
        backbone.model.eval()
        contents = [[4 + (i * k) % 8 for k in range(1 + i % 5)] for i in range(11)]
        reported = []
        decoded, flops = infer(
            backbone,
            [source_of(backbone, content) for content in contents],
            Decode(max_tokens=5, batch_size=4, **keys),
            warmup_cap=3,
            seed=1,
            report=lambda *progress: reported.append(progress),
            group=group,
        )
        return [dataclasses.astuple(d) for d in decoded], flops, reported[-1]

    (expected,) = in_ranks(1, work)
    assert len({tuple(output) for _, _, output, _ in expected[0]}) > 3
    first, second = in_ranks(2, work)
    assert first[:2] == second[:2] == expected[:2]
    assert expected[2][0] == expected[2][1]


def test_the_draws_of_two_ranks_are_those_of_one(tmp_path, monkeypatch):
    """No rank reads a draw of another, and together they read what one process would."""
    real = loop.batch_loss

    def work(group):
        drawn = []

        def recorded(backbone, batch, objective, draws, **options):
            drawn.append(draws.flatten(1).tolist())
            return real(backbone, batch, objective, draws, **options)

        monkeypatch.setattr(loop, "batch_loss", recorded)
        run(group, tmp_path / str(group.size), method=warmup.METHOD)
        return drawn

    (expected,) = in_ranks(1, work)
    first, second = in_ranks(2, work)
    assert [[*a, *b] for a, b in zip(first, second, strict=True)] == expected
    rows = [tuple(row) for rows in expected for row in rows]
    assert len(set(rows)) == len(rows) == 3 * 5
