"""What the benchmarks are made of: aims, clocks, the naive loss, the two sides of the GRPO comparison."""

import json
import sys
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from benchmarks.decoding import differing
from benchmarks.inputs import CAP, SAMPLES, SOURCE, TARGET, draws, random_batch
from benchmarks.memory import naive_loss, our_loss
from benchmarks.models import SIZES, make_llama, make_t5
from benchmarks.record import Options, UnavailableError, judge
from benchmarks.texts import texts_of
from benchmarks.timing import Sample, Times, called, interleave, profile, timed

from benchmarks import fixed_cost, grpo, paired_tests
from tiny import counting_costs, distance, gradients_of

TINY = SIZES["tiny"]
OPTIONS = Options(sizes=("tiny",), rounds=2)


@pytest.mark.parametrize(
    ("ratio", "aim", "met"),
    [
        (2.0, ">= 2", True),
        (1.99, ">= 2", False),
        (0.25, "<= 0.25", True),
        (0.3, "<= 0.25", False),
        (9.0, "", None),
    ],
)
def test_an_aim_is_met_or_not(ratio, aim, met):
    assert judge("a", 1.0, 2.0, "s", ratio=ratio, aim=aim, detail={}).met is met


def test_sides_take_turns_after_a_round_that_does_not_count():
    calls = []

    def side(name):
        def run():
            calls.append(name)
            return Sample(wall=10.0 * len(calls), cpu=float(len(calls)))

        return run

    times = interleave({"a": side("a"), "b": side("b")}, rounds=2)
    assert calls == ["a", "b", "b", "a", "a", "b"]
    assert [s.cpu for s in times.samples["a"]] == [4.0, 5.0]
    assert [s.cpu for s in times.samples["b"]] == [3.0, 6.0]


def test_ratios_are_medians_of_the_rounds():
    a = [Sample(2.0, 20.0), Sample(9.0, 10.0), Sample(4.0, 90.0)]
    b = [Sample(1.0, 10.0), Sample(1.0, 10.0), Sample(1.0, 30.0)]
    times = Times({"a": a, "b": b}, clock="cpu")
    assert times.median("a") == 20.0
    assert times.ratio("a", "b") == 2.0
    assert times.ratio("a", "b", "wall") == 4.0
    assert times.ratio("b", "a") == 0.5
    assert times.unit == "CPU s"


def test_the_clock_runs_while_the_side_does():
    end = [0]
    sample = timed(lambda: end.append(sum(range(300_000))))()
    assert end[1] == 44999850000
    assert sample.cpu > 0
    assert sample.wall > 0


def test_a_profile_names_operators():
    a = torch.ones(8, 8)
    assert "aten::mm" in profile(lambda: a @ a)


def test_a_profile_of_calls_names_functions():
    def outer():
        return sum(range(100_000))

    text = called(outer)
    assert "outer" in text
    assert "built-in method builtins.sum" in text


def test_the_naive_loss_is_the_same_loss():
    backbone, batch = make_t5(TINY), random_batch(TINY)
    backbone.model.train()
    uniform = draws(TINY, torch.Generator().manual_seed(2))
    values, gradients = [], []
    for loss in (our_loss, naive_loss):
        value = loss(backbone, batch, uniform)
        value.backward()
        values.append(value.item())
        gradients.append(gradients_of(backbone))
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    assert distance(*gradients) < 1e-4


def test_rounding_is_told_from_another_computation():
    """Of three outputs that differ in float32 one does in float64 too; the weights come back as they were."""
    backbone = make_t5(TINY)
    weight = next(backbone.model.parameters())
    before = weight.clone()

    def first(sources):
        return [[ids[0]] for ids in sources]

    def second(sources):
        rounds = next(backbone.model.parameters()).dtype == torch.float32
        return [[ids[0] + (ids[0] == 9 or (rounds and ids[0] > 6))] for ids in sources]

    sources = [[5], [7], [9], [8], [6]]
    sides = {"ours": first, "generate": second}
    outputs = {side: decode(sources) for side, decode in sides.items()}
    assert differing(backbone, sources, outputs, sides) == (2, 1)
    assert differing(backbone, sources, {"ours": [[5]], "generate": [[5]]}, sides) == (0, 0)
    assert torch.equal(next(backbone.model.parameters()), before)
    assert weight.dtype == torch.float32


def test_our_step_trains_on_samples_of_full_length():
    backbone = make_llama(TINY)
    ours = grpo.Ours(backbone, random_batch(TINY), OPTIONS, "tiny")
    before = [p.clone() for p in backbone.model.parameters()]
    ours()
    ours()
    assert ours.tokens == [TINY.batch * SAMPLES * CAP] * 2
    assert all(not torch.equal(a, b) for a, b in zip(before, backbone.model.parameters(), strict=True))


def test_the_operations_of_the_other_step():
    # 2 operations a token fed and 2000 a prediction; 3 times that with a backward pass.
    generated = 2 * (SOURCE + CAP - 1) + 2000 * CAP
    reward = 2 * (SOURCE + CAP + 1 + TARGET - 1) + 2000 * TARGET
    loss = 2 * (SOURCE + CAP) + 2000 * CAP
    assert grpo.trl_flops(counting_costs(), 5) == 5 * (generated + reward + 3 * loss)


def test_steps_that_drew_another_number_of_tokens_are_not_compared():
    grpo.check_tokens([100, 99], [100, 100])
    with pytest.raises(AssertionError, match="ours drew"):
        grpo.check_tokens([100, 97], [100, 100])


def test_made_texts_have_the_words_of_a_language():
    texts = texts_of(300)
    words = [word for line in texts.references for word in line.split()]
    assert 18 * 300 < len(words) < 24 * 300
    kinds = Counter(words)
    assert 0.3 < len(kinds) / len(words) < 0.5
    # by Zipf's law the tenth word comes (10 + 1.7) / (1 + 1.7) times less often than the first
    counts = sorted(kinds.values(), reverse=True)
    assert 2.5 < counts[0] / counts[9] < 7
    for output in texts.outputs:
        same = [
            a == b
            for line, gold in zip(output, texts.references, strict=True)
            for a, b in zip(line.split(), gold.split(), strict=True)
        ]
        assert sum(same) / len(same) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("scores", "p", "found"),
    [
        ([20.0, 30.0 + 1e-10], [0.02, 0.5], None),
        ([20.0, 30.01], [0.02, 0.5], "the scores differ"),
        ([20.0, 30.0], [0.1, 0.5], "the p differ"),  # 0.02 and 0.1 of 1,000 draws: 0.08 is 7.6 deviations
    ],
)
def test_paired_tests_that_found_something_else_are_not_compared(scores, p, found):
    runs = {"ours": [{"scores": [20.0, 30.0], "p": [0.02, 0.49]}], "other": [{"scores": scores, "p": p}]}
    with pytest.raises(AssertionError, match=found) if found else nullcontext():
        paired_tests.check(runs, 1000)


def test_without_an_environment_there_is_nothing_to_compare_with():
    with pytest.raises(UnavailableError, match="--trl-python"):
        grpo.measure(OPTIONS)


STAND_IN = """
import json, sys
from pathlib import Path
from safetensors import safe_open
from tokenizers import Tokenizer
folder = Path(sys.argv[1])
job = json.loads((folder / "job.json").read_text())
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
assert [tokenizer.encode(p).ids for p in job["prompts"]] == job["sources"]
with safe_open(folder / "model.safetensors", "pt") as weights:
    parameters = sum(weights.get_tensor(name).numel() for name in weights.keys())
print(json.dumps({"parameters": parameters}), flush=True)
for _ in range(job["steps"]):
    assert sys.stdin.readline() == "step\\n"
    tokens = len(job["prompts"]) * job["samples"] * job["cap"]
    print(json.dumps({"wall": 3.0, "cpu": 2.0, "tokens": tokens}), flush=True)
"""


def test_the_other_process_gets_the_job_and_is_asked_for_steps(tmp_path, monkeypatch):
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(grpo, "SCRIPT", script)
    (record,) = grpo.measure(replace(OPTIONS, trl_python=sys.executable))
    assert record.detail["samples"]["TRL"] == [{"wall": 3.0, "cpu": 2.0}] * 2
    assert record.other == pytest.approx(TINY.batch * SAMPLES / 2.0)
    assert record.detail["TRL"]["parameters"] == record.detail["parameters"]
    assert record.detail["flops_a_step"]["ours"] > 0
    json.dumps(record.detail)


def test_the_last_words_of_a_process_that_ended_are_shown(tmp_path, monkeypatch):
    script = tmp_path / "ends.py"
    script.write_text("raise SystemExit('there is no trainer here')")
    monkeypatch.setattr(grpo, "SCRIPT", script)
    with pytest.raises(RuntimeError, match="there is no trainer here"):
        grpo.measure(replace(OPTIONS, trl_python=sys.executable))


def test_a_part_has_its_functions_time_without_that_of_other_parts(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(fixed_cost.time, "process_time", lambda: now[0])
    watch = fixed_cost.Stopwatch()

    def take(seconds, *inner):
        now[0] += seconds
        for call in inner:
            call()

    inner = watch.timed("inner", lambda: take(1.0))
    middle = watch.timed("middle", lambda: take(10.0, inner, inner))
    watch.timed("outer", lambda: take(100.0, middle, inner))()
    assert watch.parts == {"inner": 3.0, "middle": 10.0, "outer": 100.0}


def test_every_part_names_a_function():
    for place in fixed_cost.PARTS:
        owner, name = fixed_cost._owner(place)
        assert callable(getattr(owner, name)), place
