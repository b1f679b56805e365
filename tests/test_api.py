"""The public face: what a notebook does, on stored cells and on plain lists; all of it lazy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import sacrebleu

import warmup_bench as wb
from command import invoke
from plugin_files import write_plugins
from stored_cells import Written, store

GOLD = [f"the cat number {i} sat on the red mat" for i in range(20)]


def outputs(wrong: int) -> list[str]:
    return [gold.replace("red ", "") if i < wrong else gold for i, gold in enumerate(GOLD)]


def store_outputs(out: Path, method: str, seed: int, wrong: int) -> None:
    store(out, method, seed, GOLD, [[gold] for gold in GOLD], [Written(text) for text in outputs(wrong)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods with two seeds."""
    out = tmp_path_factory.mktemp("api") / "out"
    for method, base in (("sft", 12), ("warmup", 5)):
        for seed in (0, 1):
            store_outputs(out, method, seed, wrong=base + seed)
    return out


def test_everything_that_is_named_is_there() -> None:
    assert set(wb.__all__) <= set(dir(wb))
    for name in wb.__all__:
        assert getattr(wb, name).__doc__ or name == "FloatArray", name
    with pytest.raises(AttributeError, match="nothing"):
        _ = wb.nothing


def test_an_import_is_light() -> None:
    code = (
        "import sys, warmup_bench as wb; wb.Task, wb.run;"
        "print({'torch', 'transformers', 'pandas'} & {*sys.modules})"
    )
    source = str(Path(wb.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"


def test_scores_are_what_is_stored(folder: Path) -> None:
    scores = wb.load(folder).scores()
    coordinates = ["task", "scale", "subset", "backbone", "method", "seed", "decoding", "cell"]
    assert list(scores.columns[:8]) == coordinates
    assert len(scores) == 2 * 2 * scores.metric.nunique()
    own = scores[(scores.method == "warmup") & (scores.seed == 1) & (scores.metric == "bleu")]
    assert own.score.item() == pytest.approx(sacrebleu.corpus_bleu(outputs(6), [GOLD]).score)


def test_examples_hold_texts_numbers_and_statistics(folder: Path) -> None:
    results = wb.load(folder)
    examples = results.examples()
    assert len(examples) == 4 * len(GOLD)
    own = examples[(examples.method == "sft") & (examples.seed == 0)]
    assert own.hypothesis.tolist() == outputs(12)
    assert not any("." in column for column in examples.columns)
    full = results.examples(statistics=True)
    first = results.cells[0]
    totals = full[full.cell == first.place.name].filter(regex=r"^bleu\.").sum().to_numpy()
    stored = next(entry["score"] for entry in first.scores if entry["key"] == "bleu")
    assert first.metric("bleu").aggregate(totals) == stored


def test_comparisons_are_the_reports(folder: Path) -> None:
    results = wb.load(folder)
    found = results.comparisons()
    tables = json.loads(results.report("json"))["tables"]
    (row,) = [r for r in tables[0]["groups"][0]["rows"] if r["method"] == "warmup"]
    comparison = row["cells"][tables[0]["columns"][0]["key"]]["gain"]["comparison"]
    own = found[(found.method == "warmup") & (found.metric == tables[0]["columns"][0]["metric"])].iloc[0]
    assert (own.difference, own.p) == (comparison["difference"], comparison["p_value"])
    assert found[found.method == "sft"].difference.isna().all()
    other = results.comparisons(baseline="warmup")
    assert other[other.method == "sft"].difference.iloc[0] == -own.difference


def test_the_ledger_counts_what_was_spent(folder: Path) -> None:
    ledger = wb.load(folder).ledger()
    assert len(ledger) == 4
    assert (ledger.train_flops > 0).all()


def test_every_format_is_what_the_command_prints(folder: Path) -> None:
    results = wb.load(folder)
    for name in ("md", "latex", "csv", "json", "html"):
        assert results.report(name) == invoke("report", str(folder), "--format", name, cwd=folder).stdout
    assert "BLEU" in results.report("text")
    with pytest.raises(wb.UserError, match="Formats: text, md"):
        results.report("pdf")


def test_pictures_are_drawn_and_written(folder: Path, tmp_path: Path) -> None:
    drawn = wb.load(folder).plot(tmp_path / "plots")
    assert {path.stem for path in (tmp_path / "plots").glob("*.svg")} == set(drawn)


def test_in_a_notebook_a_result_is_a_table(folder: Path) -> None:
    results = wb.load(folder)
    page = results._repr_html_()
    assert page.count("<table>") == len(results.tables())
    assert ">warmup</th>" in page
    assert repr(results) == f"<Results of {folder}: 4 cells>"


def test_names_in_a_notebook_are_escaped(tmp_path: Path) -> None:
    for method in ("sft", "<script>alert(1)</script>"):
        store_outputs(tmp_path, method, 0, wrong=3)
    page = wb.load(tmp_path)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(wb.UserError, match="is not a results folder"):
        wb.load(tmp_path / "nowhere")


def test_lists_and_frames_compare_like_files(tmp_path: Path) -> None:
    systems = {"base": outputs(12), "mine": outputs(5)}
    found = wb.compare(systems, GOLD, metric="bleu")
    for name, texts in {**systems, "gold": GOLD}.items():
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts))
    arguments = ("compare", "base", "mine", "--ref", "gold", "--metric", "bleu")
    (line,) = json.loads(invoke(*arguments, "--format", "json", cwd=tmp_path).stdout)["lines"]
    assert found.difference.tolist() == [line["comparison"]["difference"]]
    assert found.p.tolist() == [line["comparison"]["p_value"]]
    framed = wb.compare(pd.DataFrame(systems), GOLD, metric=["bleu"])
    pd.testing.assert_frame_equal(found, framed)


def test_runs_of_a_system_are_lists_of_lists() -> None:
    found = wb.compare({"a": [outputs(9), outputs(8)], "b": [outputs(3), outputs(1)]}, GOLD, metric="chrf++")
    assert found.seeds.tolist() == [2]


def test_stored_systems_compare_by_name(folder: Path) -> None:
    found = wb.compare([f"{folder}:sft", f"{folder}:warmup"], metric="bleu")
    table = wb.load(folder).comparisons()
    own = table[(table.method == "warmup") & (table.metric == "bleu")]
    assert found.difference.tolist() == own.difference.tolist()
    assert found.p.tolist() == own.p.tolist()


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ({"a": GOLD}, "one system is nothing to compare"),
        ({"a": GOLD, "b": GOLD[1:]}, "system 'b' has not one text for each of the 20 references"),
        ({"a": GOLD, "b": [3] * 20}, "system 'b' has not one text"),
        ([GOLD, GOLD], "outputs need names"),
    ],
)
def test_what_can_not_be_compared_is_named(systems: object, message: str) -> None:
    with pytest.raises(wb.UserError, match=message):
        wb.compare(systems, GOLD)  # type: ignore[arg-type]


def test_power_is_the_commands(tmp_path: Path) -> None:
    found = wb.power(sd=20, effect=1.5, examples=2000, seeds=[1, 6], seed_sd=0.5)
    options = ("--sd", "20", "--effect", "1.5", "--examples", "2000", "--seeds", "1,6", "--seed-sd", "0.5")
    printed = json.loads(invoke("power", *options, "--format", "json", cwd=tmp_path).stdout)
    assert found.power.tolist() == [design["power"] for design in printed["designs"]]
    with pytest.raises(wb.UserError, match="one variance is needed"):
        wb.power(effect=1.0)


def test_a_pilot_is_two_stored_systems(folder: Path) -> None:
    found = wb.power([f"{folder}:sft", f"{folder}:warmup"], metric="bleu", effect=1.0)
    assert found.seeds.tolist() == [1, 3, 5, 10]
    assert found.examples.tolist() == [20] * 4


SPEC = {
    "seeds": 1,
    "workers": 1,
    "warm_start": {"steps": 2},
    "budget": {"steps": 2},
    "decode": {"max_tokens": 8},
    "stats": {"randomizations": 99},
}


def test_a_spec_runs_and_goes_on(tmp_path: Path) -> None:
    files = write_plugins(tmp_path)
    spec = SPEC | {"task": files["task"], "backbones": [files["backbone"]], "out": str(tmp_path / "out")}
    results = wb.run(spec, methods=["sft", "warmup"], progress=False)
    assert (len(results), results.failures) == (2, {})
    assert set(results.scores().method) == {"sft", "warmup"}
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")}
    again = wb.run(spec, methods=["sft", "warmup"], progress=False)
    assert again.scores().equals(results.scores())
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.parquet")} == stored
    with pytest.raises(wb.UserError, match="nonsense"):
        wb.run(spec, nonsense=3)
