"""No library's warning reaches a user: commands with warnings as errors.

Deprecations that are meant for developers alone stay hidden, as Python has it. What workers in processes of
their own say is looked at in test_cli.py, where a run has two.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from command import invoke
from plugin_files import BACKBONE, TASK, write_plugins

ROOT = Path(__file__).parents[2]
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


@pytest.mark.filterwarnings("error::FutureWarning", "error::UserWarning", "error::RuntimeWarning")
def test_no_command_warns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = write_plugins(tmp_path)
    whole = TASK.replace('licence="none", citation="none"', 'licence="CC0-1.0", citation="made here"')
    Path(files["task"]).write_text(whole.replace('("chrf++", "bleu")', '("chrf++",)'))
    (tmp_path / "llama.py").write_text(LLAMA)
    run = ["run", "--task", files["task"], "--backbone", f"{files['backbone']},llama.py", "--seeds", "1"]
    run += ["--out", "out", "--workers", "1", "--method", "sft,warmup"]
    run += ["--set", "stats.randomizations=99"]
    plots = "12 files in plots\n"
    for arguments, told in (
        ([*run, "--dry-run"], ""),
        (run, ""),
        ([*run, "--set", "decode.beams=2"], ""),
        (["check", "task", files["task"]], ""),
        (["report", "out", "--format", "html", "--plots", "plots"], plots),
        (["report", "out", "--format", "md"], ""),
        (["compare", "out:sft", "out:warmup", "--where", "backbone=nano", "--where", "decode.beams=1"], ""),
    ):
        done = invoke(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == told, arguments
        assert not re.search("Warning|deprecated", done.stdout)
    written = capfd.readouterr()  # by libraries that have kept the real streams
    assert (written.out, written.err) == ("", "")


def test_the_puzzles_are_made_without_a_warning_even_when_first_compiled(tmp_path: Path) -> None:
    """A package of reasoning-gym's holds what Python warns of whenever it compiles it."""
    code = "from tasks.mini import puzzles; next(puzzles.syllogisms(1, 0)); print('made')"
    done = subprocess.run(
        [sys.executable, "-W", "error::SyntaxWarning", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "made\n", "")
