"""The command line inside the tests' own process, so that the heavy imports are paid for once."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from warmup_bench.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """What a command has returned and printed."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def words(self) -> str:
        """What it printed, without its line breaks and columns."""
        return " ".join(self.stdout.split())


def invoke(*arguments: str, cwd: Path, site: Path | None = None) -> Done:
    """Run ``warmup-bench`` with these arguments, with a folder of installed packages on the path if given."""
    out, err = io.StringIO(), io.StringIO()
    variables = {key: value for key, value in os.environ.items() if key != "WARMUP_BENCH_DATA"}
    variables |= {"COLUMNS": "160", "NO_COLOR": "1"}
    with (
        mock.patch.dict(os.environ, variables, clear=True),
        mock.patch.object(sys, "argv", ["warmup-bench", *arguments]),
        mock.patch.object(sys, "path", [str(site), *sys.path] if site else sys.path),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _modules_kept(site),
    ):
        try:
            main()
        except SystemExit as exit_:
            code = exit_.code
        else:
            code = 0
    return Done(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _modules_kept(site: Path | None) -> Iterator[None]:
    """Forget the modules of that folder again."""
    yield
    if site is not None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(site)):
                del sys.modules[name]
