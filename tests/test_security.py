"""Rules that every module keeps, and inputs that try to leave their place."""

import ast
import json
import shutil
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from command import invoke
from stored_predictions import SFT, store_predictions
from warmup_bench.contracts import registry
from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.names import file_name
from warmup_bench.contracts.registry import PLUGINS
from warmup_bench.contracts.settings import Score
from warmup_bench.contracts.task import ScaleCard, Subset, TaskCard
from warmup_bench.execution.scoring import score_settings
from warmup_bench.score.cells import score_cell, score_folder
from warmup_bench.spec.spec import make_spec
from warmup_bench.store.folders import DONE, CorruptError, _write_manifest, check
from warmup_bench.store.results import read_result, read_results
from warmup_bench.tasks.libreoffice_build import read_pages

ROOT = Path(__file__).parents[1]
PARTS = ("harness", "tasks", "baselines", "benchmarks")
SOURCES = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp"}
UNSAFE_CALLS |= {f"yaml.{kind}load{all_}" for kind in ("", "full_", "unsafe_") for all_ in ("", "_all")}
SWITCHES = ("shell", "trust_remote_code", "allow_pickle")
EVIL = """
from pathlib import Path
Path(__file__).with_name("ran.txt").write_text("it ran")
METRIC = None
"""


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def faults(tree: ast.AST) -> list[str]:
    """What a module does that none may do."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNSAFE_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            named = [(key.value, value) for key, value in pairs if isinstance(key, ast.Constant)]
            found += [str(name) for name, value in named if name in SWITCHES and not is_(value, False)]
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            if name in UNSAFE_CALLS:
                found.append(name)
            if name == "torch.load" and not is_(given.get("weights_only"), True):
                found.append("torch.load without weights_only")
            found += [key for key in SWITCHES if key in given and not is_(given[key], False)]
    return found


def is_(node: ast.AST | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_code_from_data(path: Path) -> None:
    assert faults(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_the_rules_find_what_they_are_for() -> None:
    wrong = (
        *("import pickle", "from joblib import load", "yaml.load(x)", "eval(x)", "torch.load(x)"),
        *("torch.load(x, weights_only=w)", "run(x, shell=True)", "np.load(x, allow_pickle=True)"),
        *("f(trust_remote_code=given)", "d = {'trust_remote_code': given}"),
    )
    for text in wrong:
        assert len(faults(ast.parse(text))) == 1, text
    right = "torch.load(x, weights_only=True)\nf(trust_remote_code=False)\nyaml.safe_load(x)"
    assert faults(ast.parse(right)) == []


def test_remote_code_can_not_be_asked_for() -> None:
    for section in ("train", "decode", "score"):
        with pytest.raises(UserError, match="unknown key"):
            make_spec({"task": "t", section: {"trust_remote_code": True}}, "a test")


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    cell = store_predictions(tmp_path / "out", "sft", SFT)
    score_cell(cell, ["chrf++"], Score())
    return cell


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    (path.parent / DONE).unlink()
    _write_manifest(path.parent)


def test_stored_results_run_no_file_that_nobody_named(
    scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = tmp_path / "out" / "evil.py"
    evil.write_text(EVIL)
    rewrite(score_folder(scored, "chrf++") / "score.json", metric=str(evil))
    with pytest.raises(UserError, match=rf"runs no file.*{PLUGINS}="):
        read_result(scored).metric("chrf++")
    done = invoke("report", str(tmp_path / "out"), cwd=tmp_path)
    rewrite(scored / "decode" / "task.json", metrics=["out/evil.py"])
    again = invoke("score", str(tmp_path / "out"), cwd=tmp_path)
    assert (done.returncode, again.returncode) != (0, 0)
    assert "runs no file" in again.stderr
    assert not evil.with_name("ran.txt").exists()
    monkeypatch.setenv(PLUGINS, f"/nowhere.py:{evil}")
    with pytest.raises(UserError, match="defines no variable"):
        read_result(scored).metric("chrf++")
    assert evil.with_name("ran.txt").exists()


def test_a_file_that_this_process_was_asked_for_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ours.py"
    path.write_text("METRIC = len\n")
    with pytest.raises(UserError, match="runs no file"):
        registry.metrics().load_stored(str(path))
    registry.metrics().load(str(path))
    (tmp_path / "link.py").symlink_to(path)
    assert registry.metrics().load_stored(str(tmp_path / "link.py")).value is len


def test_a_folder_of_results_chooses_no_interpreter_and_trusts_nothing(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    comet = {"python": "/evil", "trust_checkpoint": True, "model": "a/b"}
    (tmp_path / "specs" / "a.yaml").write_text(yaml.safe_dump({"task": "t", "score": {"comet": comet}}))
    settings = score_settings(tmp_path, None, []).comet
    assert (settings.python, settings.trust_checkpoint, settings.model) == (None, False, "a/b")
    asked = score_settings(tmp_path, "./python", ["score.comet.trust_checkpoint=true"]).comet
    assert (asked.python, asked.trust_checkpoint) == ("./python", True)


ELSEWHERE = ["", ".", "..", "../x", "/x", "a/b", "-x", ".x", "a\0", "a\n", "x" * 200, "ä", "a b"]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_that_lead_elsewhere(name: str, scored: Path) -> None:
    with pytest.raises(UserError, match="can't name a folder"):
        file_name(name, "metric")
    with pytest.raises(UserError):
        score_folder(scored, name)
    with pytest.raises(ValidationError):
        TaskCard(
            **{"name": "t", "version": 1, "title": "", "licence": "", "citation": "", "metrics": ("bleu",)},
            subsets={name: Subset()},
            scales={"mini": ScaleCard(data="")},
        )


def test_a_score_stands_in_its_own_folder(scored: Path) -> None:
    rewrite(score_folder(scored, "chrf++") / "score.json", key="../../../elsewhere")
    with pytest.raises(CorruptError, match="it is the score of"):
        read_result(scored)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "\0"])
def test_a_manifest_lists_only_files_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / DONE).write_text(json.dumps({"schema_version": 1, "files": {name: [1, "0"]}}))
    with pytest.raises(CorruptError, match="can't be one of its files"):
        check(folder)


@pytest.mark.parametrize("files", [None, [], {"x": 1}, {"x": [1]}, {"x": ["1", "0"]}, {"x": [1, 2]}])
def test_a_manifest_that_lists_nothing_readable(tmp_path: Path, files: object) -> None:
    (tmp_path / DONE).write_text(json.dumps({"schema_version": 1, "files": files}))
    with pytest.raises(CorruptError, match="lists"):
        check(tmp_path)


def test_links_out_of_a_package_are_not_read(tmp_path: Path) -> None:
    page = '<p id="par_1">Four words or more stand here.</p>'
    root = tmp_path / "package" / "text"
    root.mkdir(parents=True)
    (tmp_path / "secret.html").write_text(page)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "other.html").write_text(page)
    (root / "own.html").write_text(page)
    (root / "link.html").symlink_to(tmp_path / "secret.html")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    assert list(read_pages(tmp_path / "package")) == ["own.html"]
    (root / "latin.html").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"latin\.html of the package is not UTF-8"):
        read_pages(tmp_path / "package")


def test_a_copied_cell_is_named(scored: Path) -> None:
    shutil.copytree(scored, scored.with_name("copy"))
    with pytest.raises(CorruptError, match=r"it is the cell|is that of cells/"):
        read_results(scored.parents[1])
    done = invoke("report", str(scored.parents[1]), cwd=scored)
    assert done.returncode == 1
    assert "left out: copy: " in done.stderr


def test_names_are_no_markup_of_the_terminal(tmp_path: Path) -> None:
    folder = tmp_path / "[red]x[/bold]"
    folder.mkdir(parents=True)
    made = invoke("new", "metric", "mine", "--into", str(folder), cwd=tmp_path)
    assert made.returncode == 0
    assert "[red]x[/bold]" in made.words
    score_cell(store_predictions(folder, "s[/]\x1b[31m", SFT), ["chrf++"], Score())
    shown = invoke("report", str(folder), cwd=tmp_path)
    assert shown.returncode == 0
    assert "s[/]\\x1b[31m" in shown.words
    assert "\x1b" not in shown.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seeds", "1000000000000"], "at most 10,000 seeds"),
        (["--seeds", "0,99999999999999"], "a seed is a number"),
        (["--seeds", ""], "are not seeds"),
        (["--limit", "²"], "is not of the form KEY=VALUE"),
        (["--set", "train.batch_size=2001-99-99"], "is not a YAML value"),
        (["--set", "budget.epochs=.inf"], "finite number"),
        (["--set", f"score.comet.model={'[' * 900}"], "is not a YAML value"),
        (["--task", "x" * 5000 + ".py"], "does not exist"),
    ],
)
def test_requests_that_once_ended_in_a_traceback(tmp_path: Path, options: list[str], told: str) -> None:
    done = invoke("run", "--task", "wmt", *options, "--dry-run", cwd=tmp_path)
    assert done.returncode == 2
    assert told in " ".join(done.stderr.split())
