"""``warmup-bench data build``: the files of a task whose data are made on the user's machine."""

from pathlib import Path

from rich.console import Console

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import Task
from warmup_bench.data.registry import tasks


def build_command(name: str, out: Path | None) -> None:
    """Build the data of a task and say what to do next.

    Raises:
        UserError: No such task, nothing to build for it, or the build's own.
    """
    task: Task = tasks().load(name).value
    if task.build is None:
        raise UserError(
            f"task '{task.card.name}' has nothing to build",
            origin="warmup-bench data build",
            hint="'warmup-bench list tasks' tells how the data of each task come.",
        )
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder", origin="--out", hint="Name a folder.")
    console = Console(highlight=False, markup=False)
    try:
        folder = task.build(out, console.print)
    except OSError as error:
        raise UserError(
            f"can't write the data: {error.strerror or error}", origin="--out", hint="Choose another --out."
        ) from error
    data_dir = f" --data-dir {out}" if out is not None else ""
    console.print(f"Built in {folder}.", soft_wrap=True)
    console.print(f"Next: warmup-bench run --task {task.card.name}{data_dir}", soft_wrap=True)
