"""The hub's own client against a hub on this machine: what is asked for, what is kept, what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hub_server import COMMIT, NAME, serving

README = b"""---
configs:
- config_name: main
  data_files:
  - split: train
    path: data/train-*.jsonl
  - split: dev
    path: data/dev.jsonl
---
"""


def rows(split: str, count: int) -> bytes:
    lines = [{"question": f"{split} {i} asks", "answer": f"{split} {i} says"} for i in range(count)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


FILES = {
    "README.md": README,
    "data/train-0.jsonl": rows("first", 30),
    "data/train-1.jsonl": rows("second", 30),
    "data/dev.jsonl": rows("dev", 5),
}
CODE = """
import json, sys
from warmup_bench import LoadRequest
from warmup_bench.contracts.errors import UserError
from warmup_bench.data.declared import load_declared, pinned
try:
    reference = pinned(sys.argv[1], offline=sys.argv[2] == "offline")
    task = load_declared(reference).value
    request = LoadRequest("en", "mini", offline=sys.argv[2] == "offline")
    missing = list(task.missing(request))
    splits = task.load(request)
except UserError as error:
    print(json.dumps({"error": str(error)}))
else:
    sizes = [len(splits.train), len(splits.validation), len(splits.test)]
    first = [splits.validation[0].source, splits.validation[0].target]
    told = {"reference": reference, "sizes": sizes, "first": first, "data": task.card.scales["mini"].data}
    print(json.dumps({**told, "missing": missing, "fingerprint": splits.fingerprint()}))
"""


def asking(folder: Path, endpoint: str, reference: str, how: str = "online") -> dict:
    environment = os.environ | {
        **{"HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "hf")},
        **{
            "WARMUP_BENCH_CACHE": str(folder / "own"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1",
        },
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, reference, how],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_one_line_pins_the_commit_and_works_offline_after_that(tmp_path: Path) -> None:
    line = f"hf:{NAME}?source=question&target=answer"
    with serving(FILES) as (endpoint, asked):
        online = asking(tmp_path, endpoint, line)
        assert online["reference"] == f"hf:{NAME}@{COMMIT}?source=question&target=answer"
        # A tenth of 60 training rows is the test set; the data set's own dev validates.
        assert (online["sizes"], online["first"]) == ([54, 5, 6], ["dev 0 asks", "dev 0 says"])
        assert f"{NAME}@{COMMIT[:12]}" in online["data"] and online["missing"] == [f"the files of {NAME}"]
        assert f"GET /datasets/{NAME}/resolve/{COMMIT}/data/train-1.jsonl" in asked
        asked.clear()
        offline = asking(tmp_path, endpoint, online["reference"], "offline")
        assert offline == {**online, "missing": []} and asked == []
        refused = asking(tmp_path, endpoint, line, "offline")
        assert "the newest revision" in refused["error"] and "can't be looked up offline" in refused["error"]
        unknown = asking(
            tmp_path, endpoint, f"hf:{NAME}@{COMMIT}?config=german&source=question&target=answer"
        )
        assert "has no configuration 'german'" in unknown["error"] and "main" in unknown["error"]


def test_a_hub_that_does_not_answer_gives_no_other_revision(tmp_path: Path) -> None:
    with serving(FILES) as (endpoint, _):
        asking(tmp_path, endpoint, f"hf:{NAME}@{COMMIT}?source=question&target=answer")
    other = "f" * 40
    gone = asking(tmp_path, endpoint, f"hf:{NAME}@{other}?source=question&target=answer")
    assert "is not available" in gone["error"]
    known = asking(tmp_path, endpoint, f"hf:{NAME}@{COMMIT}?source=question&target=answer")
    assert known["sizes"] == [54, 5, 6]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    files = FILES | {"data/train-1.jsonl": FILES["data/train-1.jsonl"][:-9]}
    with serving(files) as (endpoint, _):
        told = asking(tmp_path, endpoint, f"hf:{NAME}@{COMMIT}?source=question&target=answer")
    assert "train-1.jsonl row 30: this is not JSON" in told["error"]
