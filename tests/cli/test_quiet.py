"""No library's warning reaches a user: every command with warnings as errors, in processes of their own.

Deprecations that are meant for developers alone stay hidden, as Python has it. A worker takes the filters of
the process that starts it.
"""

import os
import subprocess
import sys
from pathlib import Path

from plugin_files import BACKBONE, TASK, write_plugins

ROOT = Path(__file__).parents[2]
SHOWN = ("FutureWarning", "UserWarning", "RuntimeWarning", "SyntaxWarning", "ImportWarning")
COMMANDS = """
import sys
from harness.cli import main

for line in sys.stdin.read().splitlines():
    sys.argv = ["warmup-bench", *line.split()]
    print("$", line, file=sys.stderr)
    try:
        main()
    except SystemExit as stopped:
        assert not stopped.code, line
"""
LLAMA = (
    BACKBONE.replace("nano", "nano-llama")
    .replace("encoder-decoder", "decoder-only")
    .replace(
        '{"model_type": "t5", "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1,\n'
        '            "num_decoder_layers": 1, "num_heads": 2, "tie_word_embeddings": True}',
        '{"model_type": "llama", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,\n'
        '            "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512}',
    )
)


def quietly(commands: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run commands one after the other in one process; stderr has their names too."""
    environment = {key: value for key, value in os.environ.items() if key != "WARMUP_BENCH_DATA"}
    environment |= {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
    filters = [part for name in SHOWN for part in ("-W", f"error::{name}")]
    return subprocess.run(
        [sys.executable, *filters, "-c", COMMANDS],
        input="\n".join(commands),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_no_command_warns(tmp_path: Path) -> None:
    files = write_plugins(tmp_path)
    whole = TASK.replace('licence="none", citation="none"', 'licence="CC0-1.0", citation="made here"')
    Path(files["task"]).write_text(whole.replace('("chrf++", "bleu")', '("chrf++",)'))
    (tmp_path / "llama.py").write_text(LLAMA)
    run = f"run --task {files['task']} --backbone {files['backbone']},llama.py --seeds 1 --out out"
    run += " --method sft,warmup --set stats.randomizations=99 --set stats.resamples=99"
    done = quietly(
        [
            f"{run} --dry-run",
            f"{run} --workers 2",
            f"{run} --workers 1 --set decode.beams=2",
            f"check task {files['task']}",
            "report out --format html --plots plots",
            "report out --format md",
            "compare out:sft out:warmup --where backbone=nano --where decode.beams=1",
        ],
        tmp_path,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("$ ")]
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert told == ["12 files in plots"]
    assert "arning" not in done.stdout


def test_the_puzzles_are_made_without_a_warning_even_when_first_compiled(tmp_path: Path) -> None:
    """A package of reasoning-gym's holds what Python warns of whenever it compiles it."""
    code = "from tasks.mini import puzzles; next(puzzles.syllogisms(1, 0)); print('made')"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "made\n", "")
