"""The page on comparing: every command of it runs, on files in the layouts that it names."""

import gzip
import io
import json
import random
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest

from command import invoke
from log_files import comet_score, inspect_log, samples

PAGE = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, flags=re.M | re.S)
    for line in block.splitlines()
]
COUNT = 12


def noisy(texts: list[str], seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(word if rng.random() < 0.8 else "so" for word in text.split()) for text in texts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file that the page names."""
    root = tmp_path_factory.mktemp("compare")
    gold = [f"on day {i} the old dog of house {i * 3} sleeps in the warm sun" for i in range(COUNT)]
    base, mine = noisy(gold, 1), noisy(gold, 2)
    files = {"ref.txt": gold, "base.txt": base, "mine.txt": mine, "ref2.txt": ["", *gold[1:]]}
    files |= {
        "src.txt": [f"Satz {i}" for i in range(COUNT)],
        "documents.txt": [f"d{i // 3}" for i in range(COUNT)],
    }
    files |= {
        f"{name}.s{seed}": noisy(gold, 3 + seed + len(name)) for name in ("base", "mine") for seed in range(3)
    }
    files |= {
        "ref.zh": ["今天天气很好"] * COUNT,
        "base.zh": ["今天天气不好"] * COUNT,
        "mine.zh": ["今天天很好"] * COUNT,
    }
    files |= {
        "gold.txt": [*"ABCD"] * 3,
        "answers.base": ["A"] * COUNT,
        "answers.mine": ["The answer is B"] * COUNT,
    }
    for name, lines in files.items():
        (root / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (root / "mine.txt.gz").write_bytes(gzip.compress((root / "mine.txt").read_bytes()))
    pd.DataFrame({"base": base, "mine": mine, "reference": gold}).to_csv(root / "out.csv", index=False)
    rows = [{"prediction": b, "references": [g, b]} for b, g in zip(base, gold, strict=True)]
    (root / "base.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "mine.jsonl").write_text("".join(json.dumps({"output": {"text": text}}) + "\n" for text in mine))
    pd.DataFrame({"score": range(COUNT)}).to_parquet(root / "base.parquet")
    pd.DataFrame({"score": range(1, COUNT + 1)}).to_csv(root / "mine.csv", index=False)
    for number, name in enumerate(("base", "base-seed1", "mine", "mine-seed1")):
        right = [float((i * 7 + number) % 3 > 0) for i in range(COUNT)]
        for task, metric in (("arc_easy", "acc"), ("gsm8k", "exact_match")):
            samples(root / "runs" / name / "org__model", task, {metric: right})
    for name in ("base", "mine"):
        inspect_log(root / "logs" / f"{name}.json", {"match": [["C", "I", "P", "N"], ["C", "C", "I", "I"]]})
    comet_score(root / "comet.json", {"base.txt": [0.8, 0.7, 0.75], "mine.txt": [0.9, 0.7, 0.8]})
    return root


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    piped, pipe, rest = command.rpartition(" | ")
    if pipe:
        assert piped == "zcat mine.txt.gz"
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / "mine.txt").read_bytes())))
    program, *arguments = shlex.split(rest)
    assert program == "warmup-bench"
    done = invoke(*arguments, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "CI" in done.stdout or '"low"' in done.stdout or "power" in done.stdout


def test_every_kind_of_input_is_on_the_page() -> None:
    assert len(COMMANDS) > 15
    used = {word.split(":")[0].split("=")[-1] for command in COMMANDS for word in command.split()}
    assert {
        "base.txt",
        "base.jsonl",
        "out.csv",
        "base.parquet",
        "runs/base",
        "logs/base.json",
        "comet.json",
    } <= used
