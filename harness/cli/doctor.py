"""``warmup-bench doctor``: what is on this machine, and what is not."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

MARKS = {"ok": ("✓", "green"), "missing": ("✗", "bold red"), "absent": ("–", "yellow")}
LEGEND = "✓ there   – not there: only what is named needs it   ✗ no run can do without it"


def doctor_command(out: Path) -> int:
    """Print the table; returns the exit code (0, or 1 where a run can't do without what is missing)."""
    console = Console()
    with console.status("Looking around …"):
        from warmup_bench.models.load import quiet_transformers
        from warmup_bench.plan.preflight import machine

        quiet_transformers()
        findings = list(machine(out))
    table = Table("", "what", "found", header_style="bold", box=None, pad_edge=False)
    for finding in findings:
        mark, style = MARKS[finding.state]
        detail = Text(finding.detail)
        if finding.hint:
            detail.append(f"\n{finding.hint}", style="dim")
        table.add_row(Text(mark, style=style), Text(finding.what), detail)
    console.print(table)
    console.print(Text(LEGEND, style="dim"))
    return int(any(finding.state == "missing" for finding in findings))
