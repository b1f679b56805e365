"""Tables as LaTeX with booktabs: floats to ``\\input`` into a paper."""

import re
from collections.abc import Sequence
from itertools import pairwise

from warmup_bench.contracts.redact import visible
from warmup_bench.report.failed import Failed
from warmup_bench.report.lines import (
    COST_HEADERS,
    TextCell,
    TextLine,
    cost_lines,
    published_headers,
    published_lines,
    score_lines,
)
from warmup_bench.report.numbers import SUPERSCRIPT
from warmup_bench.report.table import Table
from warmup_bench.report.wording import heading

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
    "≤": r"$\le$",
}
_NORMAL = {raised: chr(digit) for digit, raised in SUPERSCRIPT.items()}
_POWER = re.compile(r"10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)")
MOST_COLUMNS = 5
"""Columns of one float: with more, the line is too narrow for scores, p values and intervals."""
_FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def latex(tables: Sequence[Table], failed: Sequence[Failed] = ()) -> str:
    """Each table as a float with its footnotes, in several where it has many columns; its costs as another.

    What was found stands in comments: an author says it in the text. So do the cells that failed.
    """
    lost = "".join(f"% {visible(cell.sentence)}\n" for cell in failed)
    return f"% The preamble needs {PACKAGES}\n{lost}" + "\n".join(_floats(table) for table in tables)


def escaped(text: str) -> str:
    """Text from outside, nothing of which is markup."""
    text = _POWER.sub(lambda match: f"\ue000{match[1]}\ue001", text)
    text = "".join(SPECIAL.get(character, character) for character in text)
    return re.sub("\ue000(.*?)\ue001", lambda match: f"$10^{{{match[1].translate(_NORMAL)}}}$", text)


def _floats(table: Table) -> str:
    columns, lines = table.columns, list(score_lines(table))
    parts = -(-len(columns) // MOST_COLUMNS)
    ends = [round(len(columns) * part / parts) for part in range(parts + 1)]
    blocks = [f"% {' '.join(line.split())}" for line in (*table.findings, table.scope)]
    for part, (start, end) in enumerate(pairwise(ends)):
        place = f" (part {part + 1} of {parts})" if parts > 1 else ""
        of_part = [TextLine(line.kind, line.label, line.cells[start:end]) for line in lines]
        blocks += _float(
            heading(table) + place,
            f"{table.name}-{part + 1}" if part else table.name,
            _tabular([(column.name,) for column in columns[start:end]], of_part),
            _footnotes(table) if part == parts - 1 else [],
        )
    if published := list(published_lines(table)):
        headers = [(header,) for header in published_headers(table)]
        caption = f"The paper's gains and those of Table~\\ref{{tab:{table.name}}}"
        blocks += _float(None, f"{table.name}-published", _tabular(headers, published), [], caption)
    caption = f"What the rows of Table~\\ref{{tab:{table.name}}} cost"
    costs = _tabular(COST_HEADERS, list(cost_lines(table)))
    blocks += _float(None, f"{table.name}-cost", costs, [], caption)
    return "\n".join([*blocks, ""])


def _float(
    title: str | None, label: str, tabular: Sequence[str], footnotes: Sequence[str], caption: str = ""
) -> list[str]:
    """One table environment; ``caption`` is LaTeX already."""
    return [
        r"\begin{table}[tp]",
        r"\centering\footnotesize",
        rf"\caption{{{caption if title is None else escaped(title)}}}",
        rf"\label{{tab:{label}}}",
        r"\smallskip",
        *tabular,
        *footnotes,
        r"\end{table}",
    ]


def _footnotes(table: Table) -> list[str]:
    notes = table.notes
    signatures = [f"{escaped(names)}: {_breakable(value)}" for names, value in notes.signatures]
    data = [f"{escaped(names)}: {escaped(value)}" for names, value in notes.data]
    return [
        "",
        r"\medskip",
        r"\begin{minipage}{\linewidth}\scriptsize\raggedright",
        *map(escaped, notes.sentences),
        f"Signatures: {'; '.join(signatures)}.",
        f"Test sets: {'; '.join(data)}.",
        r"\end{minipage}",
    ]


def _tabular(headers: Sequence[tuple[str, ...]], lines: Sequence[TextLine]) -> list[str]:
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
        if line.kind == "score" and i and lines[i - 1].kind in ("interval", "seeds"):
            rows.append(r"\addlinespace")
        label = escaped(line.label)
        if line.kind in ("gain", "interval", "seeds"):
            label = rf"\quad\footnotesize {label}"
        rows.append(rf"{label} & {' & '.join(_cell(line, cell) for cell in line.cells)} \\")
    return [*rows, r"\bottomrule", r"\end{tabular}}"]


def _cell(line: TextLine, cell: TextCell) -> str:
    if cell.missing:
        return rf"\textit{{{escaped(cell.text)}}}"
    if line.kind == "gain" and cell.text:
        number, p = cell.text.split(" ", 1)
        mark = {"*": "^{*}", "°": r"^{\circ}"}.get(number[-1], "")
        number = number.rstrip("*°")
        difference = rf"$\mathbf{{{number}}}{mark}$" if cell.bold else f"${number}{mark}$"
        return rf"{difference} {{\scriptsize ${_exponent(p)}$}}"
    if line.kind in ("interval", "seeds") and cell.text not in ("", "–"):
        return rf"{{\scriptsize ${_exponent(cell.text)}$}}"
    if line.kind == "published" and cell.text.startswith(("+", "-", "[")):
        return f"${cell.text}$"
    return escaped(cell.text)


def _exponent(text: str) -> str:
    """``2e-06`` as a power of ten."""
    text = text.replace("≤", r"\le ")
    return re.sub(r"(\d)e([+-]\d+)", lambda match: rf"{match[1]}\cdot10^{{{int(match[2])}}}", text)


def _breakable(signature: str) -> str:
    """A signature in typewriter that may break after a bar."""
    return rf"\texttt{{{escaped(signature)}}}".replace(r"\textbar{}", r"\textbar{}\allowbreak{}")
