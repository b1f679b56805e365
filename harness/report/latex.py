"""Tables as LaTeX with booktabs: floats to ``\\input`` into a paper."""

import re
from collections.abc import Sequence

from harness.report.lines import COST_HEADERS, Line, TextCell, cost_lines, score_lines
from harness.report.numbers import SUPERSCRIPT
from harness.report.table import Table
from harness.report.wording import heading

PACKAGES = r"\usepackage{booktabs,graphicx}"
"""What the preamble of a document needs."""
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "–": "--",
}
_NORMAL = {raised: chr(digit) for digit, raised in SUPERSCRIPT.items()}
_POWER = re.compile(r"10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)")
_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def latex(tables: Sequence[Table]) -> str:
    """Each table as a float, its costs and footnotes under it; a wide one is shrunk to the line's width."""
    return f"% The preamble needs {PACKAGES}\n" + "\n".join(_float(table) for table in tables)


def escaped(text: str) -> str:
    """Text from outside, nothing of which is markup."""
    text = _POWER.sub(lambda found: f"\ue000{found[1]}\ue001", text)
    text = "".join(SPECIAL.get(character, character) for character in text)
    return re.sub("\ue000(.*?)\ue001", lambda found: f"$10^{{{found[1].translate(_NORMAL)}}}$", text)


def _float(table: Table) -> str:
    notes = table.notes
    signatures = [f"{escaped(names)}: {_breakable(value)}" for names, value in notes.signatures]
    data = [f"{escaped(names)}: {escaped(value)}" for names, value in notes.data]
    said = [
        *map(escaped, (*table.findings, table.scope, *notes.sentences)),
        f"Signatures: {'; '.join(signatures)}.",
        f"Test sets: {'; '.join(data)}.",
    ]
    return "\n".join(
        [
            r"\begin{table}[tp]",
            r"\centering",
            rf"\caption{{{escaped(heading(table))}}}",
            rf"\label{{tab:{table.name}}}",
            r"\smallskip",
            *_tabular([(column.name,) for column in table.columns], list(score_lines(table))),
            "",
            r"\medskip",
            *_costs(table),
            "",
            r"\medskip",
            r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
            *said,
            r"\end{minipage}",
            r"\end{table}",
            "",
        ]
    )


def _costs(table: Table) -> list[str]:
    return _tabular(COST_HEADERS, list(cost_lines(table)))


def _tabular(headers: Sequence[tuple[str, ...]], lines: Sequence[Line]) -> list[str]:
    width = len(headers) + 1
    rows = [
        _FIT,
        rf"\begin{{tabular}}{{@{{}}l{'r' * len(headers)}@{{}}}}",
        r"\toprule",
        *(rf" & {' & '.join(map(escaped, names))} \\" for names in zip(*headers, strict=True)),
        r"\midrule",
    ]
    for i, line in enumerate(lines):
        if line.kind == "group":
            if i:
                rows.append(r"\midrule")
            rows.append(rf"\multicolumn{{{width}}}{{@{{}}l}}{{\textit{{{escaped(line.label)}}}}} \\")
            continue
        if line.kind == "score" and i and lines[i - 1].kind == "interval":
            rows.append(r"\addlinespace")
        label = escaped(line.label)
        if line.kind in ("gain", "interval"):
            label = rf"\quad\footnotesize {label}"
        rows.append(rf"{label} & {' & '.join(_cell(line, cell) for cell in line.cells)} \\")
    return [*rows, r"\bottomrule", r"\end{tabular}}"]


def _cell(line: Line, cell: TextCell) -> str:
    if cell.missing:
        return rf"\textit{{{escaped(cell.text)}}}"
    if line.kind == "gain" and cell.text:
        number, p = cell.text.split(" ", 1)
        shown = rf"$\mathbf{{{number}}}$" if cell.bold else f"${number}$"
        return rf"{shown} {{\scriptsize ${_exponent(p)}$}}"
    if line.kind == "interval" and cell.text:
        return rf"{{\scriptsize ${cell.text}$}}"
    return escaped(cell.text)


def _exponent(text: str) -> str:
    """``2e-06`` as a power of ten."""
    return re.sub(r"(\d)e([+-]\d+)", lambda found: rf"{found[1]}\cdot10^{{{int(found[2])}}}", text)


def _breakable(signature: str) -> str:
    """A signature in typewriter that may break after a bar."""
    return rf"\texttt{{{escaped(signature)}}}".replace(r"\textbar{}", r"\textbar{}\allowbreak{}")
