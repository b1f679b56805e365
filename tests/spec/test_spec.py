import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Settings
from warmup_bench.spec.cell import Cell
from warmup_bench.spec.spec import RunSpec, make_settings, make_spec, merge, parse_assignment, read_spec


def cell(**changes: object) -> Cell:
    facts: dict[str, object] = {
        "task": "wmt",
        "task_version": 1,
        "subset": "de-en",
        "scale": "mini",
        "backbone": "mini-t5",
        "method": "warmup",
        "warmup": "sampled",
        "seed": 0,
        "settings": settings(),
        "data": "abc",
        "code": {"task": "1", "backbone": "1", "method": "1"},
    }
    return Cell.model_validate(facts | changes)


def settings(**layer: dict[str, object]) -> Settings:
    return make_settings("a test", {"warm_start": {"learning_rate": 1e-3}}, layer)  # a plan resolves it


@pytest.mark.parametrize(
    ("content", "named", "near"),
    [
        ({"task": "wmt", "sedes": 3}, "'sedes'", "seeds"),
        ({"task": "wmt", "train": {"batchsize": 3}}, "'train.batchsize'", "train.batch_size"),
        ({"task": "wmt", "stats": {"randomization": 3}}, "'stats.randomization'", "stats.randomizations"),
        ({"task": "wmt", "backbones": {"mini-t5": {"warmup": {"sample": 2}}}}, "'warmup.sample'", "samples"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_one(
    content: dict[str, object], named: str, near: str
) -> None:
    with pytest.raises(UserError) as error:
        make_spec(content, "my.yaml")
    assert named in str(error.value)
    assert near in str(error.value)
    assert "my.yaml" in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        {"task": "wmt", "train": {"batch_size": 0}},
        {"task": "wmt", "train": {"dropout": 1.0}},
        {"task": "wmt", "train": 3},
        {"task": "wmt", "scale": "huge"},
        {"task": "wmt", "seeds": [1, 1]},
        {"task": "wmt", "methods": []},
        {"task": "wmt", "backbones": {"mini-t5": 3}},
        {"task": "wmt", "backbones": {"mini-t5": {"budget": {"steps": 0}}}},
    ],
)
def test_a_bad_value_is_refused_before_anything_runs(content: dict[str, object]) -> None:
    with pytest.raises(UserError):
        make_spec(content, "a test")


def test_short_forms() -> None:
    spec = make_spec({"task": "wmt", "seeds": 3, "backbones": ["a", "b"]}, "a test")
    assert spec.seeds == (0, 1, 2)
    assert spec.backbones == {"a": {}, "b": {}}


def test_merge_lets_the_later_layer_win_key_by_key_and_changes_no_layer() -> None:
    first = {"train": {"batch_size": 1, "dropout": 0.1}, "seeds": 2}
    second = {"train": {"batch_size": 2}}
    assert merge(first, second) == {"train": {"batch_size": 2, "dropout": 0.1}, "seeds": 2}
    assert first["train"] == {"batch_size": 1, "dropout": 0.1}


nested = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(st.sampled_from("abc"), nested), st.dictionaries(st.sampled_from("abc"), nested))
def test_merging_the_same_layer_again_changes_nothing(
    first: dict[str, object], second: dict[str, object]
) -> None:
    once = merge(first, second)
    assert merge(once, second) == once
    assert merge(first) == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.learning_rate=1e-3", {"train": {"learning_rate": 1e-3}}),
        ("offline=true", {"offline": True}),
        ("seeds=[1, 2]", {"seeds": [1, 2]}),
        ("limit.test=null", {"limit": {"test": None}}),
        ("task=wmt", {"task": "wmt"}),
    ],
)
def test_assignments_are_yaml(text: str, expected: dict[str, object]) -> None:
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["train.batch_size", "=3", "a=[1"])
def test_a_bad_assignment_is_named(text: str) -> None:
    with pytest.raises(UserError, match="--set"):
        parse_assignment(text)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "\xff", "!!python/object/apply:os.getcwd []"])
def test_a_bad_spec_file_is_one_clear_error(tmp_path, content: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "spec.yaml"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=r"spec\.yaml"):
        read_spec(path)
    with pytest.raises(UserError, match="does not exist"):
        read_spec(tmp_path / "none.yaml")


def test_the_hash_is_sha256_of_canonical_json() -> None:
    one = cell()
    text = json.dumps({"hash_version": 1, **one.identity()}, sort_keys=True, separators=(",", ":"))
    assert one.id == f"wmt.de-en.mini-t5.warmup.seed0-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def test_whatever_changes_the_numbers_changes_the_id() -> None:
    ids = {
        cell(**change).id
        for change in (
            {},
            {"seed": 1},
            {"data": "other"},
            {"task_version": 2},
            {"code": {"task": "1", "backbone": "1", "method": "edited"}},
            {"settings": settings(train={"batch_size": 3})},
            {"settings": settings(warmup={"samples": 8})},
            {"settings": settings(decode={"max_tokens": 3})},
        )
    }
    assert len(ids) == 8


def test_warmup_settings_do_not_touch_a_method_without_warmup() -> None:
    facts = {"method": "sft", "warmup": "none"}
    assert cell(**facts).id == cell(**facts, settings=settings(warmup={"samples": 8})).id


def test_one_warm_start_serves_all_methods_and_budgets_of_a_seed() -> None:
    shared = {
        cell().warm_start_id,
        cell(method="sft", warmup="none", code={"task": "1", "backbone": "1", "method": "2"}).warm_start_id,
        cell(settings=settings(budget={"steps": 3}, warmup={"samples": 2})).warm_start_id,
        cell(settings=settings(train={"learning_rate": 0.5})).warm_start_id,
    }
    assert len(shared) == 1
    assert cell(seed=1).warm_start_id not in shared
    assert cell(settings=settings(warm_start={"steps": 3})).warm_start_id not in shared
    assert cell(data="other").warm_start_id not in shared


def test_a_spec_survives_its_own_dump() -> None:
    spec = make_spec({"task": "wmt", "seeds": 3, "train": {"batch_size": 4}}, "a test")
    assert RunSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_ids_of_cells_are_what_they_were_before_a_split_could_be_chosen() -> None:
    assert cell().id == "wmt.de-en.mini-t5.warmup.seed0-748eedba"
    sft = cell(method="sft", warmup="none", matched="warmup")
    assert sft.id == "wmt.de-en.mini-t5.sft.seed0-f1b408e3"
    assert sft.warm_start_id == "wmt.de-en.mini-t5.seed0-de75fa1e"
    validation = cell(settings=settings(decode={"split": "validation"}))
    assert validation.id != cell().id
    assert validation.training_id == cell().training_id == "wmt.de-en.mini-t5.warmup.seed0-e20ad9bd"


def test_a_matched_cell_of_an_older_version_is_read_and_named_as_it_was() -> None:
    sft = cell(method="sft", warmup="none", matched="warmup")
    stored = sft.model_dump(mode="json")
    del stored["matched_training"]
    assert Cell.model_validate(stored).id == sft.id == "wmt.de-en.mini-t5.sft.seed0-f1b408e3"
    assert "matched_training" not in sft.identity()
    today = sft.model_copy(update={"matched_training": "wmt.de-en.mini-t5.warmup.seed0-e20ad9bd"})
    assert today.warm_start_id == sft.warm_start_id
    assert {today.id, today.training_id}.isdisjoint({sft.id, sft.training_id})


def test_keys_of_the_optimiser_are_part_of_a_name_where_they_differ() -> None:
    plain = cell(settings=settings(train={"weight_decay": 0.1}))
    assert not {"decay_norms", "adam_betas", "adam_eps"} & plain.identity()["settings"]["train"].keys()
    for other in ({"decay_norms": False}, {"adam_betas": [0.9, 0.999]}, {"adam_eps": 1e-6}):
        assert cell(settings=settings(train={"weight_decay": 0.1, **other})).training_id != plain.training_id


def test_a_cell_says_that_its_credit_is_without_dropout() -> None:
    """One of an older version, whose credit was not, is another cell and is named as it was."""
    dropped = settings(train={"dropout": 0.1})
    before, now = cell(settings=dropped), cell(settings=dropped, credit="without dropout")
    assert "credit" not in before.identity()
    assert {before.id, before.training_id}.isdisjoint({now.id, now.training_id})
    assert before.warm_start_id == now.warm_start_id


def test_methods_may_have_settings_and_a_later_list_chooses_among_them() -> None:
    rate = {"train": {"learning_rate": 0.1}}
    spec = make_spec({"task": "wmt", "methods": {"sft": {}, "warmup": rate}}, "a test")
    assert list(spec.methods) == ["sft", "warmup"]
    dumped = spec.model_dump(mode="json")
    assert make_spec(dumped, "a test").methods == spec.methods == {"sft": {}, "warmup": rate}
    listed = make_spec({"task": "wmt", "methods": ["sft", "warmup"]}, "a test")
    assert listed.model_dump(mode="json")["methods"] == ["sft", "warmup"]
    chosen = merge({"methods": {"sft": {}, "warmup": rate}}, {"methods": ["warmup", "filler"]})
    assert chosen == {"methods": {"warmup": rate, "filler": {}}}
    added = merge({"methods": ["sft", "warmup"]}, {"methods": {"warmup": rate}})
    assert added == {"methods": {"sft": {}, "warmup": rate}}
    with pytest.raises(UserError, match="repeated"):
        make_spec({"task": "wmt", "methods": ["sft", "sft"]}, "a test")
    with pytest.raises(UserError, match=r"train.learning_rate"):
        make_spec({"task": "wmt", "methods": {"sft": {"train": {"learning_rat": 1}}}}, "a test")


def test_the_points_of_a_grid_are_its_product() -> None:
    tune = {"seeds": [9], "grid": {"train.learning_rate": [1, 2], "warmup.samples": [3, 4]}}
    spec = make_spec({"task": "wmt", "tune": tune}, "a test")
    assert spec.tune is not None
    assert [tuple(point.values()) for point in spec.tune.points()] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert set(spec.tune.points()[0]) == {"train.learning_rate", "warmup.samples"}


def test_the_resamples_of_a_stored_spec_are_left_out() -> None:
    spec = make_spec({"task": "wmt", "stats": {"resamples": 1000, "seed": 3}}, "stored.yaml")
    assert "resamples" not in spec.model_dump()["stats"]
    assert spec.stats.seed == 3
