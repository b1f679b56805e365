"""A real run, published: the same reports from numbers alone, and no text of it anywhere."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import invoke
from plugin_files import planned, write_plugins
from warmup_bench.api import load
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.settings import Score
from warmup_bench.execution.runner import execute
from warmup_bench.plan.jobs import outstanding
from warmup_bench.report.render import RENDERERS
from warmup_bench.score.cells import score_cell
from warmup_bench.store.failures import Failure, read_failures, write_failure
from warmup_bench.store.folders import (
    DONE,
    CorruptError,
    check,
    read_json,
    read_table,
    write_json,
    write_table,
    writing,
)
from warmup_bench.store.portable import numbers_of, portable
from warmup_bench.store.publish import publish
from warmup_bench.store.results import read_results
from warmup_bench.store.specs import spec_paths
from warmup_bench.store.stored import references_digest
from warmup_bench.store.study import read_study, write_study

TASK = '''
import random
from warmup_bench.contracts.task import Example, LoadRequest, ScaleCard, Splits, Subset, Task, TaskCard

def load(request: LoadRequest) -> Splits:
    """Spell a word backwards, in a sentence, three sentences a document."""
    rng = random.Random(5)
    words = sorted({"".join(rng.choices("abcdef", k=5)) for _ in range(60)})
    rng.shuffle(words)
    examples = [
        Example(f"{i:03d}", f"wort {w} {request.subset}", f"word {w[::-1]}", (), f"doc{i // 3}")
        for i, w in enumerate(words[:40])
    ]
    return Splits(examples[:24], examples[24:28], examples[28:])

TASK = Task(
    card=TaskCard(
        name="sentences", version=1, title="Spell backwards", licence="none", citation="none",
        metrics=("chrf++", "bleu"), subsets={"one": Subset(), "two": Subset()},
        scales={"mini": ScaleCard(data="made", backbone="mini-t5")},
    ),
    load=load,
)
'''
SMALL = {
    "subsets": ["one", "two"],
    "seeds": [0],
    "methods": ["sft", "warmup"],
    "workers": 1,
    "warm_start": {"steps": 2},
    "budget": {"steps": 3},
    "train": {"eval_every": 2, "log_every": 1},
    "decode": {"max_tokens": 12},
    "stats": {"randomizations": 300},
}


def rewrite(cell: Path, each: int) -> None:
    """Let a cell have written every ``each``-th reference, and warmups that tell its sources: models of a few
    steps write nothing.
    """
    decode = cell / "decode"
    columns = read_table(decode / "predictions.parquet").to_pydict()
    golds = [golds[0] for golds in columns["references"]]
    columns["hypothesis"] = [g if i % each == 0 else f"{g} no{i}" for i, g in enumerate(golds)]
    if ".warmup." in cell.name:
        columns["warmup"] = [f"warmup of {source}" for source in columns["source"]]
    others = {name: (decode / name).read_bytes() for name in ("cell.json", "ledger.json", "task.json")}
    with writing(decode, replace=True) as folder:
        for name, content in others.items():
            (folder / name).write_bytes(content)
        write_table(folder / "predictions.parquet", columns)
    shutil.rmtree(cell / "scores")
    score_cell(cell, ("chrf++", "bleu"), Score())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in ``out`` and what was published of it in ``study``."""
    folder = tmp_path_factory.mktemp("published")
    write_plugins(folder)
    (folder / "my_sentences.py").write_text(TASK, encoding="utf-8")
    (folder / "data").mkdir()
    made = planned(folder, task=str(folder / "my_sentences.py"), data_dir=str(folder / "data"), **SMALL)
    assert execute(made, outstanding(made), lambda event: None) == {}
    for cell in (folder / "out" / "cells").iterdir():
        rewrite(cell, 2 if ".warmup." in cell.name else 3)
    outcome = publish([folder / "out"], folder / "study")
    assert (outcome.cells, outcome.added, outcome.left_out) == (4, 4, {})
    return folder


@pytest.fixture
def study(place: Path, tmp_path: Path) -> Path:
    """A copy of what was published, to change."""
    return Path(shutil.copytree(place / "study", tmp_path / "study"))


@pytest.fixture
def run_copy(place: Path, study: Path) -> Path:
    """A copy of the run to change, the published folder beside it."""
    return Path(shutil.copytree(place / "out", study.parent / "out"))


def cell_at(out: Path, method: str) -> str:
    """How a command names a cell of subset ``one``, whether it is a run's or published."""
    return next(str(r.place) for r in read_results(out) if (r.cell.subset, r.cell.method) == ("one", method))


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in files_of(folder)}


def test_the_tables_of_every_format_are_those_of_the_run(place: Path) -> None:
    run, study = (load(place / name).tables() for name in ("out", "study"))
    assert len(run) == 2
    assert study == run
    for name, render in RENDERERS.items():
        assert render(study) == render(run), name
    printed = invoke("report", "study", "--format", "md", cwd=place)
    assert (printed.returncode, printed.stdout) == (0, RENDERERS["md"](run))


def test_the_page_with_its_plots_differs_in_the_examples_alone(place: Path) -> None:
    run, study = (load(place / name).report("html") for name in ("out", "study"))
    begin, end = '<section id="examples">', "<footer>"
    assert study.partition(begin)[0] == run.partition(begin)[0]
    assert study.count("<figure>") > 5
    assert "holds numbers only" in study.partition(begin)[2].partition(end)[0]
    assert 'id="browser"' in run
    assert 'id="browser"' not in study
    assert 'id="examples-0"' not in study


def test_a_report_into_the_study_changes_no_later_one(study: Path, tmp_path: Path) -> None:
    (study / "README.md").write_text("by hand\n")
    before = invoke("report", "study", "--format", "json", cwd=tmp_path)
    drawn = invoke("report", "study", "--format", "json", "--plots", "study/plots", cwd=tmp_path)
    assert (drawn.returncode, drawn.stdout) == (0, before.stdout)
    names = {path.stem.partition("-")[0] for path in files_of(study / "plots")}
    assert names >= {"forest", "cost", "learning", "sampler"}
    assert invoke("report", "study", "--format", "json", cwd=tmp_path) == before


def test_a_comparison_has_the_same_numbers_and_names_examples(place: Path) -> None:
    options = ["--randomizations", "200", "--metric", "chrf++", "--format", "json"]
    compared = []
    for name in ("out", "study"):
        cells = [cell_at(place / name, method) for method in ("sft", "warmup")]
        done = invoke("compare", *cells, *options, cwd=place)
        assert done.returncode == 0, done.stderr
        compared.append(json.loads(done.stdout))
    run, study = compared
    for before, after in zip(run["lines"], study["lines"], strict=True):
        assert before["comparison"] == after["comparison"]
    moved, expected = ([(m["id"], m["influence"]) for m in side["moved"]] for side in (study, run))
    assert moved == expected
    assert run["moved"]
    assert all(moved["source"] is None and moved["system_output"] is None for moved in study["moved"])
    assert any("numbers only" in note for note in study["notes"])
    assert not any("numbers only" in note for note in run["notes"])
    text = invoke("compare", *cells, *options[:-2], cwd=place)
    assert (text.returncode, "the examples are named without their texts" in text.words) == (0, True)


def test_a_power_analysis_reads_the_same_pilot(place: Path) -> None:
    printed = []
    for name in ("out", "study"):
        pilots = [cell_at(place / name, method) for method in ("sft", "warmup")]
        done = invoke("power", *pilots, "--effect", "1", "--format", "json", cwd=place)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.replace(f"{place / name}", ""))
    assert printed[0] == printed[1]


def test_statistics_documents_and_logs_are_the_runs_own(place: Path) -> None:
    results = {name: read_results(place / name) for name in ("out", "study")}
    assert len(results["out"]) == 4
    for run, study in zip(results["out"], results["study"], strict=True):
        assert (run.has_texts, study.has_texts) == (True, False)
        assert run.cell == study.cell
        assert (run.ledger, run.provenance, run.scores) == (study.ledger, study.provenance, study.scores)
        assert run.examples() == study.examples()
        assert run.groups() == study.groups()
        assert run.training_log() == study.training_log()
        for score in run.scores:
            (ids, values), (other_ids, others) = (r.statistics(score["key"]) for r in (run, study))
            assert ids == other_ids
            assert (values == others).all()
    numbers = results["study"][0].numbers()
    predictions = read_table(results["out"][0].place / "decode" / "predictions.parquet")
    for name in ("warmup_tokens", "warmup_forced", "finished", "source_cut"):
        assert numbers[name] == predictions.column(name).to_pylist()


def test_pandas_opens_it_in_one_line(place: Path) -> None:
    numbers = place / "study" / "numbers"
    scores = pd.read_parquet(numbers / "scores.parquet")
    cells = pd.read_parquet(numbers / "cells.parquet").set_index("id")
    for result in read_results(place / "study"):
        of_cell = scores[scores.cell == result.place.name].set_index("key").score
        assert of_cell.to_dict() == {score["key"]: score["score"] for score in result.scores}
        row, cell = cells.loc[result.place.name], result.cell
        assert (row.method, row.seed) == (cell.method, cell.seed)
        assert row["settings.train.learning_rate"] == cell.settings.train.learning_rate
    examples = pd.read_parquet(numbers / "examples.parquet")
    totals = examples[examples.cell == result.place.name].filter(regex=r"^bleu\.").sum().to_numpy()
    assert result.metric("bleu").aggregate(totals) == result.scores[1]["score"]


def strings(content: object) -> set[str]:
    if isinstance(content, dict):
        return set().union(*(strings(part) for pair in content.items() for part in pair))
    if isinstance(content, list):
        return set().union(*map(strings, content))
    return {content} if isinstance(content, str) else set()


def leaves(content: object) -> set[str]:
    """The strings of a JSON value that are not keys."""
    if isinstance(content, dict):
        return set().union(*map(leaves, content.values()))
    return strings(content)


def test_no_text_and_no_place_of_the_run_is_in_any_byte(place: Path) -> None:
    texts: set[str] = set()
    for path in (place / "out").glob("cells/*/decode/predictions.parquet"):
        table = read_table(path)
        for name in ("source", "references", "hypothesis", "warmup"):
            texts |= strings(table.column(name).to_pylist())
    for path in (place / "out").glob("data/*/*.parquet"):
        texts |= {text for ex in read_table(path).to_pylist() for text in (ex["source"], ex["target"])}
    assert len(texts) > 100
    long = [text.encode() for text in sorted(texts) if len(text) >= 6]  # a short one may be any bytes
    assert len(long) > 100
    for path in files_of(place / "study"):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            stored = strings(read_table(path).to_pylist())
            assert not stored & texts
            if path.name == "logs.parquet":
                lines = read_table(path).drop_columns(["training_id"]).to_pylist()
                assert not {text for line in lines for text in leaves(line) - {"{}"}}
            for text in stored:
                assert not [t for t in texts if len(t) >= 6 and t in text]
                assert str(place) not in text
        assert not [text for text in long if text in content], path
        assert str(place).encode() not in content, path
    assert {path.name for path in files_of(place / "study" / "numbers")} == {
        *(DONE, "study.json", "cells.parquet", "scores.parquet"),
        *("examples.parquet", "trainings.parquet", "logs.parquet"),
    }
    (spec,) = spec_paths(place / "study")
    assert not {"out:", "data_dir:"} & {line.split(" ")[0] for line in spec.read_text().splitlines()}
    assert "task: my_sentences.py\n" in spec.read_text()


def test_damage_is_found(place: Path, study: Path, tmp_path: Path) -> None:
    check(study / "numbers")
    for victim in files_of(study / "numbers"):
        content = victim.read_bytes()
        victim.write_bytes(content[:-7])
        for arguments in (("report", "study"), ("publish", str(place / "out"), "study")):
            done = invoke(*arguments, cwd=tmp_path)
            assert (done.returncode, str(victim.relative_to(tmp_path)) in done.stderr) == (2, True)
        victim.write_bytes(content)
    assert invoke("report", "study", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", ["cells", "scores", "examples", "trainings", "logs"])
@pytest.mark.parametrize("change", ["no rows", "no columns", "rows twice", "other values"])
def test_files_of_another_shape_are_named(name: str, change: str, study: Path, tmp_path: Path) -> None:
    """As somebody could make them, with a manifest that fits."""
    files = {path.name: path.read_bytes() for path in (study / "numbers").iterdir() if path.name != DONE}
    table = read_table(study / "numbers" / f"{name}.parquet")
    changed = {
        "no rows": lambda: table.slice(0, 0),
        "no columns": lambda: table.select(table.column_names[1:2]),
        "rows twice": lambda: pa.concat_tables([table, table]),
        "other values": lambda: pa.table({n: [n[::-1]] * table.num_rows for n in table.column_names}),
    }[change]()
    with writing(study / "numbers", replace=True) as folder:
        for of, content in files.items():
            (folder / of).write_bytes(content)
        pq.write_table(changed, folder / f"{name}.parquet")
    done = invoke("report", "study", "--format", "html", cwd=tmp_path)
    harmless = name == "logs" and change in ("no rows", "rows twice")
    assert done.returncode == (0 if harmless else 2), done.stderr
    assert harmless or f"numbers/{name}.parquet" in done.stderr or "no training or no score" in done.stderr


def test_a_writer_killed_between_two_renames_loses_nothing(place: Path, study: Path) -> None:
    before = contents(study)
    (study / "numbers").rename(study / ".numbers.12ab.old.tmp")
    shutil.copytree(study / ".numbers.12ab.old.tmp", study / ".numbers.12ab.tmp")
    assert publish([place / "out"], study).added == 0
    assert contents(study) == before


def test_published_again_nothing_is_touched(place: Path, study: Path, tmp_path: Path) -> None:
    (study / "README.md").write_text("by hand\n")
    (study / "tables").mkdir()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files_of(study)}
    done = invoke("publish", str(place / "out"), "study", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 of 4 finished cells, 4 were there already" in done.words
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files_of(study)} == before


def test_a_published_folder_is_published_as_it_is(place: Path, tmp_path: Path) -> None:
    publish([place / "study"], tmp_path / "again")
    assert contents(tmp_path / "again") == contents(place / "study")


def forget(study: Path, cell: str, metric: str) -> None:
    """Let a study not hold a score."""
    content = read_study(study)
    del content.scores[cell, metric], content.statistics[cell, metric]
    write_study(study, content, [path.stem for path in spec_paths(study)])


def test_a_new_score_is_added_and_a_changed_one_refused(run_copy: Path, study: Path) -> None:
    cell = min((run_copy / "cells").iterdir())
    forget(study, cell.name, "bleu")
    outcome = publish([run_copy], study)
    assert (outcome.cells, outcome.added) == (4, 1)
    score = read_json(cell / "scores" / "bleu" / "score.json")
    statistics = (cell / "scores" / "bleu" / "statistics.parquet").read_bytes()
    with writing(cell / "scores" / "bleu", replace=True) as folder:
        write_json(folder / "score.json", score | {"score": 99.0})
        (folder / "statistics.parquet").write_bytes(statistics)
    forget(study, cell.name, "chrf++")
    before = contents(study)
    done = invoke("publish", "out", "study", cwd=run_copy.parent)
    assert done.returncode == 2
    assert f"score bleu of cells/{cell.name} is another one than in study" in done.stderr
    assert contents(study) == before  # everything is compared before anything is written


def test_what_is_not_finished_or_damaged_is_named_and_left_out(run_copy: Path) -> None:
    cells = sorted((run_copy / "cells").iterdir())
    shutil.rmtree(cells[0] / "scores")
    shutil.rmtree(cells[1] / "decode")
    write_failure(cells[1], Failure("score", "ValueError", "no score for 'wort abcde'", "/home/me/x.py"))
    victim = cells[2] / "decode" / "predictions.parquet"
    victim.write_bytes(victim.read_bytes() + b"x")
    done = invoke("publish", "out", "new", cwd=run_copy.parent)
    assert done.returncode == 1
    assert "Published in new: 1 of 1 finished cells, 0 were there already, 3 left out;" in done.words
    for line in (
        f"left out: out/cells/{cells[0].name}: not finished",
        f"left out: out/cells/{cells[1].name}: failed: no score for",
        f"left out: out/cells/{cells[2].name}: stored file",
    ):
        assert line in done.stdout
    new = run_copy.parent / "new"
    (failure,) = read_failures(new).values()
    assert (failure.stage, failure.message) == ("score", "ValueError; the run's own folder says more")
    assert (failure.traceback, failure.diagnostics) == ("", {})
    assert cells[0].name not in read_study(new).cells
    assert len(read_results(new)) == 1


def test_a_cell_that_was_left_out_comes_later(place: Path, run_copy: Path) -> None:
    cell = min((run_copy / "cells").iterdir())
    shutil.rmtree(cell / "decode")
    write_failure(cell, Failure("decode", "TrainingError", "loss is NaN at step 3"))
    new = run_copy.parent / "new"
    assert publish([run_copy], new).left_out == {str(cell): "failed: loss is NaN at step 3"}
    assert read_failures(new)[cell.name].message == "loss is NaN at step 3"  # our own words
    outcome = publish([place / "out"], new)
    assert (outcome.added, outcome.left_out, read_failures(new)) == (1, {}, {})
    assert contents(new) == contents(place / "study")


def test_runs_are_put_together(place: Path, run_copy: Path) -> None:
    half = Path(shutil.copytree(place / "out", run_copy.parent / "half"))
    for name, subset in ((run_copy, "one"), (half, "two")):
        for cell in (name / "cells").glob(f"*.{subset}.*"):
            shutil.rmtree(cell)
    outcome = publish([run_copy, half], run_copy.parent / "both")
    assert (outcome.cells, outcome.added) == (4, 4)
    assert contents(run_copy.parent / "both") == contents(place / "study")


def test_one_training_in_two_runs_must_be_the_same(place: Path, run_copy: Path) -> None:
    assert publish([place / "out", run_copy], run_copy.parent / "same").cells == 4
    training = run_copy / "trainings" / read_results(run_copy)[0].cell.training_id
    ledger, kept = read_json(training / "ledger.json"), contents(training)
    with writing(training, replace=True) as folder:
        for name in ("log.jsonl", "provenance.json"):
            (folder / name).write_bytes(kept[name])
        write_json(folder / "ledger.json", ledger | {"train_seconds": 1e6})
    done = invoke("publish", str(place / "out"), "out", "third", cwd=run_copy.parent)
    assert (done.returncode, f"trainings/{training.name} is another one in out" in done.stderr) == (2, True)
    assert not (run_copy.parent / "third").exists()


def test_the_order_of_the_specs_needs_no_times(place: Path, run_copy: Path) -> None:
    specs = run_copy / "specs"
    (first,) = specs.iterdir()
    (specs / "aaaa.yaml").write_text(first.read_text().replace("baseline: sft", "baseline: warmup"))
    os.utime(first, (1, 1))
    new = run_copy.parent / "new"
    publish([run_copy], new)
    for path in (new / "specs").iterdir():
        os.utime(path, (9, 9))
    assert [path.name for path in spec_paths(new)] == [first.name, "aaaa.yaml"]
    run, study = (
        invoke("report", name, "--format", "md", cwd=run_copy.parent).stdout for name in ("out", "new")
    )
    assert run == study
    os.utime(specs / "aaaa.yaml", (0, 0))  # the first one ran once more
    publish([run_copy], new)
    assert [path.name for path in spec_paths(new)] == ["aaaa.yaml", first.name]
    publish([place / "out"], new)
    assert [path.name for path in spec_paths(new)] == ["aaaa.yaml", first.name]
    index = read_json(new / "numbers" / "study.json")
    write_json(new / "numbers" / "study.json", index | {"specs": ["../../x"]})
    with pytest.raises(CorruptError, match=r"study\.json"):
        spec_paths(new)
    write_json(new / "numbers" / "study.json", index | {"version": 3})
    with pytest.raises(UserError, match="another version: 3"):
        spec_paths(new)


def test_what_needs_texts_or_models_says_what_to_do(place: Path, study: Path, tmp_path: Path) -> None:
    before = contents(study)
    scored = invoke("score", "study", "--metrics", "rouge-l", cwd=tmp_path)
    assert (scored.returncode, "published numbers" in scored.stderr) == (2, True)
    task, backbone = place / "my_sentences.py", place / "my_backbone.py"
    ran = invoke(
        *("run", "--task", str(task), "--backbone", str(backbone), "--out", "study", "--seeds", "1"),
        cwd=tmp_path,
    )
    assert (ran.returncode, "nothing can be run there" in ran.stderr) == (2, True)
    for done in (scored, ran):
        assert "Use the run's own folder" in done.stderr
        assert "Traceback" not in done.stderr
    assert contents(study) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study", "study"], "can't be published into itself"),
        (["study", "out"], "is the results folder of a run"),
        (["nowhere", "x"], "is not a results folder"),
        (["out", "my_task.py"], "is a file"),
        (["empty", "x"], "holds no finished cell"),
        (["study"], "Missing argument"),
    ],
)
def test_a_mistake_gets_one_clear_line(arguments: list[str], message: str, place: Path) -> None:
    (place / "empty" / "cells").mkdir(parents=True, exist_ok=True)
    done = invoke("publish", *arguments, cwd=place)
    assert (done.returncode, message in done.stderr, done.stdout) == (2, True, "")
    assert not (place / "x").exists()


def test_published_test_sets_are_still_told_apart(study: Path, tmp_path: Path) -> None:
    a, b = (cell_at(study, method) for method in ("sft", "warmup"))
    content = read_study(study)
    examples = content.examples[Path(b).name]
    examples["references_digest"][4] ^= 1
    write_study(study, content, [])
    done = invoke("compare", a, b, cwd=tmp_path)
    assert done.returncode == 2
    assert f"example '{examples['id'][4]}' has other references" in done.stderr


def test_a_digest_reads_every_reference() -> None:
    digests = {references_digest(texts) for texts in (["a", "b"], ["ab"], ["a"], ["b", "a"], ['a", "b'])}
    assert len(digests) == 5
    assert all(0 <= digest < 256 for digest in digests)


def test_places_and_texts_are_taken_out_of_plain_data() -> None:
    content = {
        "/home/me/my_method.py": ["~/data", r"C:\Users\me\model", "results/x", "hub/model", 3, None, True],
        "text": "a / b",
    }
    assert portable(content) == {
        "my_method.py": ["data", "model", "results/x", "hub/model", 3, None, True],
        "text": "a / b",
    }
    line = {"step": 1, "note": "a text", "validation": {"loss": float("inf"), "best": "text", "x": [1, "b"]}}
    assert numbers_of(line) == {"step": 1, "validation": {"loss": float("inf"), "x": [1]}}
