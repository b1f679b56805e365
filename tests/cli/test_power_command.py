"""``warmup-bench power`` in this process."""

import csv
import io
import json
import math
from dataclasses import asdict
from functools import partial

import numpy as np
import pytest

from warmup_bench.comparison.power import PowerModel, Variances, pseudo_values, variance_components
from warmup_bench.contracts.metric import MetricContext
from warmup_bench.score.chrf import ChrF


@pytest.fixture
def call(call):
    """Run the command; returns exit code, output, errors."""
    return partial(call, "power")


def test_the_papers_four_claims(call):
    code, out, _ = call("--format", "json")
    assert code == 0
    findings = json.loads(out)["findings"]
    assert {f["claim"] for f in findings} == {"translation", "logic", "summarisation", "decoder-only"}
    assert all(f["why"] for f in findings)
    logic = next(f for f in findings if (f["claim"], f["metric"]) == ("logic", "accuracy"))
    assert logic["verdict"] == "underpowered"
    assert logic["smallest_low_sd"] == pytest.approx(2.8016 * 44.7 / math.sqrt(1572) + 100 / 1572, rel=1e-3)
    others = {(f["power_other_seeds_low_sd"], f["smallest_other_seeds_low_sd"]) for f in findings}
    assert others == {(0.0, None)}
    text = " ".join(call()[1].split())
    assert "logic, +0.87 accuracy: found with a chance of 7% to 11%" in text
    assert text.count("Our assumption") == 4
    assert "With 3 seeds nothing can be claimed for other seeds" in text
    assert "it takes at least 6 seeds" in text
    one = " ".join(call("--seeds", 1)[1].split())
    assert "With 1 seed nothing can be claimed for other seeds" in one
    assert "nan" not in one
    six = " ".join(call("--seeds", 6)[1].split())
    assert "For a claim about other seeds, with 6 seeds, the smallest gains at 80% are larger: transl" in six
    strict = json.loads(call("--comparisons", 8, "--seeds", 5, "--format", "json")[1])
    assert (strict["level"], strict["comparisons"]) == (0.05, 8)
    assert {f["seeds"] for f in strict["findings"]} == {5}
    rows = list(csv.DictReader(io.StringIO(call("--format", "csv")[1])))
    assert [row["metric"] for row in rows] == [f["metric"] for f in findings]


def test_given_variances(call):
    arguments = ["--sd", 20, "--seed-sd", 0.5, "--examples", 2000, "--effect", 1.5, "--seeds", "1,6"]
    content = json.loads(call(*arguments, "--format", "json")[1])
    one, six = content["designs"]
    assert one["standard_error"] == pytest.approx(20 / math.sqrt(2000))
    assert (one["power_seeds"], one["smallest_seeds"], one["examples_needed_seeds"]) == (0.0, None, None)
    model = PowerModel(Variances(400.0, seeds=0.25), 1.5)
    assert six["power_seeds"] == model.power(2000, 6, other_seeds=True)
    assert six["standard_error_seeds"] == pytest.approx(math.sqrt(0.25 / 6 + 400 / 2000))
    assert one["examples_needed"] == pytest.approx((2.8016 * 20 / 1.5) ** 2, rel=1e-3)
    for format_ in ("text", "md"):
        shown = call(*arguments, "--format", format_)[1]
        assert f"{one['power']:.0%}" in shown
        assert "matched seeds are needed" in shown or "no number of seeds" in shown
        assert "can't give less than p = 2/2^k" in " ".join(shown.split())
    rows = list(csv.DictReader(io.StringIO(call(*arguments, "--format", "csv")[1])))
    assert [float(row["power"]) for row in rows] == [one["power"], six["power"]]
    without = call("--sd", 20, "--examples", 2000)[1]
    assert "needed" not in without
    assert "Nothing is said of other seeds" in without


def test_accuracy_that_can_not_be_told_apart(call):
    arguments = ["--accuracy", 40, "--examples", 651, "--effect", 0.87]
    out = " ".join(call(*arguments, "--seeds", 1)[1].split())
    assert "a gain of 0.87 is found with a chance of 5%" in out
    assert "the smallest gain found with 80% is 7.76" in out
    closer = json.loads(call(*arguments, "--disagree", 10, "--format", "json")[1])
    assert closer["designs"][0]["standard_error"] == pytest.approx(math.sqrt(1000 / 651))


def test_the_largest_gain_that_a_disagreement_allows(call):
    arguments = ["--accuracy", 40, "--disagree", 0.07, "--examples", 651, "--effect", 0.07]
    code, out, _ = call(*arguments, "--format", "json")
    assert code == 0
    assert json.loads(out)["designs"][0]["standard_error"] == pytest.approx(math.sqrt(7 / 651))


def write_pilot(folder, runs=2, examples=60):
    rng = np.random.default_rng(6)
    gold = [" ".join(rng.choice(["a", "cat", "sat", "on", "mats"], size=9)) for _ in range(examples)]
    (folder / "ref").write_text("\n".join(gold) + "\n")
    for name, share in (("a", 0.6), ("b", 0.7)):
        for run in range(runs):
            lines = [" ".join(w if rng.random() < share else "x" for w in g.split()) for g in gold]
            (folder / f"{name}{run}").write_text("\n".join(lines) + "\n")
    (folder / "docs").write_text("".join(f"d{i // 3}\n" for i in range(examples)))
    return gold


def test_a_pilot_of_text_files(call, tmp_path):
    gold = write_pilot(tmp_path)
    metric = ChrF(MetricContext())
    golds = [[g] for g in gold]

    def statistics(name):
        runs = [(tmp_path / f"{name}{run}").read_text().splitlines() for run in (0, 1)]
        return np.stack([metric.segment_statistics(lines, golds, []) for lines in runs])

    a, b = statistics("a"), statistics("b")
    expected = variance_components(pseudo_values(a, b, metric.aggregate))
    arguments = ["a0,a1", "b0,b1", "--ref", "ref", "--metric", "chrf++", "--effect", 2, "--format", "json"]
    content = json.loads(call(*arguments)[1])
    assert content["variances"] == asdict(expected)
    assert content["designs"][1]["examples"] == 60
    assert content["designs"][1]["power"] == PowerModel(expected, 2).power(60, 3, other_seeds=False)
    assert content["origin"] == "pilot a0 and 1 more against b0 and 1 more: 60 examples, 2 matched seeds"
    grouped = json.loads(call(*arguments, "--groups", "docs")[1])
    assert "60 examples in 20 groups" in grouped["origin"]
    assert grouped["variances"]["residual"] != content["variances"]["residual"]


def test_curves(call, tmp_path):
    given = ["--sd", 20, "--examples", 500, "--seed-sd", 0.5]
    for name, arguments in (
        ("claims.png", []),
        ("study.svg", [*given, "--effect", 2]),
        ("smallest.png", given),
    ):
        code, _, error = call(*arguments, "--plot", tmp_path / "plots" / name)
        assert code == 0, error
    content = (tmp_path / "plots" / "claims.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 20_000
    assert "<svg" in (tmp_path / "plots" / "study.svg").read_text()
    assert len(list((tmp_path / "plots").iterdir())) == 3  # nothing temporary is left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--effect", "1"], "--effect needs a variance"),
        (["--sd", "20", "--effect", "1"], "how many test examples?"),
        (["--sd", "20", "--accuracy", "40"], "the variance is given twice"),
        (["--accuracy", "40", "--disagree", "95", "--examples", "9"], "no two systems of 40.0% disagree"),
        (["--sd", "20", "--examples", "9", "--seeds", "none"], "'none' are not numbers of seeds"),
        (["--sd", "20", "--examples", "9", "--seeds", "0"], "'0' are not numbers of seeds"),
        (["--sd", "20", "--examples", "9", "--seeds", "3,10001"], "'3,10001' are not numbers of seeds"),
        (["--sd", "20", "--examples", "9", "--effect", "nan"], "nan makes no sense here (from --effect)"),
        (["--sd", "20", "--examples", "9", "--effect", "-inf"], "-inf makes no sense here (from --effect)"),
        (["--sd", "1e7", "--examples", "9"], "1e+07 makes no sense here (from --sd)"),
        (
            ["--sd", "20", "--examples", "9", "--seed-sd", "1e200"],
            "1e+200 makes no sense here (from --seed-sd)",
        ),
        (["--accuracy", "nan", "--examples", "9"], "nan makes no sense here (from --accuracy)"),
        (["--disagree", "5"], "--disagree needs --accuracy"),
        (["--sd", "20", "--examples", "9", "--disagree", "5"], "--disagree needs --accuracy"),
        (
            ["--accuracy", "40", "--disagree", "1", "--examples", "651", "--effect", "5"],
            "two systems that disagree on 1% of the examples differ by no more than 1 points",
        ),
        # independent errors at 95%: 2 * 0.95 * 0.05 = 9.5%
        (["--accuracy", "95", "--examples", "651", "--effect", "-9.6"], "disagree on 9.5% of the examples"),
        (["--format", "pdf"], "unknown format 'pdf'"),
        (["--plot", "curve.txt"], "can't plot into curve.txt"),
        (["a", "--ref", "ref"], "a pilot is two systems"),
        (["nowhere:sft", "nowhere:warmup"], "nowhere is not a results folder"),
    ],
)
def test_bad_requests(call, arguments, message, tmp_path):
    code, _, error = call(*arguments)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
