"""Tasks without Python: what may be declared, what examples come of it, and what is refused by name."""

import gzip
import json
from pathlib import Path

import pytest
import yaml

from warmup_bench import LoadRequest, Splits, read_task
from warmup_bench.contracts.errors import UserError
from warmup_bench.data.declared import load_declared, make_task, pinned, with_columns
from warmup_bench.data.registry import is_declared, tasks

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode("utf-8")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def json_lines(path: Path, rows: list[dict]) -> Path:
    return written(path, "".join(json.dumps(row) + "\n" for row in rows))


def task_of(folder: Path, data: dict, columns: dict, **more: object) -> dict:
    content = {"name": "mine", "metrics": ["chrf++"], "data": data, "columns": columns, **more}
    written(folder / "mine.yaml", yaml.safe_dump(content))
    return content


def loaded(folder: Path, subset: str = "en", data_dir: Path | None = None) -> Splits:
    request = LoadRequest(subset, "mini", data_dir, offline=True)
    return load_declared(str(folder / "mine.yaml")).value.load(request)


def in_three(folder: Path, rows: list[dict]) -> dict:
    """The same rows as three splits; what only differs in its split is of no matter here."""
    for split in ("train", "validation", "test"):
        json_lines(folder / f"{split}.jsonl", rows)
    return {"files": {split: f"{split}.jsonl" for split in ("train", "validation", "test")}}


def test_columns_parts_and_templates(tmp_path: Path) -> None:
    row = {
        "id": 7,
        "question": {"text": " Why? ", "lang": "en"},
        "hints": ["one", "two"],
        "stars": 4.5,
        "answers": {"text": ["because", "thus"]},
        "doc": "d1",
    }
    columns = {
        "source": "{question.text} {{{hints[1]}}} {hints[*]} ({stars})",
        "references": "answers.text",
        "group": "doc",
        "id": "id",
    }
    task_of(tmp_path, in_three(tmp_path, [row]), columns)
    (example,) = loaded(tmp_path).test
    assert example.source == "Why?  {two} one two (4.5)"
    assert (example.target, example.references) == ("because", ("because", "thus"))
    assert (example.id, example.group, example.options) == ("7", "d1", ())


def test_several_columns_are_several_references(tmp_path: Path) -> None:
    rows = [{"s": "a", "t": "x", "r1": "one", "r2": ""}, {"s": "b", "t": "y", "r1": "two", "r2": "three"}]
    task_of(tmp_path, in_three(tmp_path, rows), {"source": "s", "target": "t", "references": ["r1", "r2"]})
    first, second = loaded(tmp_path).test
    assert (first.references, second.references) == (("one",), ("two", "three"))
    assert (first.target, first.id) == ("x", "test-000000")


@pytest.mark.parametrize(
    ("columns", "row", "letter"),
    [
        ({"options": "o", "answer": "a"}, {"o": ["p", "q"], "a": 1}, "B"),
        ({"options": "o", "answer": "a", "answer_from": 1}, {"o": ["p", "q"], "a": 1}, "A"),
        ({"options": "o", "answer": "a", "answer_is": "number"}, {"o": ["p", "q"], "a": "0"}, "A"),
        ({"options": "o", "answer": "a", "answer_is": "letter"}, {"o": ["p", "q"], "a": "b"}, "B"),
        ({"options": "o", "answer": "a", "answer_is": "text"}, {"o": ["1", "0"], "a": "0"}, "B"),
        ({"options": ["x", "y", "z"], "answer": "a"}, {"x": "p", "y": "q", "z": 3, "a": 2}, "C"),
        # The answer names a printed label, whatever the order of the options is.
        (
            {"options": "o", "option_labels": "l", "answer": "a"},
            {"o": ["p", "q", "r"], "l": ["A", "C", "B"], "a": "B"},
            "C",
        ),
        (
            {"options": "o", "option_labels": "l", "answer": "a"},
            {"o": ["p", "q"], "l": ["1", "2"], "a": "1"},
            "A",
        ),
    ],
)
def test_multiple_choice(tmp_path: Path, columns: dict, row: dict, letter: str) -> None:
    task_of(tmp_path, in_three(tmp_path, [{"q": "Which?", **row}]), {"source": "q", **columns})
    (example,) = loaded(tmp_path).train
    texts = [str(row[c]) for c in columns["options"]] if isinstance(columns["options"], list) else row["o"]
    lines = [f"{mark}) {text}" for mark, text in zip("ABC", texts, strict=False)]
    assert example.source == "\n".join(["Which?", *lines])
    assert example.target == letter and example.options == tuple("ABC"[: len(texts)])
    assert read_task(tmp_path / "mine.yaml").card.labels == ("A", "B", "C", "D")


@pytest.mark.parametrize(
    ("labels", "values", "targets"),
    [
        (["bad", "good"], [0, 1, "good"], None),
        (["bad", "good"], [0, 1, 1], ["bad", "good", "good"]),
        ({0: "bad", 1: "good"}, [1, 0, 1], ["good", "bad", "good"]),
        ({True: "yes", False: "no"}, [True, False, True], ["yes", "no", "yes"]),
        (["1", "2"], [1, 2, 1], ["1", "2", "1"]),
        (["bad", "good"], ["good", "bad", "good"], ["good", "bad", "good"]),
    ],
)
def test_labels(tmp_path: Path, labels: object, values: list, targets: list | None) -> None:
    rows = [{"text": f"t{i}", "label": value} for i, value in enumerate(values)]
    task_of(tmp_path, in_three(tmp_path, rows), {"source": "text", "target": "label", "labels": labels})
    if targets is None:  # a column of two types: damage to some releases of the library, a label to others
        targets = ["bad", "good", "good"]
        try:
            loaded(tmp_path)
        except UserError as error:
            assert "row 3: column label holds a text" in error.problem
            return
    examples = loaded(tmp_path).test
    assert [example.target for example in examples] == targets
    assert set(examples[0].options) == set(read_task(tmp_path / "mine.yaml").card.labels)


def test_rows_are_kept_and_empty_ones_dropped_only_where_that_is_said(tmp_path: Path) -> None:
    rows = [
        {"s": "a", "t": "x", "lang": "en", "n": 1},
        {"s": "b", "t": " ", "lang": "en", "n": 1},
        {"s": "c", "t": "z", "lang": "de", "n": 1},
        {"s": "d", "t": None, "lang": "en", "n": 1},
        {"s": "e", "t": "v", "lang": "en", "n": 2},
    ]
    data = in_three(tmp_path, rows)
    columns = {"source": "s", "target": "t"}
    task_of(tmp_path, data, columns, rows={"keep": {"lang": "en", "n": [1, 3]}, "empty": "drop"})
    assert [(e.id, e.source) for e in loaded(tmp_path).train] == [("train-000000", "a")]
    task_of(tmp_path, data, columns, rows={"keep": {"lang": "en"}})
    with pytest.raises(UserError, match=r"train\.jsonl row 2: the target is empty") as caught:
        loaded(tmp_path)
    assert "empty: drop" in caught.value.hint
    task_of(tmp_path, data, columns, rows={"keep": {"lang": "fr"}})
    with pytest.raises(UserError, match="no row of split train is left"):
        loaded(tmp_path)


def test_drawn_splits_keep_groups_together_and_texts_apart(tmp_path: Path) -> None:
    rows = [{"s": f"s{i}", "t": f"t{i}", "doc": f"d{i // 4}"} for i in range(200)]
    rows += [{"s": f"s{i}", "t": f"again {i}", "doc": "last"} for i in range(5)]
    json_lines(tmp_path / "all.jsonl", rows)
    columns = {"source": "s", "target": "t", "group": "doc"}
    task_of(
        tmp_path, {"files": {"train": "all.jsonl"}}, columns, split={"validation": 20, "test": 0.1, "seed": 3}
    )
    splits = loaded(tmp_path)
    assert splits.fingerprint() == loaded(tmp_path).fingerprint()
    groups = [{e.group for e in split} for split in (splits.train, splits.validation, splits.test)]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    # A tenth of 205 rows, and 20, by groups of 4 or 5.
    assert 20 <= len(splits.test) <= 24 and 20 <= len(splits.validation) <= 24
    held = {e.source for e in (*splits.validation, *splits.test)}
    assert not held & {e.source for e in splits.train}
    task_of(tmp_path, {"files": {"train": "all.jsonl"}}, columns, split={"test": 0.1})
    with pytest.raises(UserError, match="the data have no validation split, only train"):
        loaded(tmp_path)
    json_lines(tmp_path / "all.jsonl", [{"s": f"s{i}", "t": f"t{i}", "doc": "one"} for i in range(9)])
    with pytest.raises(UserError, match="drawing the split test leaves nothing to train on"):
        loaded(tmp_path)


def test_shards_text_files_and_a_field(tmp_path: Path) -> None:
    for part in (0, 1):
        json_lines(tmp_path / f"train-{part}.jsonl", [{"s": f"s{part}", "t": f"t{part}"}])
    written(tmp_path / "dev.json", json.dumps({"data": [{"s": "sd", "t": "td"}]}))
    files = {"train": "train-*.jsonl", "validation": ["train-1.jsonl"], "test": "train-0.jsonl"}
    task_of(tmp_path, {"files": files}, {"source": "s", "target": "t"})
    assert [e.source for e in loaded(tmp_path).train] == ["s0", "s1"]
    task_of(
        tmp_path, {"files": dict.fromkeys(files, "dev.json"), "field": "data"}, {"source": "s", "target": "t"}
    )
    assert [e.target for e in loaded(tmp_path).test] == ["td"]

    written(tmp_path / "a.de.gz", "ein\u2028s\nzwei\n")
    written(tmp_path / "a.en", "one\ntwo\n")
    pair = {"de": "a.de.gz", "en": "a.en"}
    task_of(
        tmp_path,
        {"files": dict.fromkeys(files, pair)},
        {"source": "de", "target": "en"},
        source_language="de",
    )
    assert [(e.source, e.target) for e in loaded(tmp_path, "de-en").test] == [
        ("ein\u2028s", "one"),
        ("zwei", "two"),
    ]
    written(tmp_path / "a.en", "one\n")
    with pytest.raises(UserError, match=r"a\.en has 1 lines and a\.de\.gz has 2"):
        loaded(tmp_path, "de-en")


def test_a_data_folder_stands_for_the_files_place(tmp_path: Path) -> None:
    task_of(tmp_path, in_three(tmp_path, [{"s": "here", "t": "x"}]), {"source": "s", "target": "t"})
    in_three(tmp_path / "there", [{"s": "there", "t": "x"}])
    assert loaded(tmp_path).test[0].source == "here"
    assert loaded(tmp_path, data_dir=tmp_path / "there").test[0].source == "there"
    task = read_task(tmp_path / "mine.yaml")
    assert task.missing(LoadRequest("en", "mini", tmp_path / "there")) == []
    (tmp_path / "there" / "test.jsonl").unlink()
    assert task.missing(LoadRequest("en", "mini", tmp_path / "there")) == ["there is no test.jsonl"]


def test_subsets_differ_in_what_they_say(tmp_path: Path) -> None:
    rows = [{"pair": {"de": "eins", "en": "one"}}]
    task_of(
        tmp_path,
        in_three(tmp_path, rows),
        {"source": "pair.de", "target": "pair.en"},
        source_language="de",
        subsets={
            "de-en": {},
            "en-de": {
                "source_language": "en",
                "target_language": "de",
                "columns": {"source": "pair.en", "target": "pair.de"},
            },
        },
    )
    card = read_task(tmp_path / "mine.yaml").card
    assert {n: (s.source_language, s.target_language) for n, s in card.subsets.items()} == {
        "de-en": ("de", "en"),
        "en-de": ("en", "de"),
    }
    assert loaded(tmp_path, "de-en").test[0].source == loaded(tmp_path, "en-de").test[0].target == "eins"


def test_a_copy_of_a_hub_data_set_is_read_by_its_readme(tmp_path: Path) -> None:
    readme = "---\nconfigs:\n- config_name: old\n  data_files:\n  - split: train\n    path: old/part.jsonl\n"
    readme += "  - split: dev\n    path: old/dev.jsonl\n  - split: eval\n    path: old/eval.jsonl\n"
    readme += "- config_name: new\n  data_files: new.jsonl\n---\n"
    written(tmp_path / "copies" / "tiny" / "README.md", readme)
    for name in ("old/part", "old/dev", "old/eval", "new"):
        json_lines(tmp_path / "copies" / "tiny" / f"{name}.jsonl", [{"s": name, "t": "x"}])
    data = {"hub": "someone/tiny", "revision": COMMIT, "config": "old", "splits": {"test": "eval"}}
    content = task_of(tmp_path, data, {"source": "s", "target": "t"})
    splits = loaded(tmp_path, data_dir=tmp_path / "copies")
    assert [splits.train[0].source, splits.validation[0].source, splits.test[0].source] == [
        "old/part",
        "old/dev",
        "old/eval",
    ]
    for config, problem in (("", "has several configurations"), ("odd", "has no configuration 'odd'")):
        data["config"] = config
        with pytest.raises(UserError, match=problem) as caught:
            make_task(content, "mine", tmp_path).load(LoadRequest("en", "mini", tmp_path / "copies"))
        assert "old, new" in caught.value.hint
    data |= {"config": "old", "splits": {"test": "exam"}}
    with pytest.raises(UserError, match="no split 'exam'"):
        make_task(content, "mine", tmp_path).load(LoadRequest("en", "mini", tmp_path / "copies"))


WRONG = [
    ({"metrics": []}, "'metrics'"),
    ({"colums": {}}, "unknown key 'colums'"),
    ({"columns": {"source": "s", "target": "t", "refrences": "r"}}, "unknown key 'columns.refrences'"),
    ({"columns": {"source": "{s", "target": "t"}}, "brace without a column"),
    ({"columns": {"source": "s"}}, "name a target, references, or options and answer"),
    ({"columns": {"source": "s", "options": "o"}}, "options and answer go together"),
    (
        {"columns": {"source": "s", "target": "t", "options": "o", "answer": "a"}},
        "the letter of the right one",
    ),
    ({"columns": {"source": "s", "target": "t", "labels": ["a", "a"]}}, "labels repeat a value"),
    ({"data": {"hub": "no-owner"}}, "'data.hub' = 'no-owner'"),
    ({"data": {"github": "a/b", "files": {"train": "x"}}}, "40 hex digits of a commit"),
    ({"data": {}}, "data need files"),
    ({"data": {"files": {"train": "x"}, "config": "en"}}, "for data of the hub"),
    ({"subsets": {"a": {"columns": {"sauce": "s"}}}}, "unknown key 'columns.sauce'"),
    ({"scales": {"huge": {}}}, "'scales.huge"),
    ({"name": "Mein Task"}, "'name' = 'Mein Task'"),
    ({"split": {"test": 0}}, "'split.test"),
]


@pytest.mark.parametrize(("change", "problem"), WRONG)
def test_what_is_no_declaration_is_named(tmp_path: Path, change: dict, problem: str) -> None:
    content = task_of(tmp_path, {"files": {"train": "a.csv"}}, {"source": "s", "target": "t"})
    with pytest.raises(UserError) as caught:
        make_task(content | change, "mine.yaml", tmp_path)
    assert problem in caught.value.problem and "mine.yaml" in caught.value.origin
    assert "pydantic" not in str(caught.value) and "\n" not in caught.value.problem


ROWS = [
    ({"source": "s.x", "target": "t"}, {"s": "a", "t": "b"}, "column s has no s.x"),
    ({"source": "s[3]", "target": "t"}, {"s": ["a"], "t": "b"}, r"column s has no s\[3\]"),
    ({"source": "s", "target": "t"}, {"s": ["a"], "t": "b"}, "column s holds a list and not a text"),
    ({"source": "s", "references": "t"}, {"s": "a", "t": "b"}, "column t holds a text and not a list"),
    ({"source": "s", "target": "u"}, {"s": "a", "t": "b"}, r"train\.jsonl has no column u, only s, t"),
    (
        {"source": "s", "options": "o", "answer": "a"},
        {"s": "a", "o": ["x", "y"], "a": 2},
        "holds '2' and not one of",
    ),
    (
        {"source": "s", "options": "o", "answer": "a"},
        {"s": "a", "o": ["x", "y"], "a": None},
        "a holds nothing",
    ),
    (
        {"source": "s", "options": "o", "answer": "a"},
        {"s": "a", "o": ["x", "y"], "a": "A"},
        "not told what that means",
    ),
    ({"source": "s", "options": "o", "answer": "a"}, {"s": "a", "o": list("vwxyz"), "a": 2}, "options is 5"),
    (
        {"source": "s", "options": "o", "answer": "a", "answer_is": "text"},
        {"s": "a", "o": ["x", "x"], "a": "x"},
        "holds 'x' and not one of x, x",
    ),
    (
        {"source": "s", "target": "t", "labels": ["p", "n"]},
        {"s": "a", "t": 2},
        "holds '2' and not one of p, n, 0, 1",
    ),
    ({"source": "s", "target": "t", "id": "i"}, {"s": "a", "t": "b", "i": ""}, "i is empty"),
]


@pytest.mark.parametrize(("columns", "row", "problem"), ROWS)
def test_a_row_that_is_something_else_is_named(
    tmp_path: Path, columns: dict, row: dict, problem: str
) -> None:
    task_of(tmp_path, in_three(tmp_path, [row]), columns)
    with pytest.raises(UserError, match=problem) as caught:
        loaded(tmp_path)
    assert "train.jsonl" in str(caught.value)


def test_an_id_stands_for_one_row(tmp_path: Path) -> None:
    rows = [{"s": "a", "t": "b", "i": "x"}, {"s": "c", "t": "d", "i": "x"}]
    task_of(tmp_path, in_three(tmp_path, rows), {"source": "s", "target": "t", "id": "i"})
    with pytest.raises(UserError, match=r"train\.jsonl row 2: the id 'x' stands for two rows"):
        loaded(tmp_path)


def test_references(tmp_path: Path) -> None:
    assert is_declared("a/b.yaml") and is_declared(f"b.yml@{COMMIT}") and is_declared("hf:a/b")
    assert not is_declared("wmt") and not is_declared("./task.py")
    line = with_columns(f"hf:a/b@{COMMIT}", "the question", "answer")
    assert line == f"hf:a/b@{COMMIT}?source=the%20question&target=answer"
    assert pinned(line, offline=True) == line
    entry = tasks().load(line)
    assert (entry.name, entry.value.card.metrics) == ("b", ("chrf++", "rougeL"))
    named = tasks().load(f"{line}&metrics=bleu,chrf%2B%2B&language=de&config=main")
    assert (named.name, named.value.card.metrics) == ("b-main", ("bleu", "chrf++"))
    assert named.value.card.subsets["de"].target_language == "de" and named.code != entry.code
    for reference, problem in (
        ("hf:a/b", "which columns of a/b are what is not told"),
        ("hf:a/b?sauce=x", "'sauce' is no option"),
        ("nowhere.yaml", "task file nowhere.yaml does not exist"),
        (str(written(tmp_path / "a.yaml", "[1")), "can't be read"),
        (str(written(tmp_path / "b.yaml", "- 1\n")), "holds no mapping"),
    ):
        with pytest.raises(UserError, match=problem):
            tasks().load(reference)
    with pytest.raises(UserError, match="knows its columns") as caught:
        with_columns("wmt", None, "x")
    assert caught.value.origin == "--target"


def test_a_file_without_a_commit_is_pinned_by_its_reference(tmp_path: Path) -> None:
    task_of(tmp_path, {"hub": "someone/tiny"}, {"source": "s", "target": "t"})
    path = str(tmp_path / "mine.yaml")
    with pytest.raises(UserError, match="can't be looked up offline") as caught:
        pinned(path, offline=True)
    assert "40 hex digits" in caught.value.hint
    entry = tasks().load(f"{path}@{COMMIT}")
    assert f"someone/tiny@{COMMIT[:12]}" in entry.value.card.scales["mini"].data
