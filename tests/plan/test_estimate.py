"""Estimates against the ledgers of small real runs, and against numbers worked out by hand."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from command import invoke
from plugin_files import planned, write_plugins
from warmup_bench.contracts.resolve import resolve_method
from warmup_bench.contracts.settings import Lora, Settings
from warmup_bench.models.costs import Costs
from warmup_bench.plan.costs import Device, Disk, per_example, training_operations
from warmup_bench.plan.estimate import WITHIN, Estimate, estimate
from warmup_bench.plan.measure import Rates
from warmup_bench.plan.plan import Plan, make_plan
from warmup_bench.spec.cell import Cell
from warmup_bench.spec.spec import make_spec

SAMPLED = {"warmup": "sampled", "samples": 4}
WAYS: dict[str, list[dict[str, object]]] = {
    "sft": [{}, {"beams": 4}, SAMPLED],
    "warmup": [
        *({}, {"beams": 4}, {"warmup": "none"}, {"warmup": "shuffled"}),
        *(SAMPLED, SAMPLED | {"select": "mbr"}),
    ],
    "oracle": [{}, {"beams": 4}, SAMPLED | {"select": "vote"}],
    "filler": [{}, {"beams": 4}],
    "random": [{}],
    "draft": [{}, {"beams": 4}],
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan with every kind of method and of decoding, carried out."""
    folder = tmp_path_factory.mktemp("estimate")
    files = write_plugins(folder)
    content = {
        "task": files["task"],
        "backbones": [files["backbone"]],
        "methods": list(WAYS),
        "seeds": 1,
        "decodings": {name: ways[1:] for name, ways in WAYS.items()},
        "limit": {"train": 60, "validation": 8, "test": 40},
        "warm_start": {"steps": 150},
        "budget": {"steps": 20},
        "out": str(folder / "out"),
        "workers": 1,
    }
    (folder / "spec.yaml").write_text(json.dumps(content))
    done = invoke("run", "--spec", "spec.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return make_plan(make_spec(content, "a test"))


def flops(plan: Plan, cell: Cell, trainings: list[Cell]) -> float:
    return estimate(plan, warm_starts=[], trainings=trainings, cells=[cell], workers=1, within=1e-9).flops


def test_seconds_are_the_operations_by_kind_over_their_rates(
    ran: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def measure(*arguments: Any, **options: Any) -> Rates:
        asked.append((arguments[3], options["devices"], options["within"]))
        return Rates(plain=2.0, sampled=3.0, written=5.0, source="as a test says")

    monkeypatch.setattr("warmup_bench.plan.estimate.measure", measure)
    sft = next(cell for cell in ran.cells if cell.method == "sft")
    drawing = next(
        cell
        for cell in ran.cells
        if (cell.method, cell.settings.decode.warmup, cell.settings.decode.select)
        == ("warmup", "sampled", "marginal")
    )
    none: dict[str, list[Cell]] = {"warm_starts": [], "trainings": []}

    def cost(cell: Cell, workers: int = 1, **steps: list[Cell]) -> Estimate:
        return estimate(ran, cells=[cell], workers=workers, **none | steps)

    decoding = cost(sft)
    assert decoding.seconds == pytest.approx(decoding.flops / 5)
    assert decoding.sources == ("nano: as a test says",)
    start, training = cost(sft, warm_starts=[sft]), cost(sft, trainings=[sft])
    for more in (start, training):
        assert more.seconds - decoding.seconds == pytest.approx((more.flops - decoding.flops) / 2)
    drawn, trained = cost(drawing), cost(drawing, trainings=[drawing])
    assert drawn.flops / 5 < drawn.seconds < drawn.flops / 2  # outputs are scored under every warmup
    assert trained.seconds - drawn.seconds == pytest.approx((trained.flops - drawn.flops) / 3)
    assert trained.rate == pytest.approx(trained.flops / trained.seconds)
    assert cost(drawing, workers=4, trainings=[drawing]).seconds == pytest.approx(trained.seconds / 4)
    assert [sampled is None for sampled, _, _ in asked] == [True] * 3 + [True, False, False]
    assert {(devices, within) for _, devices, within in asked} == {(1, WITHIN)}


def test_a_checkpoint_that_is_not_here_is_estimated_from_its_shape(ran: Plan, tmp_path: Path) -> None:
    (start,) = (ran.out / "warm-starts").iterdir()
    ignored = shutil.ignore_patterns("*.safetensors")
    far = shutil.copytree(start, tmp_path / "far", ignore=ignored)
    made = planned(tmp_path, backbones=[str(far)], methods=["sft"], seeds=1)
    (cell,) = made.cells
    cost = estimate(made, warm_starts=[cell], trainings=[cell], cells=[cell], workers=1)
    assert cost.sources[0].startswith("far: measured: a step on ")
    assert cost.seconds > 0 and cost.flops > 0


def test_the_disk_when_most_stands_by_hand() -> None:
    disk = Disk(starts=[10, 20, 30], bases=[5, 7], trainings=[3, 1, 2], decoded=2)
    assert disk.peak("all", 2) == 10 + 20 + 30 + 5 + 7 + 6 + 600
    assert disk.peak("trained", 2) == 20 + 30 + 5 + 7 + 6 + 600
    assert disk.peak("none", 2) == 20 + 30 + 3 + 2 + 600
    assert disk.peak("none", 100) == disk.peak("all", 1)
    disk = Disk()
    disk.add(COSTS, Lora(), starts=2, trainings=1)
    adapted = dataclasses.replace(COSTS, trainable=8)
    disk.add(adapted, Lora(rank=4), starts=1, trainings=1, base=True)
    assert (disk.starts, disk.bases, disk.trainings) == ([800, 800], [800], [800, 32])


def ledger(folder: Path) -> dict[str, float]:
    return json.loads((folder / "ledger.json").read_text())


def test_estimates_are_near_the_ledgers(ran: Plan) -> None:
    """Within a factor of 1.4; of 2 where outputs that are equal are scored once.

    With transformers 4 that is 2.5: its model of this seed repeats itself more.
    """
    equal_once = 2.5 if transformers.__version__.startswith("4.") else 2.0
    assert len(ran.cells) == sum(map(len, WAYS.values()))
    for cell in ran.cells:
        decode = cell.settings.decode
        decoding = flops(ran, cell, [])
        training = flops(ran, cell, [cell]) - decoding
        decoding /= ledger(ran.out / "cells" / cell.id / "decode")["decode_flops"]
        training /= ledger(ran.out / "trainings" / cell.training_id)["train_flops"]
        most = equal_once if decode.warmup == "sampled" and decode.select == "marginal" else 1.4
        assert 1 / 1.4 < decoding < most, (cell.method, decode)
        if cell.warmup == "sampled":
            assert 1 <= training < 1.4  # warmups that end early or are equal cost less
        else:
            assert training == pytest.approx(1.1, abs=0.12), cell.method


COSTS = Costs(100, 10, 50, 20, 0, 0, 0, parameters=200, trainable=200)
"""Of an encoder-decoder without attention: 220 a source token, 100 a token fed, 40 a prediction."""


def counted(
    method: str, *, source: int = 5, target: int = 3, **sections: dict[str, object]
) -> tuple[float, float]:
    """Operations of training on an example, and of decoding it."""
    settings = Settings.model_validate({"warmup": {"samples": 4, "max_tokens": 2}} | sections)
    each = per_example(COSTS, settings, resolve_method(method).value, np.array([source]), np.array([target]))
    assert each.plain.total == 3 * (220 * 5 + 100 + 140 * 3)
    return each.training.total, each.decoding.total


def test_operations_by_hand() -> None:
    read, write, after, behind_given = 220 * 5 + 100, 2 * 140, 3 * 140, 2 * 100
    sft = read + after
    assert counted("sft") == (3 * sft, sft)
    planned = 3 * (read + 4 * (write + after)) + 4 * write
    assert counted("warmup") == (planned, read + write + after)
    dropped = {"dropout": 0.1}  # encoded, and scored for the credit, once more
    assert counted("warmup", train=dropped)[0] == planned + read + 4 * (write + after)
    assert counted("sft", train=dropped)[0] == 3 * sft
    once = 3 * (read + write + after)
    for samples in (1, 4):
        warmup = {"samples": samples, "max_tokens": 2}
        assert counted("filler", warmup=warmup) == (once, read + behind_given + after)
        assert counted("oracle", warmup=warmup) == (once, read + write + after)
    assert counted("draft") == (once, read + write + read + behind_given + after)
    assert counted("warmup-jensen:kl=1")[0] == planned + read + 4 * (write + after)


def test_decoding_by_hand() -> None:
    read, write, after, behind_given = 220 * 5 + 100, 2 * 140, 3 * 140, 2 * 100
    beams = {"beams": 8}
    assert counted("sft", decode=beams)[1] == read + 8 * after
    assert counted("filler", decode=beams)[1] == read + behind_given + 8 * after
    behind = read + behind_given + 8 * after  # after a pass that writes the warmups
    assert counted("warmup", decode=beams)[1] == read + write + behind
    assert counted("warmup", decode={"warmup": "none"})[1] == read + after
    votes = {"warmup": "sampled", "samples": 64, "select": "vote"}
    each = read + behind_given + after
    assert counted("warmup", decode=votes)[1] == read + 64 * (write + each)
    assert counted("sft", decode=votes)[1] == read + 64 * after
    marginal = votes | {"select": "marginal"}
    more = read + 64 * 64 * (behind_given + after)
    assert counted("warmup", decode=marginal)[1] == read + 64 * (write + each) + more
    assert counted("sft", decode=marginal)[1] == read + 64 * after + read + 64 * after


def test_a_training_pays_for_its_drafts_and_a_matched_one_too() -> None:
    settings = Settings.model_validate({"budget": {"steps": 10}, "train": {"batch_size": 4}})
    method = resolve_method("draft").value
    each = per_example(COSTS, settings, method, np.array([5]), np.array([3]))
    spent, matched, timed = (
        training_operations(each, settings, train=100, rate=1.0, matched=matched)
        for matched in ("", "flops", "seconds")
    )
    assert spent.total == 40 * each.training.total + 100 * each.drafting.total
    assert (matched.scored, matched.written) == (spent.total, 0.0)
    assert timed.written == 0
    assert Device(1.0, 1.0).hours(timed) == pytest.approx(Device(1.0, 1.0).hours(spent))
