"""What the specs of a folder compare although settings differ between methods."""

from pathlib import Path

import yaml

from warmup_bench.store.specs import read_comparisons


def rate(value: float) -> dict[str, dict[str, float]]:
    return {"train": {"learning_rate": value}}


def asked_by(folder: Path, *methods: dict[str, dict[str, dict[str, float]]]) -> list[list[str]]:
    """The rows that specs with these methods make comparable."""
    (folder / "specs").mkdir()
    for number, each in enumerate(methods):
        spec = {"task": "wmt", "backbones": {"mini-t5": {}}, "methods": each}
        text = yaml.safe_dump(spec, sort_keys=False)
        (folder / "specs" / f"{number}.yaml").write_text(text, encoding="utf-8")
    return [[label for label, _ in asked.rows] for asked in read_comparisons(folder)]


def test_a_part_of_what_another_spec_compares_is_no_comparison_of_its_own(tmp_path: Path) -> None:
    whole = {"sft": rate(0.1), "filler": rate(0.1), "warmup": rate(0.2)}
    part = {"sft": rate(0.1), "warmup": rate(0.2)}
    assert asked_by(tmp_path, part, whole, whole) == [["sft", "filler", "warmup"]]


def test_other_settings_are_another_comparison(tmp_path: Path) -> None:
    other = {"sft": rate(0.1), "warmup": rate(0.3)}
    found = asked_by(tmp_path, {"sft": rate(0.1), "filler": rate(0.1), "warmup": rate(0.2)}, other)
    assert sorted(found) == [["sft", "filler", "warmup"], ["sft", "warmup"]]


def test_methods_that_share_their_settings_need_no_spec(tmp_path: Path) -> None:
    assert asked_by(tmp_path, {"sft": {}, "warmup": {}}) == []
