import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugin_files import planned, write_plugins, write_two_test_sets
from warmup_bench.comparison.paper import paper_tables
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.registry import backbones
from warmup_bench.contracts.settings import Limit
from warmup_bench.contracts.task import Splits, numbered
from warmup_bench.execution.runner import spec_text
from warmup_bench.plan.jobs import outstanding
from warmup_bench.plan.layers import resolve
from warmup_bench.plan.plan import Plan, make_plan
from warmup_bench.spec.spec import make_spec


def test_cells_are_the_product_in_a_fixed_order(tmp_path: Path) -> None:
    made = planned(tmp_path, seeds=[3, 1])
    assert [(c.method, c.seed) for c in made.cells] == [("sft", 3), ("warmup", 3), ("sft", 1), ("warmup", 1)]
    assert {c.subset for c in made.cells} == {"all"}
    work = outstanding(made)
    assert (len(work.done), len(work.pending)) == (0, 4)
    a_seed = ["training"] * 2 + ["cell"] * 2  # whole seeds first: a run that is stopped can be reported
    assert [step.kind for step in work.steps] == ["warm start"] * 2 + a_seed + a_seed
    assert [step.job.cell.seed for step in work.steps] == [3, 1] + [3] * 4 + [1] * 4
    position = {step.key: i for i, step in enumerate(work.steps)}
    assert all(step.needs is None or position[step.needs] < i for i, step in enumerate(work.steps))


def test_the_backbone_wins_over_the_task_and_the_spec_over_both(tmp_path: Path) -> None:
    reference = write_plugins(tmp_path)["backbone"]
    common = planned(tmp_path, train={"batch_size": 5}, backbones={reference: {"budget": {"steps": 2}}})
    settings = common.cells[0].settings
    assert settings.train.batch_size == 5  # the spec
    assert settings.budget.steps == 2  # the spec, for this backbone
    assert settings.warm_start.steps == 12  # the preset
    assert settings.train.max_grad_norm == 1.0  # the default
    assert settings.train.dtype == "float32"  # "auto" is resolved before anything is hashed


def test_a_warm_start_learns_as_fast_as_its_methods_unless_told(tmp_path: Path) -> None:
    files = write_plugins(tmp_path)
    path = Path(files["backbone"])
    path.write_text(path.read_text(encoding="utf-8").replace(', "learning_rate": 0.03', ""), encoding="utf-8")

    def rates(**more: Any) -> list[tuple[float, float | None]]:
        content = {"task": files["task"], "backbones": [files["backbone"]], "seeds": 1, **more}
        cells = make_plan(make_spec(content, "a test")).cells
        assert len({cell.warm_start_id for cell in cells}) == 1
        return [(c.settings.train.learning_rate, c.settings.warm_start.learning_rate) for c in cells]

    assert rates() == [(0.01, 0.01)] * 2  # the preset's
    assert rates(train={"learning_rate": 0.5}) == [(0.5, 0.5)] * 2
    own = {"sft": {}, "warmup": {"train": {"learning_rate": 0.2}}}
    assert rates(methods=own) == [(0.01, 0.01), (0.2, 0.01)]  # one start for both
    assert rates(warm_start={"learning_rate": 0.7}, methods=own) == [(0.01, 0.7), (0.2, 0.7)]
    assert rates(warm_start={"steps": 0}) == [(0.01, 1e-3)] * 2  # unread: such cells keep their names


def test_a_null_over_a_default_survives_the_resolved_spec(tmp_path: Path) -> None:
    made = planned(tmp_path, train={"max_grad_norm": None})
    again = make_plan(make_spec(yaml.safe_load(spec_text(made)), "its own spec"))
    assert {c.settings.train.max_grad_norm for c in (*made.cells, *again.cells)} == {None}
    assert [c.id for c in again.cells] == [c.id for c in made.cells]


def test_no_checkpoint_is_started_faster_than_it_is_trained() -> None:
    for study in paper_tables():
        for backbone in study.spec.backbones:
            preset = backbones().load(backbone).value.settings
            settings = resolve("a test", "cpu", preset, study.spec.sections())
            assert settings.warm_start.learning_rate == settings.train.learning_rate, study.name


def test_limits_cut_every_split_and_change_the_fingerprint(tmp_path: Path) -> None:
    whole, cut = planned(tmp_path), planned(tmp_path, limit={"test": 7, "train": 30})
    assert [len(split) for split in cut.data["all"].named().values()] == [30, 20, 7]
    assert cut.data["all"].test == whole.data["all"].test[:7]
    assert cut.fingerprints != whole.fingerprints


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (("pairs[20:60]", "pairs[20:20]"), "split 'test' .* is empty"),
        (('numbered("e", pairs[20:60])', 'numbered("e", pairs[20:60]) * 2'), "repeats an id"),
        (('"bleu")', '"blue")'), "Did you mean bleu"),
        (("Subset()", 'Subset(target_language="deutsch")'), "'deutsch' is no language .*subset all"),
        (("Subset()", 'Subset(trained_as="other")'), "subset all is trained as other, which is not a subset"),
    ],
)
def test_a_task_that_breaks_its_contract_is_named(
    tmp_path: Path, edit: tuple[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        plan_of_edited_task(tmp_path, *edit)


def plan_of_edited_task(folder: Path, old: str, new: str) -> Plan:
    files = write_plugins(folder)
    path = Path(files["task"])
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return make_plan(make_spec({"task": str(path), "backbones": [files["backbone"]]}, "a test"))


def test_a_loader_sees_the_data_folder_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMUP_BENCH_DATA", str(tmp_path))
    with pytest.raises(UserError, match=f"could not load its examples: RuntimeError: {tmp_path}"):
        plan_of_edited_task(tmp_path, "rng = random.Random(5)", "raise RuntimeError(request.data_dir)")


def test_test_sets_of_one_training_share_its_model(tmp_path: Path) -> None:
    files = write_two_test_sets(tmp_path)
    content = {"task": files["task"], "backbones": [files["backbone"]], "out": str(tmp_path / "out")}
    both = make_plan(make_spec(content | {"subsets": ["all", "again"], "match": ["warmup"]}, "a test"))
    work = outstanding(both)
    kinds = [step.kind for step in work.steps]
    # Two seeds: a warm start each; sft, warmup, and sft at the FLOPs of warmup; each decodes both test sets.
    assert [kinds.count(kind) for kind in ("warm start", "training", "cell")] == [2, 6, 12]
    assert len({cell.id for cell in both.cells}) == 12
    alone = make_plan(make_spec(content | {"subsets": ["again"], "seeds": 1}, "a test"))
    assert {cell.training_id for cell in alone.cells} < {cell.training_id for cell in both.cells}
    assert {cell.warm_start_id for cell in alone.cells} < {cell.warm_start_id for cell in both.cells}


def test_a_shared_model_is_named_by_what_it_is_trained_on(tmp_path: Path) -> None:
    files = write_two_test_sets(tmp_path)
    cell = make_plan(make_spec({"task": files["task"], "backbones": [files["backbone"]]}, "a test")).cells[0]
    other_test = cell.model_copy(update={"data": "0" * 16})
    assert (other_test.training_id, other_test.warm_start_id) == (cell.training_id, cell.warm_start_id)
    assert other_test.id != cell.id
    other_training = cell.model_copy(update={"training_data": "0" * 16})
    assert other_training.training_id != cell.training_id
    assert other_training.warm_start_id != cell.warm_start_id


def test_a_method_has_settings_of_its_own_but_not_its_own_start(tmp_path: Path) -> None:
    rates = {"sft": {"train": {"learning_rate": 0.5}}, "warmup": {}}
    made = planned(tmp_path, methods=rates, match=["warmup"], seeds=[0])
    assert [(c.label, c.settings.train.learning_rate) for c in made.cells] == [
        ("sft", 0.5),
        ("warmup", 0.01),
        ("sft (FLOPs of warmup)", 0.5),
    ]
    assert len({c.warm_start_id for c in made.cells}) == 1
    again = make_plan(made.spec)
    assert [c.id for c in again.cells] == [c.id for c in made.cells]
    with pytest.raises(UserError, match=r"share its warm start.*train\.batch_size=8 \(that of sft: 4\)"):
        planned(tmp_path, methods={"sft": {"train": {"batch_size": 4}}, "warmup": {}}, seeds=[0])


@pytest.mark.parametrize(
    "change",
    [
        {"warmup": {"samples": 16}},
        {"methods": {"sft": {}, "warmup": {"train": {"learning_rate": 0.5}}}},
        {"methods": {"sft": {}, "warmup": {"budget": {"steps": 9}}}},
    ],
)
def test_a_baseline_is_matched_with_one_training_and_made_again_for_another(
    tmp_path: Path, change: dict[str, dict[str, dict[str, Any]]]
) -> None:
    first = planned(tmp_path, match=["warmup"], seeds=[0, 1])
    again = planned(tmp_path, match=["warmup"], seeds=[0, 1])
    other = planned(tmp_path, match=["warmup"], seeds=[0, 1], **change)
    assert again.cells == first.cells
    for before, after in zip(first.cells, other.cells, strict=True):
        assert (before.label, before.seed) == (after.label, after.seed)
        kept = after.label == "sft"  # it reads nothing of what has changed
        assert (after.id == before.id) == (after.training_id == before.training_id) == kept
        assert after.warm_start_id == before.warm_start_id
    for plan in (first, other):
        trained = {(c.method, c.seed): c.training_id for c in plan.cells if not c.matched}
        matched = [c for c in plan.cells if c.matched]
        assert [c.matched_training for c in matched] == [trained["warmup", 0], trained["warmup", 1]]


def test_how_the_matched_method_is_decoded_is_nothing_to_its_baseline(tmp_path: Path) -> None:
    ways = {"warmup": [{"warmup": "none"}]}
    plain, more = (planned(tmp_path, match=["warmup"], seeds=[0], decodings=d) for d in ({}, ways))
    assert [c.id for c in plain.cells if c.matched] == [c.id for c in more.cells if c.matched]


def test_a_model_is_decoded_in_other_ways_too(tmp_path: Path) -> None:
    ways = {"warmup": [{"warmup": "none"}, {"warmup": "shuffled", "beams": 2}]}
    made = planned(tmp_path, decodings=ways, match=["warmup"], seeds=[0])
    assert [(c.label, c.settings.decode.warmup, c.settings.decode.beams) for c in made.cells] == [
        ("sft", "greedy", 1),
        ("warmup", "greedy", 1),
        ("warmup", "none", 1),
        ("warmup", "shuffled", 2),
        ("sft (FLOPs of warmup)", "greedy", 1),
    ]
    assert len({c.training_id for c in made.cells if c.method == "warmup"}) == 1
    kinds = [step.kind for step in outstanding(made).steps]
    assert [kinds.count(kind) for kind in ("warm start", "training", "cell")] == [1, 3, 5]
    assert make_plan(made.spec).cells == made.cells
    # The same cell as that of a run with this decoding alone: results of both are one.
    alone = planned(tmp_path, decode={"warmup": "none"}, methods=["warmup"], seeds=[0])
    assert [c.id for c in alone.cells] == [made.cells[2].id]


def read_back(made: Plan, data: dict[str, Splits] | None = None) -> Plan:
    """The plan of the spec that a run of this one would store."""
    return make_plan(make_spec(yaml.safe_load(spec_text(made)), "a stored spec"), data)


@pytest.mark.parametrize("under", ["the top level", "the backbone"])
def test_a_limit_that_was_lifted_stays_lifted_in_the_stored_spec(under: str) -> None:
    limit = {"limit": {"train": None, "validation": None}}
    own = limit if under == "the top level" else {"backbones": {"mt5-small": limit}}
    content: dict[str, Any] = {"task": "wmt", "scale": "small", "subsets": ["de-en"], "seeds": [0]}
    data = {"de-en": Splits(*(numbered(name, [("a", "b")] * 2) for name in ("train", "val", "test")))}
    lifted = make_plan(make_spec(content | own, "a test"), data)
    assert lifted.cells[0].settings.limit == Limit()
    assert [c.id for c in read_back(lifted, data).cells] == [c.id for c in lifted.cells]
    assert spec_text(read_back(lifted, data)) == spec_text(lifted)
    assert yaml.safe_load(spec_text(lifted))["backbones"]["mt5-small"]["limit"] == limit["limit"]
    usual = make_plan(make_spec(content, "a test"), data)
    assert usual.cells[0].settings.limit == Limit(train=20_000, validation=500)
    assert {c.id for c in usual.cells}.isdisjoint({c.id for c in lifted.cells})
    assert ": null" not in spec_text(usual)


ADAPTERS = {"warm_start": {"steps": 0}, "lora": {"rank": 4, "alpha": 3.0}}


@pytest.mark.parametrize(
    ("changes", "of_warmup"),
    [
        ({"methods": {"sft": {}, "warmup": {"budget": {"steps": None}}}}, {"budget": {"steps": 250}}),
        (
            ADAPTERS | {"methods": {"sft": {}, "warmup": {"lora": {"alpha": None}}}},
            {"lora": {"rank": 4, "alpha": None}},
        ),
        ({"train": {"micro_batch_size": None}}, {"train": {"micro_batch_size": None}}),
        ({"budget": {"epochs": None, "flops": 1e9}}, {"budget": {"steps": None, "flops": 1e9}}),
    ],
)
def test_a_stored_spec_runs_again_with_every_null_that_was_asked_for(
    tmp_path: Path, changes: dict[str, Any], of_warmup: dict[str, dict[str, Any]]
) -> None:
    made = planned(tmp_path, seeds=[0], **changes)
    assert read_back(made).cells == made.cells == make_plan(made.spec).cells
    (settings,) = (c.settings.model_dump() for c in made.cells if c.method == "warmup")
    assert of_warmup == {name: {k: settings[name][k] for k in keys} for name, keys in of_warmup.items()}


def test_a_null_over_a_preset_is_the_only_one_that_is_stored(tmp_path: Path) -> None:
    reference = Path(write_plugins(tmp_path)["backbone"])
    text = reference.read_text(encoding="utf-8")
    parts = tmp_path / "parts.py"
    parts.write_text(text.replace('"batch_size": 8', '"batch_size": 8, "micro_batch_size": 2'), "utf-8")
    own = {"backbones": [str(parts)], "seeds": [0]}
    assert planned(tmp_path, **own).cells[0].settings.train.micro_batch_size == 2
    whole = planned(tmp_path, train={"micro_batch_size": None}, **own)
    assert read_back(whole).cells == whole.cells
    assert whole.cells[0].settings.train.micro_batch_size is None
    assert spec_text(whole).count(": null") == 1


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ({"filler": [{"beams": 2}]}, "'filler' is not among the methods"),
        ({"sft": [{"warmup": "none"}]}, "two ways of decoding 'sft' are the same to it"),
        ({"warmup": [{"beams": 2}, {"beams": 2}]}, "two ways of decoding 'warmup' are the same to it"),
        ({"sft": [{"warmup": "sampled", "beams": 2}]}, "decode.beams=2 makes no sense"),
        ({"warmup": [{"beam": 2}]}, "unknown key 'decode.beam'.*decodings.warmup.*decode.beams"),
    ],
)
def test_a_way_of_decoding_that_says_nothing_is_refused(
    tmp_path: Path, ways: dict[str, list[dict[str, str | int]]], message: str
) -> None:
    with pytest.raises(UserError) as found:
        planned(tmp_path, decodings=ways)
    assert re.search(message, " ".join(str(found.value).split()))
