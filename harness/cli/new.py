"""``warmup-bench new``: a folder with a plugin that works as it stands, its test and its packaging."""

import difflib
import random
import re
import tempfile
from importlib.metadata import version
from importlib.resources import files
from itertools import islice
from pathlib import Path
from string import Template

from rich.console import Console
from rich.markup import escape

from warmup_bench.contracts.errors import UserError
from warmup_bench.data.registry import KINDS

PLUGINS = ("task", "method", "metric")
NAME = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")
ROWS = {"train": 1000, "validation": 60, "test": 200}
WORDS = (
    *("apple", "banana", "cherry", "date", "fig", "grape", "kiwi", "lemon"),
    *("lime", "mango", "melon", "olive", "orange", "peach", "pear", "plum"),
)
"""Of the data of a new task without Python."""
MOST = 40
"""Longest name, so that every line that has it stays a line."""


def new_command(kind: str, name: str, into: Path, *, yaml: bool = False) -> None:
    """Make the folder ``into/name`` whole or not at all, and say what to do with it.

    Raises:
        UserError: No such kind, a name that can't be one or is taken, or a place that can't be written.
    """
    if kind not in PLUGINS:
        near = difflib.get_close_matches(kind, PLUGINS, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Kinds: {', '.join(PLUGINS)}."
        raise UserError(f"no plugin of the kind '{kind}' can be made", origin="warmup-bench new", hint=hint)
    if yaml and kind != "task":
        raise UserError(f"a {kind} is written in Python", origin="--yaml", hint="Leave --yaml out.")
    _check_name(kind, name)
    folder = into / name
    if folder.exists() or folder.is_symlink():
        raise UserError(
            f"{folder} is there already and stays as it is",
            origin="warmup-bench new",
            hint="Choose another name, or another place with --into.",
        )
    texts = declared_files(name) if yaml else plugin_files(kind, name)
    _write(folder, texts)
    module = next(iter(texts))
    say = Console(highlight=False, soft_wrap=True).print
    place, named = escape(str(folder)), "[bold]pip install -e .[/] gives it its name"
    say(f"Made [bold]{place}[/] with {', '.join(texts)}.")
    if yaml:
        say(f"Next: [bold]cd {place}[/], [bold]warmup-bench check task {module}[/], and make it your own.")
        say(f"Then: [bold]warmup-bench run --task {module}[/].")
        return
    say(f"Next: [bold]cd {place}[/], [bold]python -m pytest[/], and change {module} to your own.")
    if kind == "task":
        say(f"Then: [bold]warmup-bench check task ./{module}[/]; {named}.")
    else:
        say(f"Then: {named}: [bold]warmup-bench list {kind}s[/].")


def plugin_files(kind: str, name: str) -> dict[str, str]:
    """The files of a new plugin, path to text, its module first."""
    module = f"{kind}_{re.sub(r'[^a-z0-9]', '_', name)}"
    values = {
        "kind": kind,
        "name": name,
        "module": module,
        "variable": KINDS[f"{kind}s"]().variable,
        "distribution": f"warmup-bench-{kind}-{name}",
        "version": version("warmup-bench"),
    }
    templates = files(__package__) / "templates"
    sources = {
        f"{module}.py": templates / kind / "module.py.tmpl",
        f"tests/test_{module}.py": templates / kind / "test.py.tmpl",
        "pyproject.toml": templates / "pyproject.toml.tmpl",
        "README.md": templates / kind / "README.md.tmpl",
    }
    return {
        path: Template(template.read_text(encoding="utf-8")).substitute(values)
        for path, template in sources.items()
    }


def declared_files(name: str) -> dict[str, str]:
    """The files of a new task without Python, path to text, its YAML first: words to be sorted, as CSV."""
    template = files(__package__) / "templates" / "task" / "declared.yaml.tmpl"
    texts = {f"{name}.yaml": Template(template.read_text(encoding="utf-8")).substitute(name=name)}
    rng = random.Random(1)
    chosen: dict[tuple[str, ...], list[str]] = {}
    while len(chosen) < sum(ROWS.values()):
        words = rng.sample(WORDS, 4)
        chosen.setdefault(tuple(sorted(words)), words)
    pairs = iter(chosen.items())
    for split, count in ROWS.items():
        rows = [f"{' '.join(words)},{' '.join(ordered)}\n" for ordered, words in islice(pairs, count)]
        texts[f"{split}.csv"] = "".join(["words,sorted\n", *rows])
    return texts


def _check_name(kind: str, name: str) -> None:
    if not NAME.fullmatch(name) or len(name) > MOST:
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:MOST].strip("-")
        raise UserError(
            f"'{name}' is not a name for a plugin",
            origin="warmup-bench new",
            hint=f"Use at most {MOST} lowercase letters and digits, with single - _ . between them"
            + (f", such as '{near}'." if near else "."),
        )
    if name in KINDS[f"{kind}s"]().names():
        raise UserError(
            f"there is a {kind} '{name}' already",
            origin="warmup-bench new",
            hint=f"Choose another name; 'warmup-bench list {kind}s' shows those that are taken.",
        )


def _write(folder: Path, texts: dict[str, str]) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
            temporary = Path(place) / folder.name
            for name, text in texts.items():
                path = temporary / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            temporary.rename(folder)
    except OSError as error:
        raise UserError(
            f"can't write {folder}: {error.strerror or error}", origin="--into", hint="Choose another place."
        ) from error
