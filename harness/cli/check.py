"""``warmup-bench check task``: one line a check, and what to do about it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warmup_bench.check.finding import CheckResult, State
from warmup_bench.contracts.errors import UserError
from warmup_bench.data.registry import tasks

STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def check_command(
    kind: str,
    reference: str,
    scale: str | None,
    subsets: Sequence[str],
    data_dir: Path | None,
    *,
    offline: bool,
) -> int:
    """Check a task, subset by subset; returns the exit code: 0 no failure, 1 some.

    Raises:
        UserError: Another kind than tasks; a task that can't be imported or has no such subset or scale.
    """
    if kind != "task":
        raise UserError(
            f"'{kind}' can't be checked",
            origin="warmup-bench check",
            hint="Use 'warmup-bench check task NAME'.",
        )
    console = Console()
    counts: Counter[State] = Counter()
    with console.status("Loading …") as status:
        from warmup_bench.check.task import check_task
        from warmup_bench.plan.selection import choose_scale, choose_subsets

        card = tasks().load(reference).value.card
        chosen = choose_scale(card, scale)  # type: ignore[arg-type]  # that is what it checks
        for subset in choose_subsets(card, [name for item in subsets for name in item.split(",") if name]):
            console.print(Text(f"{card.name} {subset}, scale {chosen}", style="bold"))
            for finding in check_task(
                reference,
                subset=subset,
                scale=chosen,
                data_dir=data_dir,
                offline=offline,
                started=lambda what: status.update(f"Checking {what} …"),
            ):
                console.print(_line(finding))
                counts[finding.state] += 1
    totals = [Text(f"{counts[state]} {state}", style) for state, style in STYLES.items() if counts[state]]
    console.print(Text(", ").join(totals))
    return 1 if counts["failed"] else 0


def _line(finding: CheckResult) -> Table:
    grid = Table.grid(padding=(0, 2), expand=False)
    grid.add_column(width=max(map(len, STYLES)))
    grid.add_column(width=16, overflow="fold")
    grid.add_column()
    message = Text(finding.message)
    if finding.advice:
        message.append(f"\n→ {finding.advice}", style="bold")
    grid.add_row(Text(finding.state, style=STYLES[finding.state]), finding.check, message)
    return grid
