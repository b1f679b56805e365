"""The five declared tasks of docs/task-without-python.md, on small files in the layout of their data sets."""

import json
import re
import shlex
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_pages import SMALLER

from command import invoke
from warmup_bench import LoadRequest, Splits, read_task
from warmup_bench.check.card import check_card
from warmup_bench.check.task import CHECKS, check_splits

PAGE = (Path(__file__).parents[2] / "docs" / "task-without-python.md").read_text(encoding="utf-8")
TASKS = dict(re.findall(r"^```yaml\n# ([\w.]+)\n(.*?)^```$", PAGE, flags=re.M | re.S))
COUNTS = {"train": 30, "validation": 4, "test": 5}


def parquet(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def readme(folder: Path, configs: dict[str, str]) -> None:
    """The head of a data set's page, with the folder of each configuration's files."""
    lines = ["---", "configs:"]
    for name, place in configs.items():
        lines += [f"- config_name: {name}", "  data_files:"]
        for split in COUNTS:
            lines += [f"  - split: {split}", f"    path: {place}/{split}-*"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))


def reviews(folder: Path) -> None:
    text = '"Line {}, with a comma\nand ""quotes"""'
    cells = [
        f"{'en' if i % 5 else 'de'},reader {i % 2},{text.format(i)},About {i},author {i // 3}"
        for i in range(150)
    ]
    (folder / "reviews.csv").write_text("\n".join(["language,reader,text,summary,author", *cells, ""]))


def opus(folder: Path) -> None:
    readme(folder / "opus-100", {"af-en": "af-en", "de-en": "de-en"})
    for split, count in COUNTS.items():
        rows = [
            {"translation": {"de": f"Ein Satz aus {split} {i}", "en": f"A sentence from {split} {i}"}}
            for i in range(count)
        ]
        rows.append({"translation": {"de": "", "en": "of nothing"}})
        parquet(folder / "opus-100" / "de-en" / f"{split}-00000-of-00001.parquet", rows)


def scitldr(folder: Path) -> None:
    for split, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        rows = [
            {
                "source": [f"We {split} {i}.", "It works."],
                "target": [f"tldr {split} {i}", "other"],
                "paper_id": f"p{i}",
            }
            for i in range(COUNTS[split])
        ]
        path = folder / "scitldr" / "SciTLDR-Data" / "SciTLDR-A" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def arc(folder: Path) -> None:
    readme(folder / "ai2_arc", {"ARC-Challenge": "ARC-Challenge", "ARC-Easy": "ARC-Easy"})
    for split, count in COUNTS.items():
        rows = [
            {
                "id": f"{split} {i}",
                "question": f"Which {split} {i}?",
                "choices": {"text": ["red", "green", "blue"], "label": list("123" if i % 2 else "ABC")},
                "answerKey": "2" if i % 2 else "C",
            }
            for i in range(count)
        ]
        parquet(folder / "ai2_arc" / "ARC-Challenge" / f"{split}-00000-of-00001.parquet", rows)


def news(folder: Path) -> None:
    for split, count in (("train", 4000), ("test", 5)):
        rows = [{"text": f"{split} story {i}", "label": i % 4} for i in range(count)]
        parquet(folder / "ag_news" / "data" / f"{split}-00000-of-00001.parquet", rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, and beside them copies of the data sets."""
    place = tmp_path_factory.mktemp("declared")
    for name, text in TASKS.items():
        (place / name).write_text(text, encoding="utf-8")
    for write in (reviews, opus, scitldr, arc, news):
        write(place)
    return place


def load(folder: Path, name: str, subset: str = "en") -> Splits:
    return read_task(folder / name).load(LoadRequest(subset, "mini", folder, offline=True))


def test_the_page_has_five() -> None:
    assert set(TASKS) == {"reviews.yaml", "opus.yaml", "scitldr.yaml", "arc.yaml", "news.yaml"}


def test_csv(folder: Path) -> None:
    splits = load(folder, "reviews.yaml")
    assert sum(map(len, splits.named().values())) == 120
    example = splits.train[0]
    number = int(example.target.split()[1])
    assert example.source == f'Summarise for reader {number % 2}: Line {number}, with a comma\nand "quotes"'
    assert example.group == f"author {number // 3}"


def test_translation(folder: Path) -> None:
    one, other = load(folder, "opus.yaml", "de-en"), load(folder, "opus.yaml", "en-de")
    assert {name: len(split) for name, split in one.named().items()} == COUNTS
    assert (one.test[4].source, one.test[4].target) == ("Ein Satz aus test 4", "A sentence from test 4")
    assert (other.test[4].source, other.test[4].target) == ("A sentence from test 4", "Ein Satz aus test 4")


def test_summaries(folder: Path) -> None:
    splits = load(folder, "scitldr.yaml")
    assert {name: len(split) for name, split in splits.named().items()} == COUNTS
    example = splits.validation[2]
    assert (example.id, example.source) == ("p2", "We validation 2. It works.")
    assert (example.target, example.references) == ("tldr validation 2", ("tldr validation 2", "other"))


def test_multiple_choice(folder: Path) -> None:
    splits = load(folder, "arc.yaml")
    assert [example.target for example in splits.test] == ["C", "B", "C", "B", "C"]
    assert splits.test[1].source == "Which test 1?\nA) red\nB) green\nC) blue"
    assert splits.test[1].options == ("A", "B", "C")


def test_classification(folder: Path) -> None:
    splits = load(folder, "news.yaml")
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [3000, 1000, 5]
    assert [example.target for example in splits.test] == ["World", "Sports", "Business", "Sci/Tech", "World"]
    assert splits.test[0].options == ("World", "Sports", "Business", "Sci/Tech")


@pytest.mark.parametrize("name", TASKS)
def test_the_check_finds_no_failure(folder: Path, name: str) -> None:
    task = read_task(folder / name)
    subset = next(iter(task.card.subsets))
    request = LoadRequest(subset, "mini", folder, offline=True)
    checks = [(what, check) for what, check in CHECKS if what not in ("a second process", "a trial run")]
    splits = task.load(request)
    found = [
        *check_card(task.card, "mini"),
        *check_splits(str(folder / name), request, splits, checks=checks),
    ]
    assert [finding for finding in found if finding.state == "failed"] == []


def test_the_commands_run(folder: Path) -> None:
    (commands,) = re.findall(r"^```bash\n(.*?)^```$", PAGE, flags=re.M | re.S)
    printed = []
    for line in commands.splitlines():
        _, *arguments = shlex.split(line)
        done = invoke(*arguments, *(SMALLER if arguments[0] == "run" else ()), cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.words)
    assert "0 failed" not in printed[0] and "ok" in printed[0]
    assert "warmup against sft" in printed[1] and "reviews-mini" in printed[1]
    again = invoke("run", "--task", "reviews.yaml", *SMALLER, cwd=folder)
    assert "stored already; nothing is trained" in again.stdout
    shown = invoke("report", "runs/reviews-mini", cwd=folder)
    assert shown.returncode == 0 and "warmup against sft" in shown.words
