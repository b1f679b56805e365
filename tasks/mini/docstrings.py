"""Summaries and bodies of the documentation strings of installed packages.

PEP 257: the first paragraph of a docstring is its summary line, the rest its body. Files are parsed with
:mod:`ast`, never imported; what is not installed is skipped.
"""

import ast
import importlib.util
import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from warmup_bench.tasks.mini.kept import kept

BODY_WORDS = 60
SUMMARY_WORDS = range(4, 26)
MIN_BODY_WORDS = 15
READ_CHARS = 2500  # of a body, before cleaning: far more than 60 words
MAX_BYTES_A_DOCSTRING = 2500
"""Files with less documentation are not parsed: 3/4 of the examples in 3/5 of the time."""

# Package -> sub-folders to read ("" is the package's own level, "**" everything). Those of torch and
# transformers have the most docstrings a second of parsing; transformers' models repeat one another.
SOURCES: dict[str, tuple[str, ...]] = {
    "python": ("**",),
    "numpy": ("**",),
    "pandas": ("**",),
    "torch": ("ao", "autograd", "cuda", "distributed", "distributions", "fx", "nn", "optim", "utils"),
    "transformers": ("", "data", "generation", "integrations", "loss", "pipelines", "utils"),
}
_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "testing", "_testing", "__pycache__"}
_SKIPPED |= {"idlelib", "lib2to3", "turtledemo", "pydoc_data"}


@dataclass(frozen=True, slots=True)
class Documented:
    """One docstring: the file it stands in (``numpy/linalg/_linalg.py``), its summary and its body."""

    module: str
    summary: str
    body: str


# Finding ----------------------------------------------------------------------------------------------


def _root(package: str) -> Path | None:
    """Folder of an installed package, without importing it; ``python`` is the standard library."""
    if package == "python":
        return Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    return Path(locations[0]) if locations else None


def _files(root: Path, folders: tuple[str, ...]) -> Iterator[Path]:
    for folder in folders:
        for here, below, names in os.walk(root / folder.replace("**", "")):
            below[:] = sorted(set(below) - _SKIPPED) if folder else []
            yield from (Path(here, name) for name in sorted(names) if name.endswith(".py"))


def _docstrings(path: Path) -> Iterator[str]:
    """Docstrings of the module, its classes and functions, in order; none of a sparsely documented file."""
    source = path.read_bytes()
    if source.count(b'"""') * MAX_BYTES_A_DOCSTRING < 2 * len(source):
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # templates and files in other encodings
    stack: list[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef] = [tree]
    while stack:
        node = stack.pop()
        if text := ast.get_docstring(node):
            yield text
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        stack += [child for child in reversed(node.body) if isinstance(child, kinds)]


# Cleaning ---------------------------------------------------------------------------------------------

_FENCE = re.compile(r"```.*?(```|\Z)", re.S)
_UNDERLINE = re.compile(r"^\s*([-=~^*#])\1{2,}\s*$", re.M)
_BULLET = re.compile(r"^([-*+]|\d+[.)]) ")
_DROPPED_SECTION = re.compile(r"^(examples?|see also|references|doctests?)\s*:{0,2}$", re.I)
_SECTION = re.compile(
    r"^((other )?parameters|(keyword )?arg(ument)?s|attributes|methods|notes?|raises|returns?|"
    r"warn(ing)?s|yields)\s*:{0,2}$",
    re.I,
)
_INLINE = (
    (re.compile(r"</?Tip[^>]*>"), " "),  # of transformers
    (re.compile(r":[\w:+.-]+:`[~!]?([^`<]+?)(\s*<[^`>]*>)?`"), r"\1"),  # :func:`~torch.add`
    (re.compile(r"\[`+[~!]?([^`\]]+)`+\](\([^)]*\))?"), r"\1"),  # [`Trainer`]
    (re.compile(r"``(.+?)``"), r"\1"),
    (re.compile(r"`+[~!]?([^`<]+?)(\s*<[^`>]*>)?`+_*"), r"\1"),  # ``x``, `text <address>`_
    (re.compile(r":(?:param|arg|keyword|type)\s+([^:]+):"), r"\1:"),
    (re.compile(r":(?:returns?|rtype):"), "Returns:"),
    (re.compile(r":raises?\s+([^:]+):"), r"Raises \1:"),
    (re.compile(r"\*{1,2}([\w.]+(?: [\w.]+)*)\*{1,2}"), r"\1"),  # emphasis
    (re.compile(r"\s+"), " "),
)


def _inline(text: str) -> str:
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return text.strip()


def plain(text: str) -> str:
    """Turn reStructuredText, numpydoc or Markdown of a docstring's body into one line of plain text.

    Dropped: code (fences, doctests, literal blocks), directives, tables, underlines, and the sections
    Examples, See Also and References. Kept: prose and the descriptions of parameters.
    """
    text = _UNDERLINE.sub("", _FENCE.sub("", text))
    kept: list[str] = []
    dropped_section = False
    literal_indent = -1  # lines deeper than this belong to a directive or a literal block
    for line in text.split("\n"):
        words = line.strip()
        if not words:
            continue
        indent = len(line) - len(line.lstrip())
        if literal_indent >= 0:
            if indent > literal_indent:
                continue
            literal_indent = -1
        if _DROPPED_SECTION.match(words):
            dropped_section = True
        elif _SECTION.match(words):
            dropped_section = False
        if words.startswith(".. ") or (words.endswith("::") and not dropped_section):
            literal_indent = indent
        if dropped_section or words.startswith((".. ", ">>>", "... ", "|", "+-")):
            continue
        kept.append(_BULLET.sub("", words[:-1] if words.endswith("::") else words))
    return _inline(" ".join(kept))


def split(docstring: str) -> tuple[str, str] | None:
    """Summary and body (cut at 60 words) of a cleaned docstring, or None where it is not a good example.

    Good: a summary of 4 to 25 words that starts with a capital and is not a signature, template or header; a
    body of 15 words or more that does not repeat the summary and is not a copyright notice.
    """
    head, _, rest = docstring.strip().partition("\n\n")
    summary = _inline(head)
    if any(mark in summary for mark in (">>>", "->", "{", "}", "%(", "::", "|", "__")):
        return None
    if not summary[:1].isupper() or summary.endswith(":") or _UNDERLINE.search(head):
        return None
    if len(summary.split()) not in SUMMARY_WORDS:
        return None
    words = plain(rest[:READ_CHARS]).split()
    body = " ".join(words[:BODY_WORDS])
    if len(words) < MIN_BODY_WORDS or body.startswith("Copyright"):
        return None
    if summary.rstrip(".").casefold() in body.casefold():
        return None
    return summary, body


def collect() -> list[Documented]:
    """Every good docstring, each summary and each body once, ordered by package and file."""
    packages = [package for package in SOURCES if package != "python"]
    places = [(folders, str(_root(package))) for package, folders in SOURCES.items()]
    rows = kept("docstrings", packages, lambda: [*map(astuple, _find())], places)
    return [Documented(*row) for row in rows]


def _find() -> list[Documented]:
    documented: list[Documented] = []
    summaries: set[str] = set()
    bodies: set[str] = set()
    for package, folders in SOURCES.items():
        root = _root(package)
        if root is None:
            continue
        for path in _files(root, folders):
            module = f"{package}/{path.relative_to(root).as_posix()}"
            for docstring in _docstrings(path):
                parts = split(docstring)
                if parts is None:
                    continue
                summary, body = parts
                same_summary, same_body = summary.casefold(), body.casefold()
                if same_summary in summaries or same_body in bodies:
                    continue
                summaries.add(same_summary)
                bodies.add(same_body)
                documented.append(Documented(module, summary, body))
    return documented
