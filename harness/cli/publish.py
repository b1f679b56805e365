"""``warmup-bench publish``: a study's numbers for a repository, without texts and weights."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from warmup_bench.contracts.redact import visible
from warmup_bench.store.publish import publish
from warmup_bench.store.study import NUMBERS

WRITTEN = (NUMBERS, "specs")


def publish_command(runs: Sequence[Path], dest: Path) -> int:
    """Publish and say what was done; returns the exit code (0 all cells, 1 some were left out).

    Raises:
        UserError: As :func:`warmup_bench.store.publish.publish`.
    """
    console = Console()
    with console.status("Reading what is stored …"):
        outcome = publish(runs, dest)
    for folder, why in outcome.left_out.items():
        console.print(Text(visible(f"left out: {folder}: {why}"), style="yellow"), soft_wrap=True)
    left_out = f", {len(outcome.left_out)} left out" if outcome.left_out else ""
    console.print(
        Text(
            f"Published in {dest}: {outcome.added} of {outcome.cells} finished cells, "
            f"{outcome.cells - outcome.added} were there already{left_out}; {_size(dest):,} bytes in "
            f"{'/, '.join(WRITTEN)}/. Numbers only: no text of an example and no weights."
        )
    )
    console.print(Text(f"Next: warmup-bench report {shlex.quote(str(dest))}", style="bold"), soft_wrap=True)
    return 1 if outcome.left_out else 0


def _size(dest: Path) -> int:
    files = (path for name in WRITTEN for path in (dest / name).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files)
