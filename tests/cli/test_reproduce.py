"""``warmup-bench reproduce``: the specs of the paper's tables, their plans, and a run of one cut short."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from command import invoke
from warmup_bench.cli.reproduce import hours
from warmup_bench.comparison.claims import PUBLISHED, read_claims
from warmup_bench.comparison.paper import (
    SCALES,
    Lengths,
    paper_table_names,
    paper_tables,
    read_lengths,
    read_paper_table,
)
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import backbones
from warmup_bench.contracts.settings import Lora
from warmup_bench.data.registry import tasks
from warmup_bench.models.presets import T5_BASE
from warmup_bench.models.shapes import shape_costs
from warmup_bench.plan.costs import WRITING, Device
from warmup_bench.plan.forecast import forecast
from warmup_bench.plan.layers import resolve
from warmup_bench.plan.selection import choose_scale, choose_subsets
from warmup_bench.report.numbers import flops
from warmup_bench.spec.spec import make_spec

A100 = Device(312.0, 0.35)


def test_every_claim_has_a_spec_at_every_scale_and_no_spec_is_left_over() -> None:
    assert set(paper_table_names()) == {claim.name for claim in read_claims()}
    expected = {f"{name}-{scale}.yaml" for name in paper_table_names() for scale in SCALES}
    assert {path.name for path in (PUBLISHED / "specs").iterdir()} == expected
    assert set(yaml.safe_load((PUBLISHED / "lengths.yaml").read_text())) == set(paper_table_names())


@pytest.mark.parametrize("name", ["translation", "logic", "summarisation", "decoder-only"])
def test_a_spec_is_runnable_and_says_what_is_the_papers(name: str) -> None:
    for scale in SCALES:
        study = read_paper_table(name, scale)
        card = tasks().load(study.spec.task).value.card
        assert choose_scale(card, study.spec.scale) == scale
        choose_subsets(card, study.spec.subsets)
        assert tuple(study.spec.methods) == ("sft", "warmup")
        assert study.spec.stats.baseline == "sft"
        assert study.spec.out == Path("runs") / f"{name}-{scale}"
        text = study.path.read_text(encoding="utf-8")
        assert "aper's:" in text or "Of the paper" in text
        assert "ur choice" in text or "OUR CHOICE" in text


@pytest.mark.parametrize("scale", ["small", "paper"])
@pytest.mark.parametrize("name", ["translation", "logic", "summarisation", "decoder-only"])
def test_a_table_and_a_run_of_its_task_have_the_same_limits(name: str, scale: str) -> None:
    """They stand on the card: a spec with others would be another experiment of one name."""
    spec = read_paper_table(name, scale).spec
    assert not (spec.train or spec.warmup or spec.decode or spec.limit)
    limits = tasks().load(spec.task).value.card.scales[scale].settings
    for backbone in spec.backbones:
        preset = backbones().load(backbone).value.settings
        ran = resolve("a test", "cpu", limits, preset)
        lengths = (*ran.train.token_limits, ran.warmup.max_tokens, ran.decode.max_tokens)
        assert lengths == LENGTHS[name, scale]


LENGTHS = {
    ("translation", "small"): (128, 128, 12, 128),
    ("translation", "paper"): (128, 128, 16, 128),
    ("logic", "small"): (512, 8, 16, 4),
    ("logic", "paper"): (512, 8, 32, 4),
    ("summarisation", "small"): (512, 64, 12, 64),
    ("summarisation", "paper"): (512, 64, 16, 64),
    ("decoder-only", "small"): (512, 8, 16, 4),
    ("decoder-only", "paper"): (512, 8, 32, 4),
}


def test_the_papers_backbones_and_directions() -> None:
    by_table = {
        study.name: (tuple(study.spec.backbones), len(study.spec.subsets)) for study in paper_tables()
    }
    assert by_table == {
        "translation": (("mt5-base",), 8),
        "logic": (("t5-base",), 1),
        "summarisation": (("t5-base",), 1),
        "decoder-only": (("llama-3.2-1b",), 1),
    }
    claimed = {claim.name: claim.backbone.lower() for claim in read_claims()}
    assert {name: backbones[0] for name, (backbones, _) in by_table.items()} == claimed


def test_a_plan_is_counted_as_by_hand() -> None:
    """Plain training of T5-base: 6 operations a weight that a token meets, and attention."""
    spec = read_paper_table("logic", "paper").spec
    plan = forecast(spec, Lengths(200, 2, ""), A100)
    parts = {part.name: part for part in plan.expenses}
    costs = shape_costs(T5_BASE, Lora())
    width = 12 * 768
    encoder = 2 * (costs.encoder + costs.cross) * 200 + 4 * width * 200**2
    decoder = 2 * (costs.decoder + costs.head) * 2  # "start" is read with the input; two predictions
    assert costs.start == 1
    example = encoder + decoder + 2 * costs.decoder + 4 * width * (1 * 1 + 2 * 3) + 4 * width * 200 * 3
    sft = parts["training sft"]
    assert sft.count == 3
    assert sft.spent.written == 0
    assert sft.spent.scored == pytest.approx(3 * 5000 * 32 * 3 * example, rel=1e-12)
    assert parts["warm start"].spent.scored == pytest.approx(sft.spent.scored * 250 / 5000)
    assert parts["training warmup"].spent.total > 1.5 * sft.spent.total
    assert parts["training warmup"].spent.written > 0
    assert plan.cells == 6
    assert plan.examples == (12_567, 1572)
    assert plan.parameters == {"t5-base": 222_903_552}


def test_hours_follow_the_declared_device() -> None:
    plan = forecast(read_paper_table("logic", "paper").spec, read_lengths("logic"), A100)
    spent = plan.total
    by_hand = (spent.scored + spent.written / WRITING) / (312e12 * 0.35) / 3600
    assert A100.hours(spent) == pytest.approx(by_hand)
    assert Device(624.0, 0.35).hours(spent) == pytest.approx(by_hand / 2)


def test_a_matched_row_spends_what_the_other_does() -> None:
    spec = read_paper_table("logic", "paper").spec
    matched = forecast(spec.model_copy(update={"match": ("warmup",)}), read_lengths("logic"), A100)
    parts = {part.name: part.spent for part in matched.expenses}
    assert parts["training sft (FLOPs of warmup)"].total == pytest.approx(parts["training warmup"].total)
    assert parts["training sft (FLOPs of warmup)"].written == 0
    assert matched.cells == 9


def test_another_way_of_decoding_costs_no_training() -> None:
    spec, lengths = read_paper_table("logic", "paper").spec, read_lengths("logic")
    ways = {"warmup": ({"warmup": "shuffled"}, {"beams": 2})}
    once = {part.name: part for part in forecast(spec, lengths, A100).expenses}
    plan = forecast(spec.model_copy(update={"decodings": ways}), lengths, A100)
    thrice = {part.name: part for part in plan.expenses}
    assert thrice["training warmup"] == once["training warmup"]
    assert thrice["decoding sft"] == once["decoding sft"]
    assert thrice["decoding warmup"].count == 3 * once["decoding warmup"].count
    assert thrice["decoding warmup"].spent.total >= 3 * once["decoding warmup"].spent.total
    assert plan.cells == 12


def test_subsets_that_share_a_training_count_it_once() -> None:
    lengths = Lengths(20, 20, "")
    spec = {"task": "multi30k", "scale": "paper", "seeds": 2, "methods": ["sft"]}
    sets = ("de-en", "de-en-2017")
    one, both = (
        forecast(make_spec(spec | {"subsets": s}, "a test"), lengths, A100) for s in (sets[:1], sets)
    )
    counts = [{part.name: part.count for part in plan.expenses} for plan in (one, both)]
    assert counts[0] == {"warm start": 2, "training sft": 2, "decoding sft": 2}
    assert counts[1] == {"warm start": 2, "training sft": 2, "decoding sft": 4}
    assert both.cells == 4
    assert both.total.scored == one.total.scored
    assert both.disk - one.disk == 2 * 300 * both.examples[1]


def test_what_is_cut_is_not_counted() -> None:
    spec = read_paper_table("summarisation", "paper").spec
    long, longer = (forecast(spec, Lengths(n, n, ""), A100) for n in (512, 10_000))
    short = spec.model_copy(update={"limit": {"test": 100}})
    assert longer.examples == long.examples == (204_045, 11_334)
    assert longer.total.scored == long.total.scored
    assert forecast(short, Lengths(9, 9, ""), A100).examples == (204_045, 100)


def test_sizes_that_no_card_tells() -> None:
    entry = tasks().load("logiqa2")
    unsized = entry.value.card.scales["paper"].model_copy(update={"sizes": None})
    card = entry.value.card.model_copy(update={"scales": {"paper": unsized}})
    bare = replace(entry.value, card=card)
    spec = read_paper_table("logic", "paper").spec
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "warmup_bench.plan.forecast.tasks",
            type("Registry", (), {"load": lambda _, name: replace(entry, value=bare)}),
        )
        with pytest.raises(UserError, match="tells no sizes at scale paper"):
            forecast(spec, read_lengths("logic"), A100)


def test_without_a_table_there_is_a_list(tmp_path: Path) -> None:
    done = invoke("reproduce", cwd=tmp_path)
    assert done.returncode == 0
    for name in paper_table_names():
        assert name in done.stdout
    assert done.stdout.count("results/published/specs/") == 12


@pytest.mark.parametrize("name", ["translation", "logic", "summarisation", "decoder-only"])
def test_the_plan_at_scale_paper_needs_nothing_but_the_package(name: str, tmp_path: Path) -> None:
    done = invoke("reproduce", name, "--scale", "paper", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    hours_of_all = re.search(r"^ all +\S+ +([\d.,]+) *$", done.stdout, flags=re.M)
    assert hours_of_all is not None
    assert float(hours_of_all[1].replace(",", "")) > 0
    declared = "312 TFLOP/s, of which training reaches 35% and sampling and decoding, token by token, 3.5%"
    assert declared in done.words
    assert "OUR CHOICE" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_plan_reads_the_options(tmp_path: Path) -> None:
    done = invoke(
        *("reproduce", "translation", "--scale", "paper", "--dry-run", "--device-tflops", "989"),
        *("--utilisation", "0.5", "--direction", "de-en,en-de", "--seeds", "6"),
        cwd=tmp_path,
    )
    assert "24 cells, de-en, en-de x 6 seeds" in done.words
    assert "989 TFLOP/s, of which training reaches 50%" in done.words


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summarization"], "Did you mean summarisation?"),
        (["poetry"], "Tables: translation, logic, summarisation, decoder-only."),
        (["logic", "--scale", "huge"], "unknown scale 'huge'"),
        (["logic", "--device-tflops", "989"], "only the plan of a larger scale reads a declared device"),
        (["logic", "--dry-run", "--utilisation", "0.5"], "only the plan of a larger scale"),
        (["logic", "--scale", "paper", "--set", "track=[x]", "--data-dir", "."], "unknown tracker 'x'"),
    ],
)
def test_mistakes_are_told(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = invoke("reproduce", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())


def test_a_table_runs_and_refuses_the_papers_gains_at_scale_mini(tmp_path: Path) -> None:
    small = ("--direction", "de-en,en-de", "--seeds", "1", "--workers", "1", "--set", "budget.steps=2")
    small += ("--set", "warm_start.steps=2", "--set", "decode.max_tokens=4")
    small += ("--set", "limit={train: 64, validation: 8, test: 8}", "--set", "stats.randomizations=99")
    done = invoke("reproduce", "translation", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "runs" / "translation-mini" / "cells").iterdir())) == 4
    assert "No published gain is set beside these: this is scale mini" in done.words
    assert "1.57" not in done.stdout
    assert "wmt, BLEU, mini-t5" in done.words
    assert "average" in done.stdout


def test_the_page_tells_the_claims_and_the_plans() -> None:
    page = (Path(__file__).parents[2] / "docs" / "paper-tables.md").read_text(encoding="utf-8")
    for name in paper_table_names():
        first, plan = (line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        for claim in read_claims():
            if claim.name == name:
                assert re.search(rf"{re.escape(claim.metric)} \+{claim.gain:g}0?\b", first), claim
        for scale in SCALES:
            spec = read_paper_table(name, scale).spec
            assert f"| `{spec.task}`, {', '.join(spec.backbones)} |" in first
        counted = forecast(read_paper_table(name, "paper").spec, read_lengths(name), A100)
        shown = (str(counted.cells), flops(counted.total.total), hours(A100.hours(counted.total)))
        assert [cell.strip() for cell in plan.split("|")[2:5]] == list(shown)
