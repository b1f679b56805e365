import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from stored import STATS, bleu, store_cell

from warmup_bench.report.build import build_tables
from warmup_bench.report.data import COLUMNS
from warmup_bench.report.latex import PACKAGES, escaped
from warmup_bench.report.lines import COST_HEADERS, cost_lines, score_lines
from warmup_bench.report.numbers import count, flops, format_p, memory, seconds, times
from warmup_bench.report.render import RENDERERS, print_tables
from warmup_bench.report.table import Gain, MeanScore, Table, gain_of
from warmup_bench.store.results import read_results

HOSTILE = r"a|b_&%$#{}~^\<i>*x*`"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    """Two directions, two backbones, a method with a hostile name, and a hole."""
    out = tmp_path_factory.mktemp("runs")
    for subset in ("de-en", "en-de"):
        for backbone in ("nano", "pico_large"):
            for seed in (0, 1):
                where: dict[str, Any] = {"subset": subset, "backbone": backbone, "data": subset}
                store_cell(out, "sft", seed, 20 + seed, **where)
                if subset == "de-en" or backbone == "nano":
                    store_cell(out, HOSTILE, seed, 10, **where, flop=4e12)
                store_cell(out, "near", seed, 19 + seed, **where)
    return build_tables(read_results(out), STATS)


@pytest.fixture(scope="module")
def wide(tables: list[Table], tmp_path_factory: pytest.TempPathFactory) -> list[Table]:
    """The same, and a table of eight directions."""
    out = tmp_path_factory.mktemp("wide")
    for number in range(8):
        for method in ("sft", HOSTILE):
            where = {"subset": f"d{number}-en", "data": f"{number:016}"}
            store_cell(out, method, 0, 20 - number, names=("bleu",), **where)  # type: ignore[arg-type]
    return [*tables, *build_tables(read_results(out), STATS)]


def terminal(tables: list[Table], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    print_tables(tables, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_terminal_table_fits_and_cuts_no_number(tables: list[Table], width: int) -> None:
    text = terminal(tables, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for table in tables:
        for line in (*score_lines(table), *cost_lines(table)):
            for cell in line.cells:
                assert cell.text in text


def test_scores_stand_in_one_piece_at_80_columns(tables: list[Table]) -> None:
    lines = terminal(tables[:1], 80).splitlines()
    assert sum(bool(re.search("de-en +en-de +average", line)) for line in lines) == 1
    heads = [line for line in lines if re.search("trainable.*training.*warmup.*decode.*peak", line)]
    assert len(heads) == 1


def test_missing_is_never_0(tables: list[Table]) -> None:
    lines = [line for line in score_lines(tables[0]) if line.label == HOSTILE]
    assert [[cell.text for cell in line.cells] for line in lines][1][1:] == ["missing", "missing"]
    row = next(r for r in csv.DictReader(io.StringIO(RENDERERS["csv"](tables))) if r["missing"])
    assert row["score"] == row["difference"] == row["p"] == row["scores"] == ""
    for name in ("md", "latex"):
        assert "missing" in RENDERERS[name](tables)
    assert "pico\\_large · " in RENDERERS["md"](tables)


def test_what_two_seeds_show_is_marked_as_of_these_models_and_never_bold(tables: list[Table]) -> None:
    for table in tables:
        shown: dict[str, list[str]] = {}
        for line in score_lines(table):
            if line.kind == "score":
                label = line.label
            if line.kind == "gain":
                assert not any(cell.bold for cell in line.cells)
                shown.setdefault(label, []).extend(cell.text for cell in line.cells if cell.text)
        assert all("° p" in text for text in shown[HOSTILE])
        assert not any("°" in text or "*" in text for text in shown["near"])
    text = RENDERERS["md"](tables)
    assert re.findall(r"\*\*[+-]", text) == [] and text.count("° p") == sum(
        gain.finding.reach == "these models"
        for table in tables
        for group in table.groups
        for row in group.rows
        for gain in map(gain_of, row.cells.values())
        if gain
    )


def test_what_holds_for_other_seeds_is_bold_and_marked_in_every_rendering(tmp_path: Path) -> None:
    for seed in range(6):
        store_cell(tmp_path, "sft", seed, 20)
        store_cell(tmp_path, "warmup", seed, 10)
    built = build_tables(read_results(tmp_path), STATS)
    difference = f"{bleu(10) - bleu(20):+.2f}"
    assert f"**{difference}\\* p=" in RENDERERS["md"](built)
    assert rf"$\mathbf{{{difference}}}^{{*}}$" in RENDERERS["latex"](built)
    assert f"{difference}* p=" in terminal(built, 80)
    assert "p, other seeds" in terminal(built, 80)
    for name in ("md", "latex"):
        assert "p=0.031" in RENDERERS[name](built)
    row = next(r for r in csv.DictReader(io.StringIO(RENDERERS["csv"](built))) if r["difference"])
    assert (row["survives_correction"], row["holds_for_other_seeds"], row["p_seeds"]) == (
        "True",
        "True",
        "0.03125",
    )
    findings = built[0].findings
    for name in ("md", "latex"):
        assert findings[0] in RENDERERS[name](built)
    assert findings[0] in " ".join(terminal(built, 200).split())


def test_markdown_is_whole_whatever_a_name_holds(tables: list[Table]) -> None:
    text = RENDERERS["md"](tables)
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (len(COST_HEADERS) + 2, 5)
    assert "<i>" not in text
    assert f"| sft | {bleu(20.0) / 2 + bleu(21) / 2:.2f} ± " in text
    assert "`nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp" in text
    assert "de-en: de-en, 30 examples" in text  # name and fingerprint of the data


def test_words_are_a_readers_and_no_class_of_ours(tables: list[Table]) -> None:
    for name in ("md", "latex"):
        text = RENDERERS[name](tables)
        assert "Score: mean over seeds" in text
        assert re.findall(r"\b[A-Z][a-z]+[A-Z][a-z]\w*", text) == []


def test_csv_has_every_number_in_full(tables: list[Table]) -> None:
    rows = list(csv.DictReader(io.StringIO(RENDERERS["csv"](tables))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(len(t.columns) * len(g.rows) for t in tables for g in t.groups)
    records = {(r["table"], r["group"], r["method"], r["column"]): r for r in rows}
    for table in tables:
        for group in table.groups:
            for row in group.rows:
                for column in table.columns:
                    record = records[table.name, group.name, row.method, column.key]
                    cell = row.cells[column.key]
                    if not isinstance(cell, MeanScore):
                        continue
                    assert float(record["score"]) == cell.mean
                    assert [float(v) for v in record["scores"].split()] == list(cell.values)
                    if isinstance(cell.gain, Gain):
                        assert float(record["p"]) == cell.gain.comparison.p_value
                        assert float(record["p_corrected"]) == cell.gain.corrected_p
                        assert float(record["ci_low"]) == cell.gain.comparison.low
                        assert record["test"] == cell.gain.comparison.test


def test_json_is_the_whole_model(tables: list[Table]) -> None:
    content = json.loads(RENDERERS["json"](tables))
    assert content["schema_version"] == 1
    for table, read in zip(tables, content["tables"], strict=True):
        assert read["findings"] == list(table.findings)
        for group, other in zip(table.groups, read["groups"], strict=True):
            for row, stored in zip(group.rows, other["rows"], strict=True):
                assert stored["method"] == row.method
                for key, cell in row.cells.items():
                    if isinstance(cell, MeanScore):
                        assert stored["cells"][key]["mean"] == cell.mean
                        if isinstance(cell.gain, Gain):
                            got = stored["cells"][key]["gain"]["comparison"]
                            assert got["difference"] == cell.gain.comparison.difference
                    else:
                        assert stored["cells"][key] == {"missing": cell.reason}


def test_latex_takes_text_as_text(tables: list[Table]) -> None:
    assert escaped("50% of a_b & $x^2$ {~} \\o #1") == (
        r"50\% of a\_b \& \$x\textasciicircum{}2\$ \{\textasciitilde{}\} \textbackslash{}o \#1"
    )
    assert escaped("2.76·10¹⁰ × 3 ± 1") == r"2.76$\cdot$$10^{10}$ $\times$ 3 $\pm$ 1"
    text = RENDERERS["latex"](tables)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2 * len(tables)  # scores and costs
    assert all(line.startswith("%") for line in text.splitlines() if "training FLOPs: better" in line)
    assert r"\toprule" in text
    assert r"\textit{pico\_large}" in text


def test_a_wide_table_is_several_floats(wide: list[Table]) -> None:
    text = RENDERERS["latex"](wide[2:3])
    assert re.findall(r"\\label\{(.*?)\}", text) == [f"tab:t-mini-bleu{end}" for end in ("", "-2", "-cost")]
    heads = [line for line in text.splitlines() if re.match(r" & d\d", line)]
    assert [line.count("&") for line in heads] == [4, 5]
    assert text.count("(part 1 of 2)") == 1
    assert text.count("Test sets:") == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize("fonts", ["", r"\usepackage[T1]{fontenc}"])
def test_latex_compiles(wide: list[Table], tmp_path: Path, fonts: str) -> None:
    (tmp_path / "tables.tex").write_text(RENDERERS["latex"](wide), encoding="utf-8")
    document = (
        rf"\documentclass{{article}}{fonts}{PACKAGES}\begin{{document}}\input{{tables}}\end{{document}}"
    )
    (tmp_path / "paper.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Overfull" not in done.stdout
    assert "Float too large" not in done.stdout
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1.000"), (0.0503, "0.050"), (0.001, "0.001"), (0.0001, "0.0001"), (2e-6, "2e-06")]
)
def test_a_p_value_is_never_shown_as_0(p: float, text: str) -> None:
    assert format_p(p) == text


def test_numbers_are_short_and_keep_their_size() -> None:
    assert (flops(0), flops(5.444e11), flops(1)) == ("0", "5.44·10¹¹", "1.00·10⁰")
    counts = {0: "0", 812: "812", 999.6: "1.00k", 12_345: "12.3k", 1_164_800: "1.16M", 7.5e9: "7.50G"}
    assert {value: count(value) for value in counts} == counts
    durations = {0.05: "0.1 s", 599.9: "599.9 s", 600: "10.0 min", 36_000: "10.0 h", 9e5: "10.4 d"}
    assert {value: seconds(value) for value in durations} == durations
    assert [memory(v) for v in (812e6, 999.9e6, 1.44e9)] == ["812 MB", "1.00 GB", "1.44 GB"]
    assert (times(4.731), times(None)) == ("4.73×", "–")
