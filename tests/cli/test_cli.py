"""The real command line on a tiny task and a tiny backbone, both plugin files.

It is run once in a process of its own, with two workers; what is asked of its results is asked in this one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sacrebleu
import yaml

from command import invoke
from plugin_files import write_plugins
from warmup_bench.contracts.errors import UserError
from warmup_bench.spec.cell import Cell
from warmup_bench.spec.request import collect_spec

SHOWN = ("FutureWarning", "UserWarning", "RuntimeWarning")
COMMAND = [
    sys.executable,
    *(part for name in SHOWN for part in ("-W", f"error::{name}")),  # for its workers too
    "-c",
    "import sys; sys.argv[0] = 'warmup-bench'; from warmup_bench.cli import main; main()",
]


def call(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "WARMUP_BENCH_DATA"}
    environment |= {
        "COLUMNS": "160",
        "NO_COLOR": "1",
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        **variables,
    }
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], str]:
    """A run with two workers: its folder, its arguments and what it printed."""
    place = tmp_path_factory.mktemp("cli")
    files = write_plugins(place)
    arguments = ["run", "--task", files["task"], "--backbone", files["backbone"], "--seeds", "2"]
    arguments += ["--method", "sft,warmup", "--method", files["method"], "--set", "stats.randomizations=500"]
    done = call(*arguments, "--out", "out", "--workers", "2", cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return place, arguments, done.stdout


def cells(out: Path) -> list[Path]:
    return sorted((out / "cells").iterdir())


def test_every_stage_of_every_cell_is_stored(finished: tuple[Path, list[str], str]) -> None:
    place, _, printed = finished
    folders = cells(place / "out")
    assert [f.name.rsplit("-", 1)[0] for f in folders] == [
        f"backwards.all.nano.{method}.seed{seed}" for method in ("frozen", "sft", "warmup") for seed in (0, 1)
    ]
    assert len(list((place / "out" / "warm-starts").iterdir())) == 2
    for folder in folders:
        rows = pq.read_table(folder / "decode" / "predictions.parquet").to_pylist()
        assert [row["id"] for row in rows] == [f"e-{i:05d}" for i in range(40)]
        assert all((row["warmup"] is None) == (".sft." in folder.name) for row in rows)
        stored = {
            path.parent.name: json.loads(path.read_text())["score"]
            for path in (folder / "scores").glob("*/score.json")
        }
        hypotheses, golds = [r["hypothesis"] for r in rows], [[r["references"][0] for r in rows]]
        expected = sacrebleu.corpus_chrf(hypotheses, golds, word_order=2).score
        assert stored["chrf++"] == pytest.approx(expected, abs=1e-9)
        assert stored["bleu"] == pytest.approx(sacrebleu.corpus_bleu(hypotheses, golds).score, abs=1e-9)
        (training,) = (place / "out" / "trainings").glob(folder.name.rsplit("-", 1)[0] + "-*")
        ledger = json.loads((training / "ledger.json").read_text())
        assert ledger["steps"] == 6
        assert ledger["target_tokens"] > 0
        assert (ledger["warmup_tokens"] > 0) == (".sft." not in folder.name)
        provenance = json.loads((training / "provenance.json").read_text())
        assert provenance["threads"] == 1
    for part in ("chrF++", "BLEU", "95% CI", "p =", "40 test examples", "2 seeds", "FLOPs", "nc:6|nw:2"):
        assert part in printed
    assert "a mini result says nothing of the paper's setting" in " ".join(printed.split())
    assert "Next: warmup-bench report out" in printed


def test_a_second_run_trains_nothing_and_prints_the_same_table(finished: tuple[Path, list[str], str]) -> None:
    place, arguments, printed = finished
    before = {p: p.stat().st_mtime_ns for p in (place / "out" / "cells").rglob("*")}
    again = invoke(*arguments, "--out", "out", cwd=place)
    assert again.returncode == 0
    assert "All 6 cells are stored already" in again.stdout
    table = printed[printed.index("backwards all, nano") : printed.index("Stored in")]
    assert table in again.stdout
    assert {p: p.stat().st_mtime_ns for p in (place / "out" / "cells").rglob("*")} == before


def test_numbers_do_not_depend_on_the_number_of_workers(finished: tuple[Path, list[str], str]) -> None:
    place, arguments, _ = finished
    alone = invoke(*arguments, "--out", "alone", "--workers", "1", "--seeds", "1,", cwd=place)
    assert alone.returncode == 0, alone.stderr
    compared = 0
    for folder in (*cells(place / "alone"), *(place / "alone" / "trainings").iterdir()):
        twin = place / "out" / folder.parent.name / folder.name
        names = ("model/model.safetensors", "decode/predictions.parquet", "scores/chrf++/statistics.parquet")
        for name in names:
            if (folder / name).exists():
                assert (folder / name).read_bytes() == (twin / name).read_bytes(), name
                compared += 1
    assert compared == 9


def test_a_run_that_keeps_no_models_prints_the_same_table(finished: tuple[Path, list[str], str]) -> None:
    place, arguments, printed = finished
    lean = [*arguments, "--out", "lean", "--set", "store.models=none"]
    planned = invoke(*arguments, "--out", "planned", "--dry-run", cwd=place).words
    planned_lean = invoke(*lean, "--dry-run", cwd=place).words
    (most,), (least,) = (re.findall(r"([\d,]+) MB on disk", text) for text in (planned, planned_lean))
    assert int(least) <= int(most)
    assert "nano: measured: a step on 8 inputs" in planned_lean
    done = call(*lean, "--workers", "2", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 warm starts and 6 trainings to make" in done.stdout
    table = printed[printed.index("backwards all, nano") : printed.index("What it cost")]
    assert table in done.stdout
    assert "Stored in lean (predictions with their warmups, statistics, ledger)." in done.stdout
    for kind in ("warm-starts", "trainings", "cells"):
        names, twins = (sorted(p.name for p in (place / out / kind).iterdir()) for out in ("lean", "out"))
        assert names == twins  # the same ids
    assert list((place / "lean").rglob("*.safetensors")) == []
    assert table in invoke("report", "lean", cwd=place).stdout

    # What needs a model later says so, or makes it again.
    training = next((place / "lean" / "trainings").iterdir())
    refused = invoke(*arguments, "--out", "other", "--backbone", f"{training}/model", cwd=place)
    assert refused.returncode == 2
    assert f"the model of {training} was not kept (store.models=none)" in refused.stderr.replace("\n", " ")
    methods = arguments.index("--method")
    longer = [*arguments[:methods], "--method", "sft", *arguments[-2:], "--seeds", "1"]
    longer += ["--set", "decode.max_tokens=3"]
    again = invoke(*longer, "--out", "lean", "--set", "store.models=none", "--workers", "1", cwd=place)
    assert again.returncode == 0, again.stderr
    assert "2 of them are made again: their models were not kept." in again.stdout
    twin = invoke(*longer, "--out", "twin", "--workers", "1", cwd=place)
    assert "made again" not in twin.stdout
    (path,) = (place / "twin").glob("cells/*/decode/predictions.parquet")
    assert path.read_bytes() == (place / "lean" / path.relative_to(place / "twin")).read_bytes()
    assert list((place / "lean").rglob("*.safetensors")) == []


def test_decoding_otherwise_trains_nothing(finished: tuple[Path, list[str], str]) -> None:
    place, arguments, _ = finished
    plan = invoke(*arguments, "--out", "out", "--set", "decode.max_tokens=3", "--dry-run", cwd=place)
    assert "6 cells to run, 0 stored already; 0 warm starts and 0 trainings to make" in plan.stdout


def test_the_baseline_is_given_the_flops_of_another_method(
    finished: tuple[Path, list[str], str], tmp_path: Path
) -> None:
    place, arguments, _ = finished
    out = shutil.copytree(place / "out", tmp_path / "out")
    arguments = [*arguments, "--match", "warmup", "--seeds", "1", "--workers", "1", "--out", str(out)]
    done = invoke(*arguments, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sft (FLOPs of warmup)" in done.stdout
    (note,) = re.findall(r"done +\d+/\d+ training backwards.all.nano.sft.seed0-\w+ (.*)", done.stdout)
    assert note == "(FLOPs of warmup)"  # the other one was stored already
    planned = invoke(*arguments, "--dry-run", cwd=place).stdout
    assert len(re.findall(r"stored  backwards.all.nano.sft.seed0-\w+ \(FLOPs of warmup\)", planned)) == 1
    spent = {}
    for folder in (out / "trainings").glob("backwards.all.nano.*.seed0-*"):
        ledger = json.loads((folder / "ledger.json").read_text())
        matched = ledger["steps"] != 6
        spent[folder.name.split(".")[3] + matched * " matched"] = ledger
    step = spent["sft"]["train_flops"] / 6
    over = spent["sft matched"]["train_flops"] - spent["warmup"]["train_flops"]
    assert 0 <= over < 2 * step  # it ends with the step that reaches the budget
    both = invoke(*arguments, "--set", "match_by=[flops, seconds]", cwd=place)
    assert both.returncode == 0, both.stdout + both.stderr
    assert "1 cells to run, " in both.stdout  # the one whose budget is in seconds
    for name in ("sft (FLOPs of warmup)", "sft (seconds of warmup)"):
        assert name in both.stdout
    (timed,) = (
        json.loads((path / "decode" / "cell.json").read_text())
        for path in (out / "cells").glob("*.sft.seed0-*")
        if '"matched_by": "seconds"' in (path / "decode" / "cell.json").read_text()
    )
    cell = Cell.model_validate(timed)
    seconds = json.loads((out / "trainings" / cell.training_id / "ledger.json").read_text())["train_seconds"]
    assert seconds >= spent["warmup"]["train_seconds"]
    turned = invoke("report", str(out), "--baseline", "sft (FLOPs of warmup)", cwd=place)
    assert "Δ against sft (FLOPs of warmup)" in turned.stdout
    refused = invoke(*arguments, "--match", "warmpu", cwd=place)
    assert refused.returncode == 2
    assert "'warmpu' is not among the methods" in refused.stderr


def test_evaluations_are_logged(finished: tuple[Path, list[str], str]) -> None:
    place, _, _ = finished
    (folder,) = (place / "out" / "trainings").glob("backwards.all.nano.warmup.seed0-*")
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    evaluations = {line["step"]: line["validation"] for line in lines if "validation" in line}
    assert list(evaluations) == [6]  # at its end: it is shorter than eval_every
    for figures in evaluations.values():
        assert {"loss", "loss_direct", "loss_shuffled", "ess", "entropy", "distinct"} < set(figures)
        assert {"overlap_target", "overlap_source", "grad_norm_a", "grad_norm_b", "forced"} < set(figures)


def test_report_needs_the_stored_folder_only(finished: tuple[Path, list[str], str], tmp_path: Path) -> None:
    place, _, _ = finished
    moved = shutil.copytree(
        place / "out", tmp_path / "elsewhere", ignore=shutil.ignore_patterns("warm-starts", "data")
    )
    shown = invoke("report", str(moved), "--format", "md", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("**backwards all, nano · scale mini · 40 test examples · 2 seeds")
    assert "| warmup |" in shown.stdout
    assert "500 swaps" in shown.stdout
    other = invoke("report", str(moved), "--baseline", "frozen", cwd=tmp_path)
    assert "Δ against frozen" in other.stdout


def test_the_stored_spec_runs_again(finished: tuple[Path, list[str], str]) -> None:
    place, _, _ = finished
    (spec,) = (place / "out" / "specs").iterdir()
    backbones = yaml.safe_load(spec.read_text())["backbones"]
    assert backbones[str(place / "my_backbone.py")]["budget"] == {"steps": 6}
    again = invoke("run", "--spec", str(spec), cwd=place)
    assert again.returncode == 0, again.stderr
    assert "All 6 cells are stored already" in again.stdout


def test_an_edited_plugin_meets_no_stale_result(finished: tuple[Path, list[str], str]) -> None:
    place, arguments, _ = finished
    edited = place / "my_method.py"
    text = edited.read_text()
    try:
        edited.write_text(text + "\n# edited\n")
        plan = invoke(*arguments, "--out", "out", "--dry-run", cwd=place)
    finally:
        edited.write_text(text)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.count("to run  backwards.all.nano.frozen") == 2
    assert plan.stdout.count("stored  backwards.all.nano.") == 4
    assert "FLOPs" in plan.stdout
    assert "minutes" in plan.stdout
    assert "MB on disk" in plan.stdout


def test_a_corrupt_cell_is_named_never_used_and_never_deleted(
    finished: tuple[Path, list[str], str], tmp_path: Path
) -> None:
    place, arguments, _ = finished
    shutil.copytree(place / "out", tmp_path / "out")
    victim = next((tmp_path / "out" / "cells").glob("*warmup.seed1*")) / "decode" / "predictions.parquet"
    damaged = bytearray(victim.read_bytes())
    damaged[100] ^= 1
    victim.write_bytes(damaged)
    for command in (["report", str(tmp_path / "out")], [*arguments, "--out", str(tmp_path / "out")]):
        failed = invoke(*command, cwd=place)
        assert failed.returncode == 1  # the other cells are shown
        assert str(victim) in "".join((failed.stdout + failed.stderr).split())
        assert "sft" in failed.stdout and "Traceback" not in failed.stderr
    assert victim.read_bytes() == bytes(damaged)


def broken_method(place: Path, name: str, action: str) -> str:
    path = place / f"{name}.py"
    path.write_text(
        "import os, signal, sys\nfrom warmup_bench.contracts.method import Coefficients, Method\n"
        f"def coefficients(rollout):\n    {action}\n"
        f"METHOD = Method('{name}', '', '', 'sampled', coefficients)\n"
    )
    return str(path)


def failures(out: Path) -> dict[str, dict[str, object]]:
    """By method."""
    return {p.parent.name.split(".")[3]: json.loads(p.read_text()) for p in out.glob("cells/*/failed.json")}


def test_failing_methods_do_not_take_the_others(finished: tuple[Path, list[str], str]) -> None:
    place, arguments, _ = finished
    raising = broken_method(place, "raising", "raise RuntimeError('no such luck')")
    leaving = broken_method(place, "leaving", "sys.exit('not that way')")
    nan = "Coefficients(rollout.lc * 0, rollout.ly * float('nan'))"
    diverging = broken_method(place, "diverging", f"return {nan}")
    arguments = [*arguments, "--method", f"{raising},{leaving},{diverging}", "--seeds", "1", "--workers", "1"]
    arguments += ["--budget", "steps=30", "--set", "warm_start.steps=0"]
    done = invoke(*arguments, "--out", "failing", cwd=place)
    assert done.returncode == 1, done.stdout + done.stderr
    for part in ("no such luck", "not that way", "not finite in 3 of 3 steps", "3 of 6 cells failed"):
        assert part in done.stdout
    assert "chrF++" in done.stdout  # the table of the others
    kept = failures(place / "failing")
    assert {(name, f["stage"], f["error"]) for name, f in kept.items()} == {
        ("raising", "training", "RuntimeError"),
        ("leaving", "training", "SystemExit"),
        ("diverging", "training", "TrainingError"),
    }
    assert "in coefficients" in str(kept["raising"]["traceback"])
    diagnostics = kept["diverging"]["diagnostics"]
    assert isinstance(diagnostics, dict)
    assert diagnostics["skipped_steps"] == 3
    assert [step["grad_norm"] for step in diagnostics["last_steps"]] == 3 * [
        None
    ]  # since the log's last line
    assert len(list((place / "failing" / "cells").glob("*/decode"))) == 3


@pytest.mark.slow
def test_a_method_that_kills_its_process_is_found_and_the_others_go_on(
    finished: tuple[Path, list[str], str],
) -> None:
    place, arguments, _ = finished
    killer = broken_method(place, "killer", "os.kill(os.getpid(), signal.SIGKILL)")
    arguments = [*arguments, "--method", killer, "--seeds", "1", "--workers", "3"]
    done = call(*arguments, "--out", "killing", cwd=place)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 of 4 cells failed" in done.stdout
    kept = failures(place / "killing")
    assert list(kept) == ["killer"]
    assert "killed" in str(kept["killer"]["message"])


BAD = [
    (["run"], "no task was named"),
    (["run", "--task", "wtm"], "Did you mean wmt"),
    (["run", "--task", "wmt", "--method", "warmpu"], "Did you mean warmup"),
    (["run", "--task", "wmt", "--backbone", "mini-t6"], "Did you mean mini-t5"),
    (["run", "--task", "wmt", "--set", "train.batchsize=3"], "train.batch_size"),
    (["run", "--task", "wmt", "--budget", "stepps=3"], "budget.stepps"),
    (["run", "--task", "multi30k", "--scale", "mini"], "no scale 'mini'"),
    (["run", "--task", "wmt", "--scale", "tiny"], "'tiny'"),
    (["run", "--task", "wmt", "--direction", "de-xx"], "no subset 'de-xx'"),
    (["run", "--task", "wmt", "--seeds", "two"], "'two'"),
    (["run", "--task", "wmt", "--spec", "nowhere.yaml"], "nowhere.yaml does not exist"),
    (["run", "--task", "wmt", "--data-dir", "nowhere"], "data folder nowhere does not exist"),
    (["run", "--task", "wmt", "--device", "cuda"], "no CUDA device"),
    (["run", "--task", "multi30k", "--data-dir", "."], "test_2016_flickr"),
    (["run", "--task", "multi30k", "--offline"], "multi30k"),
    (["list", "task"], "Did you mean tasks"),
    (["report", "nowhere"], "nowhere is not a results folder"),
    (["report", ".", "--format", "pdf"], "Formats: text, md"),
]


@pytest.mark.parametrize(
    ("chosen", "match", "decoded"),
    [
        (["sft,warmup,filler"], ("warmup", "filler"), {"warmup", "filler"}),
        (["sft,warmup"], ("warmup",), {"warmup"}),
        (["warmup"], (), {"warmup"}),
        ([], ("warmup", "filler"), {"warmup", "filler"}),
    ],
)
def test_rows_of_methods_that_are_not_chosen_go_with_them(
    tmp_path: Path, chosen: list[str], match: tuple[str, ...], decoded: set[str]
) -> None:
    path = tmp_path / "study.yaml"
    way = [{"beams": 2}]
    content = {
        "task": "wmt",
        "methods": {"sft": {}, "warmup": {"train": {"learning_rate": 0.5}}, "filler": {}},
        "match": ["warmup", "filler"],
        "decodings": {"warmup": way, "filler": way},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    spec = collect_spec({"methods": chosen}, path, [])
    assert (spec.match, set(spec.decodings)) == (match, decoded)
    assert spec.methods["warmup"] == {"train": {"learning_rate": 0.5}}


def test_what_is_asked_for_now_wins_over_single_methods_and_backbones_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    content = {
        "task": "wmt",
        "backbones": {"mini-t5": {"budget": {"steps": 250}, "train": {"batch_size": 8, "dropout": 0.1}}},
        "methods": {
            "sft": {"train": {"learning_rate": 0.003}},
            "warmup": {"train": {"learning_rate": 0.01}, "warmup": {"samples": 8}},
        },
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    assignments = ["train.learning_rate=0.5", "train.batch_size=4", "methods.warmup.train.learning_rate=0.1"]
    spec = collect_spec({"budget": "flops=1e9"}, path, assignments)
    assert spec.budget == {"flops": 1e9}
    assert spec.train == {"learning_rate": 0.5, "batch_size": 4}
    assert spec.backbones == {"mini-t5": {"train": {"dropout": 0.1}}}
    assert spec.methods["sft"] == {"train": {}}
    assert spec.methods["warmup"] == {"train": {"learning_rate": 0.1}, "warmup": {"samples": 8}}


def test_a_list_among_the_assignments_chooses_as_it_does_alone(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    methods = {"sft": {}, "warmup": {"train": {"learning_rate": 0.5}}, "filler": {}}
    path.write_text(yaml.safe_dump({"task": "wmt", "methods": methods}), encoding="utf-8")
    assignments = ["methods=[sft,warmup]", "methods.warmup.budget.steps=5"]
    spec = collect_spec({}, path, assignments)
    assert spec.methods == {"sft": {}, "warmup": {"train": {"learning_rate": 0.5}, "budget": {"steps": 5}}}
    spec = collect_spec({"budget": "steps=3"}, path, assignments)  # an option wins over --set
    assert spec.methods["warmup"] == {"train": {"learning_rate": 0.5}}


@pytest.mark.parametrize(
    "content",
    [{"match": ["warmup"]}, {"methods": "warmup", "match": ["warmup"]}, {"stats": {"baseline": [1]}}],
)
def test_rows_of_methods_go_whatever_form_they_have(tmp_path: Path, content: dict[str, object]) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({"task": "wmt", **content}), encoding="utf-8")
    if "stats" in content:
        with pytest.raises(UserError, match=r"stats\.baseline"):
            collect_spec({"methods": ["sft"]}, path, [])
    else:
        assert collect_spec({"methods": ["sft"]}, path, []).match == ()


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input_gets_one_clear_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMUP_BENCH_CACHE", str(tmp_path / "no-cache"))
    done = invoke(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []  # nothing half-written


@pytest.mark.parametrize("kind", ["tasks", "methods", "backbones", "metrics"])
def test_list_shows_every_plugin_with_its_origin(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    from warmup_bench.cli.listing import list_command
    from warmup_bench.data.registry import KINDS

    list_command(kind)
    shown = capsys.readouterr().out
    for name in KINDS[kind]().names():
        assert f"\n{name} " in shown
    assert shown.count("warmup-bench") >= len(KINDS[kind]().names())


def test_an_unwritable_results_folder_is_found_before_the_first_step(tmp_path: Path) -> None:
    files = write_plugins(tmp_path)
    (tmp_path / "out").write_text("a file")
    arguments = ["run", "--task", files["task"], "--backbone", files["backbone"]]
    failed = invoke(*arguments, "--out", "out", cwd=tmp_path)
    assert failed.returncode == 2
    assert "results folder out is not writable" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["list", "tasks"], ["list", "backbones"], ["version"]]
)
def test_cheap_commands_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    script = (
        "import sys, atexit\n"
        "heavy = {'torch', 'transformers', 'pandas', 'datasets', 'babel', 'sacrebleu'}\n"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules)), file=sys.stderr))\n"
        "sys.argv[0] = 'warmup-bench'\n"
        "from warmup_bench.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "[]"
