"""docs/cluster.md: the plans that it shows are what its commands print."""

import re
from pathlib import Path

from command import invoke
from warmup_bench.cli.reproduce import hours
from warmup_bench.comparison.paper import paper_table_names, read_lengths, read_paper_table
from warmup_bench.plan.costs import Device
from warmup_bench.plan.forecast import forecast
from warmup_bench.report.numbers import flops

PAGE = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")


def test_the_costs_are_what_the_command_counts() -> None:
    options = re.search(r"--device-tflops (\d+) --utilisation ([\d.]+)", PAGE)
    assert options is not None
    device = Device(float(options[1]), float(options[2]))
    for name in paper_table_names():
        (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        counted = forecast(read_paper_table(name, "paper").spec, read_lengths(name), device)
        shown = (str(counted.cells), flops(counted.total.total), hours(device.hours(counted.total)))
        assert [cell.strip() for cell in row.split("|")[2:6]] == [*shown, f"{counted.disk / 1e9:.1f} GB"]


def test_the_command_of_the_costs_prints_them(tmp_path: Path) -> None:
    loop = re.search(r"^for table in (.*?); do\n  warmup-bench (.*?)\ndone$", PAGE, flags=re.M)
    assert loop is not None
    assert tuple(loop[1].split()) == paper_table_names()
    done = invoke(*loop[2].replace("$table", "logic").split(), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = next(line for line in PAGE.splitlines() if line.startswith("| `logic` |")).split("|")
    assert re.search(
        rf"^ all +{re.escape(shown[3].strip())} +{re.escape(shown[4].strip())} *$", done.stdout, re.M
    )


def test_the_plan_of_a_shard_is_what_is_printed(tmp_path: Path) -> None:
    found = re.search(r"from `warmup-bench (run [^`]*)`:\n\n```text\n(.*?)\n```", PAGE, flags=re.S)
    assert found is not None
    done = invoke(*found[1].split(), "--offline", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert found[2] in done.words
