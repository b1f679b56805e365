"""A training that stops anywhere goes on and ends bit for bit as one that was never touched."""

import dataclasses
import random

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors import SafetensorError
from test_loop import SETTINGS, failing, short_of_memory, trained, without_time

from tiny import make
from warmup_bench.baselines import samplers, warmup
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Budget
from warmup_bench.train import checkpoint
from warmup_bench.train.checkpoint import KEPT, Pace, clear, latest
from warmup_bench.train.ledger import NOTHING, Outlay

REPLAY = dataclasses.replace(warmup.METHOD, name="warmup-replay", sampler=samplers.replay())
TIMELESS = {"train_seconds": 0.0, "peak_memory": 0}


class KilledError(Exception):
    """Stands for kill -9: nothing is written after it."""


def run(
    folder,
    *,
    name="llama",
    method="warmup",
    stop=None,
    error=KilledError,
    budget=None,
    seed_of_weights=0,
    every=2,
    dropout=0.0,
    evaluate=None,
    outlay=NOTHING,
    **changes,
):
    """(weights, log lines, ledger without times) of a run, or None where it was stopped at step ``stop``."""
    settings = SETTINGS.model_copy(update={"checkpoint_every": every, "dropout": dropout, **changes})
    backbone = make(name, dropout=dropout, seed=seed_of_weights)
    folder.mkdir(exist_ok=True)
    steps = 0

    def report(done, total, figures):
        nonlocal steps
        steps += 1
        if steps == stop:
            raise error

    try:
        weights, lines, ledger = trained(
            name,
            REPLAY if method == "replay" else method,
            folder,
            seed=3,
            settings=settings,
            backbone=backbone,
            budget=budget or Budget(steps=7),
            report=report,
            evaluate=evaluate,
            checkpoints=folder,
            outlay=outlay,
        )
    except error:
        assert stop is not None
        return None
    return weights, without_time(lines), dataclasses.replace(ledger, **TIMELESS)


def same_weights(one, other):
    assert all(torch.equal(one[key], other[key]) for key in other)


def same(one, other):
    weights, lines, ledger = one
    weights_of_other, lines_of_other, ledger_of_other = other
    same_weights(weights, weights_of_other)
    assert lines == lines_of_other
    assert ledger == ledger_of_other


@pytest.mark.parametrize(
    ("name", "method", "changes"),
    [
        ("t5", "sft", {"optimizer": "adafactor"}),
        ("llama", "sft", {"schedule": "constant"}),
        ("t5", "warmup", {"optimizer": "adafactor", "dropout": 0.3, "log_every": 3}),
        ("llama", "warmup", {"dropout": 0.3}),
        ("llama", "replay", {"log_every": 4}),
        ("t5", "replay", {"optimizer": "adafactor", "batch_size": 3}),
    ],
)
def test_a_run_that_was_killed_twice_ends_as_one_that_was_not(name, method, changes, tmp_path):
    whole = run(tmp_path / "whole", name=name, method=method, every=100, **changes)
    parts = tmp_path / "parts"
    # Killed after steps 5 and 1 more: each time it goes back to the last even step. Other weights to begin
    # with show that they come from the checkpoint.
    assert run(parts, name=name, method=method, stop=5, **changes) is None
    assert [p.name for p in sorted(parts.glob("step-*"))] == ["step-00000002", "step-00000004"]
    assert run(parts, name=name, method=method, stop=1, seed_of_weights=8, **changes) is None
    torch.rand(7)
    same(run(parts, name=name, method=method, seed_of_weights=9, **changes), whole)


@pytest.mark.parametrize("unit", ["tokens", "flops"])
def test_budgets_in_other_units_go_on_too(unit, tmp_path):
    spent = run(tmp_path / "measure", budget=Budget(steps=5))[2]
    amount = {"tokens": spent.target_tokens, "flops": spent.train_flops}[unit]
    budget = Budget(**{unit: amount})
    whole = run(tmp_path / "whole", budget=budget)
    assert whole[2].steps == 5
    assert run(tmp_path / "parts", budget=budget, stop=3, every=1) is None
    same(run(tmp_path / "parts", budget=budget, seed_of_weights=9), whole)


@pytest.mark.parametrize("unit", ["flops", "steps"])
def test_a_training_that_goes_on_does_not_count_its_outlay_again(unit, tmp_path):
    """As it would draft again: at another cost, since a machine's seconds are never the same."""
    five = run(tmp_path / "measure", budget=Budget(steps=5))[2].train_flops
    outlay = Outlay(flops=five / 2, seconds=1e6)
    budget = Budget(flops=five) if unit == "flops" else Budget(steps=5)
    whole = run(tmp_path / "whole", budget=budget, outlay=outlay)
    assert whole[2].steps == (3 if unit == "flops" else 5)
    assert whole[2].train_flops > five / 2
    assert run(tmp_path / "parts", budget=budget, stop=2, every=1, outlay=outlay) is None
    assert latest(tmp_path / "parts").values["seconds"] == pytest.approx(1e6, abs=60)
    again = Outlay(flops=2 * five, seconds=3e6)
    same(run(tmp_path / "parts", budget=budget, seed_of_weights=9, outlay=again), whole)


def test_a_budget_in_seconds_counts_those_that_were_spent(tmp_path, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("warmup_bench.train.loop.time.perf_counter", lambda: float(next(clock)))
    budget = Budget(seconds=40)
    whole = run(tmp_path / "whole", budget=budget, every=1000)
    assert run(tmp_path / "parts", budget=budget, stop=20, every=1000, error=KeyboardInterrupt) is None
    snapshot = latest(tmp_path / "parts")
    assert snapshot.values["seconds"] == pytest.approx(20, abs=1)
    ended = run(tmp_path / "parts", budget=budget, every=1000)
    assert abs(ended[2].steps - whole[2].steps) <= 1  # a second of this clock is one look at it


@pytest.mark.parametrize("stop", [1, 4, 7])
def test_an_interrupt_leaves_a_checkpoint_of_the_very_step(stop, tmp_path):
    whole = run(tmp_path / "whole")
    assert run(tmp_path / "parts", stop=stop, every=100, error=KeyboardInterrupt) is None
    assert [p.name for p in (tmp_path / "parts").glob("step-*")] == [f"step-{stop:08d}"]
    met = []
    resumed = run(tmp_path / "parts", evaluate=lambda step, fit: met.append(step) or {}, eval_every=1)
    assert met == list(range(stop + 1, 8))
    same_weights(resumed[0], whole[0])


def test_skipped_steps_and_an_open_window_survive(tmp_path):
    whole = run(tmp_path / "whole", method=failing({2, 3}), log_every=5)
    assert whole[2].skipped_steps == 2
    parts = tmp_path / "parts"
    assert run(parts, method=failing({2, 3}), log_every=5, stop=3, error=KeyboardInterrupt) is None
    same(run(parts, method=failing(set()), log_every=5), whole)
    assert whole[1][0]["grad_norm"] is None


def test_the_fit_survives(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        short_of_memory(patch, lambda inputs, turn: inputs <= 2)
        whole = run(tmp_path / "whole")
        assert whole[2].micro_batch_size == 2
        assert run(tmp_path / "parts", stop=3) is None
    # With room again it goes on in halves: the numbers of a run depend on where it was halved.
    same(run(tmp_path / "parts"), whole)


def test_every_generator_is_put_back(tmp_path):
    assert run(tmp_path, stop=4, error=KeyboardInterrupt, dropout=0.3) is None
    expected = [random.random(), np.random.rand()]
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    drawn = []

    def draw(step, fit):
        drawn.extend((random.random(), np.random.rand()))
        raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path, evaluate=draw, eval_every=5, stop=None, error=ZeroDivisionError)
    # Python's and numpy's have not moved in the one step between; torch's has, by the dropout.
    assert drawn == expected


def test_the_newest_two_are_kept_and_none_at_the_end(tmp_path):
    run(tmp_path, budget=Budget(steps=9))
    assert [p.name for p in sorted(tmp_path.glob("step-*"))] == ["step-00000006", "step-00000008"]
    clear(tmp_path)
    assert not tmp_path.exists()
    assert KEPT == 2


@pytest.mark.parametrize("victim", ["tensors.safetensors", "state.json", "log.jsonl", "DONE.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "remove"])
def test_a_damaged_checkpoint_is_named_set_aside_and_the_one_before_used(victim, damage, tmp_path, caplog):
    whole = run(tmp_path / "whole", name="llama", method="sft", log_every=1)
    parts = tmp_path / "parts"
    assert run(parts, method="sft", stop=5, log_every=1) is None
    newest = parts / "step-00000004"
    content = bytearray((newest / victim).read_bytes())
    if damage == "remove":
        (newest / victim).unlink()
    else:
        content[len(content) // 2] ^= 4
        kept = {"flip": content, "truncate": content[: len(content) // 2], "empty": b""}[damage]
        (newest / victim).write_bytes(kept)
    before = {p.name: p.read_bytes() for p in newest.iterdir()}
    met = []
    note = lambda step, fit: met.append(step) or {}  # noqa: E731
    ended = run(parts, method="sft", log_every=1, evaluate=note, eval_every=1, every=100)
    assert met[0] == 3  # from step 2
    same_weights(ended[0], whole[0])
    assert str(newest) in caplog.text
    (aside,) = parts.glob("damaged-step-00000004.*")
    assert {p.name: p.read_bytes() for p in aside.iterdir()} == before
    clear(parts)
    assert aside.is_dir()


def test_without_any_whole_checkpoint_it_begins_anew(tmp_path, caplog):
    whole = run(tmp_path / "whole")
    assert run(tmp_path / "parts", stop=3) is None
    (tmp_path / "parts" / "step-00000002" / "state.json").write_text("{", encoding="utf-8")
    same(run(tmp_path / "parts"), whole)
    assert "state.json" in caplog.text


def test_what_a_killed_writer_left_is_swept_away(tmp_path):
    assert run(tmp_path, stop=3) is None
    torn = tmp_path / ".step-00000004.0123abcd.tmp"
    torn.mkdir()
    (torn / "tensors.safetensors").write_bytes(b"half")
    assert latest(tmp_path).values["ledger"]["steps"] == 2
    assert not torn.exists()


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    assert run(tmp_path, name="t5", stop=3) is None
    with pytest.raises(UserError, match="another model"):
        run(tmp_path, name="llama")


def test_a_folder_that_vanishes_is_named(tmp_path):
    import shutil

    folder = tmp_path / "gone"
    with pytest.raises(UserError, match="gone has vanished"):
        run(folder, evaluate=lambda step, fit: shutil.rmtree(folder) or {}, eval_every=5, every=1)


@pytest.mark.parametrize("where", ["tensors", "state"])
def test_a_full_disk_is_named_and_the_last_good_checkpoint_kept(where, tmp_path, monkeypatch):
    whole = run(tmp_path / "whole")
    folder, calls = tmp_path / "parts", []
    full = SafetensorError("Error while serializing: I/O error: Os { code: 28, kind: StorageFull }")
    module, name = safetensors.torch, "save_file"
    if where == "state":
        full, module, name = OSError(28, "No space left on device"), checkpoint, "write_json"
    real = getattr(module, name)

    def second_fails(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise full
        real(*arguments)

    monkeypatch.setattr(module, name, second_fails)
    with pytest.raises(UserError, match="no space is left"):
        run(folder)
    assert [p.name for p in folder.iterdir() if p.name != "log.jsonl"] == ["step-00000002"]
    same(run(folder), whole)


def test_the_pace(monkeypatch):
    assert [step for step in range(1, 10) if Pace(3).due(step)] == [3, 6, 9]
    now = 100.0
    monkeypatch.setattr("warmup_bench.train.checkpoint.time.monotonic", lambda: now)
    pace = Pace("60s", last=now)
    now = 159.0
    assert not pace.due(1)
    now = 160.0
    assert pace.due(2)
    pace.wrote(cost=6.0)  # at most a twentieth of the time: not before 120 seconds have passed
    now = 279.0
    assert not pace.due(3)
    now = 280.0
    assert pace.due(4)


def test_warmups_in_memory_keep_their_rows(tmp_path):
    """Inputs of several visits, some with other numbers of rows, come back as they were."""
    from warmup_bench.models.rollout import Warmups
    from warmup_bench.train.rounds import Memory
    from warmup_bench.train.weights import Weights

    backbone = make("llama")
    optimizer = torch.optim.AdamW(backbone.model.parameters())
    weights, memory = Weights(backbone, "float32"), Memory()
    for key, rows in ((4, 2), (0, 1), (7, 3)):
        tokens = torch.arange(rows * 2).view(rows, 2) + key
        memory.kept[key] = Warmups(tokens, torch.arange(rows), torch.arange(rows) > 0, torch.rand(rows))
    snapshot = checkpoint.capture(weights, optimizer, torch.Generator(), memory, [], {}, "")
    checkpoint.save(tmp_path, 1, snapshot)
    back = Memory()
    stored = latest(tmp_path)
    assert checkpoint.restore(stored, weights, optimizer, torch.Generator(), back) == []
    assert list(back.kept) == [4, 0, 7]
    for key, kept in memory.kept.items():
        for name in ("tokens", "lengths", "ended", "logp"):
            assert torch.equal(getattr(back.kept[key], name), getattr(kept, name))
