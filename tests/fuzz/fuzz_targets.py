"""What is fuzzed: each target takes bytes and reads them as one of the program's inputs.

A target may raise :class:`UserError` with a message that can be shown. Anything else is a bug.
"""

import ast
import contextlib
import io
import json
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stored_predictions import SFT, WARMUP, store_predictions
from warmup_bench.api import load
from warmup_bench.cli.new import _check_name, plugin_files
from warmup_bench.comparison.claims import PUBLISHED, assess, read_assumption, read_claims
from warmup_bench.comparison.log_systems import read_log_systems
from warmup_bench.comparison.pairwise import compare_systems
from warmup_bench.comparison.stored_systems import read_stored_system
from warmup_bench.comparison.text_systems import read_text_systems
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.names import file_name
from warmup_bench.contracts.redact import redact, visible
from warmup_bench.contracts.settings import Score, Stats
from warmup_bench.execution.scoring import score_settings
from warmup_bench.report.comparison import print_compared
from warmup_bench.report.render import RENDERERS, print_tables
from warmup_bench.score.cells import score_cell
from warmup_bench.spec.request import collect_spec
from warmup_bench.store.folders import DONE, _write_manifest, check
from warmup_bench.store.results import read_results
from warmup_bench.tasks.libreoffice_build import paragraphs

LONGEST_MESSAGE = 4000
METRICS = ("chrf++", "bleu")
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 10**30, -(10**30), 10**400, 0.5, float("nan"), float("inf"), 1e308),
    *(
        "",
        "x",
        "../../x",
        "/etc/passwd",
        "\0",
        "\ud800",
        "[/red]",
        "<script>",
        "$\\frac{$",
        "\x1b[31m",
        "a" * 500,
    ),
    *([], {}, [[]], [None], {"": None}, [1, "x"], "./evil.py", [["x"] * 3]),
)
"""What stands in the place of a stored value."""


@cache
def place() -> Path:
    """A folder for this process, removed at its end."""
    kept = tempfile.TemporaryDirectory(prefix="fuzz-")
    _kept.append(kept)
    return Path(kept.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@contextlib.contextmanager
def clear() -> Iterator[None]:
    """What a user is told must be told in a few readable characters."""
    try:
        yield
    except UserError as error:
        message = str(error)
        assert visible(message) == message
        assert 0 < len(message) < LONGEST_MESSAGE, len(message)
        message.encode()


def run(target: str, data: bytes) -> None:
    """One execution."""
    with clear(), contextlib.redirect_stdout(io.StringIO()):
        TARGETS[target](data)


def spec(data: bytes) -> None:
    path = place() / "spec.yaml"
    path.write_bytes(data)
    collect_spec({}, path, [])


def assignment(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    collect_spec({}, None, ["task=t", text])


def options(data: bytes) -> None:
    text = data[1:].decode("utf-8", "surrogateescape")
    key = ("seeds", "limit", "budget", "subsets", "methods", "backbones", "match")[(data[:1] or b"\0")[0] % 7]
    listed = key not in ("seeds", "limit", "budget")
    collect_spec({"task": "t", key: [text] if listed else text}, None, [])


def claims(data: bytes) -> None:
    path = place() / "claims.yaml"
    path.write_bytes(data)
    for claim in read_claims(path):
        with contextlib.suppress(UserError):
            assess(claim, read_assumption(claim), averaged=False)


def assumptions(data: bytes) -> None:
    path = place() / "assumptions.yaml"
    path.write_bytes(data)
    for claim in read_claims():
        with clear():
            assess(claim, read_assumption(claim, path), averaged=True)


def manifest(data: bytes) -> None:
    folder = place() / "manifest"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_text("x")
    (folder / DONE).write_bytes(data)
    check(folder)


def compare(data: bytes) -> None:
    """Four text files, separated by NUL bytes."""
    parts = [*data.split(b"\0"), b"", b"", b""][:4]
    paths = [place() / name for name in ("a.txt", "b.txt", "ref.txt", "groups.txt")]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(part)
    a, b, ref, groups = paths
    systems = read_text_systems(
        [("", str(a)), ("", str(b))],
        [str(ref)],
        groups=str(groups) if parts[3] else None,
        metrics=["chrf++", "bleu", "rougeL", "accuracy"],
        labels=["A", "B"],
    )
    stats = Stats(randomizations=99, seed=1)
    compared = compare_systems(systems, stats, examples=2)
    for format_ in ("text", "md", "csv", "json"):
        print_compared([compared], format_)


def logs(data: bytes) -> None:
    """Byte 0: whose. The rest: the file."""
    name = ("samples_t_2026-01-01T00-00-00.jsonl", "log.json", "log.jsonl")[(data[:1] or b"\0")[0] % 3]
    path = place() / name
    path.write_bytes(data[1:])
    found = read_log_systems([("a", str(path)), ("b", str(path))]) or {}
    for systems in found.values():
        compare_systems(systems[:2], Stats(randomizations=99, seed=1), examples=1)


def plugin_name(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for kind in ("task", "method", "metric"):
        with clear():
            _check_name(kind, text)
            for name, content in plugin_files(kind, text).items():
                assert not Path(name).is_absolute()
                assert ".." not in Path(name).parts
                if name.endswith(".py"):
                    ast.parse(content)
                if name.endswith(".toml"):
                    tomllib.loads(content)


def folder_name(data: bytes) -> None:
    name = file_name(data.decode("utf-8", "surrogateescape"), "metric")
    inside = Path("/a/b") / name
    assert inside.parent == Path("/a/b")
    assert inside.resolve() == inside


def secrets(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    once = redact(text, {})
    assert redact(once, {}) == once
    assert visible(visible(text)) == visible(text)
    visible(text).encode()


def page(data: bytes) -> None:
    paragraphs(data.decode("utf-8", "replace"))


@cache
def results() -> Path:
    """A results folder with two scored cells of one seed."""
    out = place() / "results"
    for method, texts in (("sft", SFT), ("warmup", WARMUP)):
        score_cell(store_predictions(out, method, texts, metrics=METRICS), METRICS, Score())
    for log in sorted((out / "trainings").glob("*")):
        lines = [{"step": 1, "flops": 2.0, "loss": 1.0}, {"step": 1, "validation": {"loss": 0.5}}]
        (log / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        (log / DONE).unlink()
        _write_manifest(log)
    (out / "specs").mkdir()
    (out / "specs" / "a.yaml").write_text(
        "task: t\nscale: mini\nsubsets: [all]\nbackbones: {nano: {}}\nmethods: [sft, warmup, more]\n"
        "seeds: [0]\n"
        "stats: {randomizations: 99}\n"
    )
    return out


def files() -> list[Path]:
    """Its files, in an order that stays; not the empty ones of locks."""
    return sorted(p for p in results().rglob("*") if p.is_file() and p.stat().st_size and p.name != DONE)


def read_all() -> None:
    """Everything that a report, a comparison and scoring read, and the texts that they make."""
    out = results()
    for result in read_results(out):
        result.training_log()
        result.groups()
    found = load(out)
    tables = found.tables()
    for render in RENDERERS.values():
        render(tables)
    from rich.console import Console

    print_tables(tables, Console(file=io.StringIO()))
    for result in found.cells:
        read_stored_system(str(result.place), None)
    score_settings(out, None, [])


@contextlib.contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """A file with other bytes, its manifest made anew, until the end of the block."""
    before = path.read_bytes()
    done = path.parent / DONE
    manifest_before = done.read_bytes() if done.is_file() else None
    path.write_bytes(content)
    if manifest_before is not None:
        done.unlink()
        _write_manifest(path.parent)
    try:
        yield
    finally:
        path.write_bytes(before)
        if manifest_before is not None:
            done.write_bytes(manifest_before)


def stored_bytes(data: bytes) -> None:
    """Byte 0: the file. Byte 1: whether the rest replaces it, or is written into it at a place of it."""
    if len(data) < 4:
        return
    path = files()[data[0] % len(files())]
    content = data[4:]
    if data[1] % 2:
        old = path.read_bytes()
        at = int.from_bytes(data[2:4], "big") % len(old)
        content = old[:at] + data[4:] + old[at + len(data[4:]) :]
    with replaced(path, content):
        read_all()


def stored_json(data: bytes) -> None:
    """Byte 0: the file. Bytes 1 and 2: the value in it. Byte 3: what stands in its place, or that it goes."""
    if len(data) < 4:
        return
    paths = json_files()
    path = paths[data[0] % len(paths)]
    content = _parsed(path)
    spots = list(_spots(content))
    holder, key = spots[int.from_bytes(data[1:3], "big") % len(spots)]
    choice = data[3] % (len(ODD) + 1)
    if choice == len(ODD):
        del holder[key]
    else:
        holder[key] = ODD[choice]
    whole = content if path.suffix == ".jsonl" else [content]
    text = "\n".join(json.dumps(part) for part in whole)
    with replaced(path, text.encode()):
        read_all()


def json_files() -> list[Path]:
    """The stored files that :func:`stored_json` changes."""
    return [path for path in files() if path.suffix in (".json", ".jsonl")]


def json_values(path: Path) -> int:
    """How many values a file holds, lists and objects among them."""
    return sum(1 for _ in _spots(_parsed(path)))


def _parsed(path: Path) -> Any:
    text = path.read_text()
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def _spots(content: Any) -> Iterator[tuple[Any, Any]]:
    pairs = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(pairs):
        yield content, key
        if isinstance(value, dict | list):
            yield from _spots(value)


def stored_table(data: bytes) -> None:
    """Byte 0: the file. Byte 1: the column. Byte 2: what becomes of it."""
    if len(data) < 3:
        return
    paths = [path for path in files() if path.suffix == ".parquet"]
    path = paths[data[0] % len(paths)]
    table = pq.read_table(path)
    name = table.column_names[data[1] % len(table.column_names)]
    rows = table.num_rows
    others: list[Any] = [
        *(
            [None] * rows,
            ["x"] * rows,
            [["x"]] * rows,
            [[]] * rows,
            [1] * rows,
            [0.5] * rows,
            [float("nan")] * rows,
        ),
        *(
            [1e308] * rows,
            [True] * rows,
            [b"\xff"] * rows,
            [{"a": 1}] * rows,
            ["\x1b[/x]"] * rows,
            [""] * rows,
        ),
        *([str(i) for i in range(rows)], [[None]] * rows, [-1.0] * rows, [["x", "y"]] * rows),
    ]
    choice = data[2] % (len(others) + 4)
    if choice < len(others):
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array(others[choice]))
    elif choice == len(others):
        table = table.drop_columns([name])
    elif choice == len(others) + 1:
        table = table.append_column(name, table.column(name))
    elif choice == len(others) + 2:
        table = table.slice(0, 1)
    else:
        table = table.slice(0, 0)
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    with replaced(path, buffer.getvalue()):
        read_all()


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        *(spec, assignment, options, claims, assumptions, manifest, compare, logs, plugin_name),
        folder_name,
        *(secrets, page, stored_bytes, stored_json, stored_table),
    )
}

SEEDS: dict[str, tuple[bytes, ...]] = {
    "spec": (
        b"task: wmt\nseeds: [0, 1]\nbudget: {steps: 5}\ntrain: {learning_rate: 1e-3}\n",
        b"task: t\nbackbones: {a: &x {train: {dropout: 0.1}}, b: *x}\nscore: {metrics: comet}\nout: runs/x\n",
    ),
    "assignment": (b"train.batch_size=32", b"budget.flops=1e12", b"seeds=[1,2]", b"score.comet.model=a/b"),
    "options": (b"\x003", b"\x000,1,7", b"\x01train=5,test=7", b"\x02steps=9"),
    "claims": ((PUBLISHED / "claims.yaml").read_bytes(),),
    "assumptions": ((PUBLISHED / "assumptions.yaml").read_bytes(),),
    "manifest": (b'{"schema_version": 1, "files": {"file": [1, "2d711642b726b04401627ca9fbac32f5"]}}',),
    "compare": (b"a b\nc\n\0a\nc d\n\0a b\nc d\n\0x\ny\n", b"A\nB\n\0B\nB\n\0A\nB\n"),
    "logs": (
        b'\x00{"doc_id": 0, "doc": {}, "filtered_resps": ["x"], "metrics": ["acc"], "acc": 1.0}\n'
        b'{"doc_id": 1, "doc": {}, "filtered_resps": ["x"], "metrics": ["acc"], "acc": 0.0}\n',
        b'\x01{"version": 2, "status": "success", "eval": {"task": "t"}, "plan": {}, "samples": [{"id": 1, '
        b'"epoch": 1, "input": "q", "target": "a", "scores": {"match": {"value": "C"}}}]}',
        b'\x01{"a.txt": [{"src": "s", "mt": "m", "ref": "r", "COMET": 0.5}]}',
        b'\x01{"statistical_results": [], "source": ["s"], "translations": [{"name": "a", "mt": ["m"], '
        b'"scores": [0.5]}]}',
    ),
    "plugin_name": (b"my-task", b"a.b_c", b"../x"),
    "folder_name": (b"chrf++", b"..", b"comet-model"),
    "secrets": (b"https://user:pa@host/?token=abcdef", b"Authorization: Bearer abcdefgh", b"HF_TOKEN=hf_abc"),
    "page": (b'<p id="par_1">A <b>b</b> c<br>d</p><span class="MAC">x</span><h1 id="hd_2">T</h1>',),
    "stored_bytes": (b"\x00\x00\x00\x00{}", b"\x04\x01\x00\x10\xff"),
    "stored_json": (b"\x00\x00\x00\x00", b"\x01\x00\x05\x0a"),
    "stored_table": (b"\x00\x00\x00", b"\x01\x01\x05"),
}
"""What fuzzing starts from."""
