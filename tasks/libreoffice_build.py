"""Parallel paragraphs from Debian's packages ``libreoffice-help-*``.

``apt-get download`` fetches the packages (no root, nothing is installed) and ``dpkg-deb -x`` unpacks them.
Every paragraph and heading of a help page has an id that its translations share. What is kept (our choice):
English texts of at least four words, whose translation is another text in the language's own script; each
English text once, from the first page that has it, since pages quote each other.
"""

import gzip
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

from warmup_bench import UserError

PACKAGES = {"en": "en-us", "de": "de", "fr": "fr", "ru": "ru", "zh": "zh-cn"}
"""Endings of the packages' names."""
_FOLDERS = {"en": "en-US", "de": "de", "fr": "fr", "ru": "ru", "zh": "zh-CN"}
_SCRIPTS = {"ru": re.compile("[\u0400-\u04ff]"), "zh": re.compile("[\u4e00-\u9fff]")}
_TAGS = ("p", "h1", "h2", "h3", "h4", "h5", "h6")
MIN_WORDS = 4

Paragraphs = dict[str, tuple[str, str]]  # id -> (tag, text)


def build_files(folder: Path, say: Callable[[str], None]) -> None:
    """Write ``en-de.jsonl.gz``, ``en-fr.jsonl.gz``, ``en-ru.jsonl.gz`` and ``en-zh.jsonl.gz``.

    Args:
        folder: Where they go; made if need be. Each is written whole or not at all.
        say: Called with each step in words.

    Raises:
        UserError: No apt-get or dpkg-deb here, or a package can't be had.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise UserError(
                f"'{tool}' is not on this machine",
                origin="warmup-bench data build libreoffice-help",
                hint="Build on Debian or Ubuntu, copy the folder here and pass it as --data-dir.",
            )
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        pages = {}
        for language, ending in PACKAGES.items():
            say(f"fetching libreoffice-help-{ending}")
            pages[language] = read_pages(_unpacked(f"libreoffice-help-{ending}", work) / _FOLDERS[language])
        folder.mkdir(parents=True, exist_ok=True)
        for language in PACKAGES:
            if language != "en":
                rows = list(pairs(pages["en"], pages[language], language))
                _write(folder / f"en-{language}.jsonl.gz", rows)
                say(f"wrote en-{language}.jsonl.gz, {len(rows):,} paragraphs")


def _unpacked(package: str, work: Path) -> Path:
    """Fetch and unpack one package; returns its folder of help in all its languages."""
    place = work / package
    place.mkdir()
    _run(["apt-get", "download", package], place)
    for archive in place.glob("*.deb"):
        _run(["dpkg-deb", "-x", f"./{archive.name}", "unpacked"], place)
    return place / "unpacked" / "usr" / "share" / "libreoffice" / "help"


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").split("\n")
        raise UserError(
            f"'{' '.join(command)}' failed: {reason[-1]}",
            origin="warmup-bench data build libreoffice-help",
            hint="Run 'apt-get update' as root first; Debian's and Ubuntu's archives have the packages.",
        )


def read_pages(folder: Path) -> dict[str, Paragraphs]:
    """The paragraphs of every page below ``text/``, by the page's path and the paragraph's id, in order.

    Links that lead out of the folder are left out: nothing but the package is read.

    Raises:
        UserError: There is no page, or one is no UTF-8 text.
    """
    root = folder / "text"
    real = root.resolve()
    paths = sorted(path for path in root.rglob("*.html") if path.resolve().is_relative_to(real))
    if not paths:
        raise UserError(
            f"the package has no help pages in {root}",
            origin="warmup-bench data build libreoffice-help",
            hint="Its layout has changed: please report it with the package's version.",
        )
    return {path.relative_to(root).as_posix(): paragraphs(_text(path)) for path in paths}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"page {path.name} of the package is not UTF-8 text",
            origin="warmup-bench data build libreoffice-help",
        ) from error


def paragraphs(html: str) -> Paragraphs:
    """The texts of the paragraphs and headings of a page that have an id, in order, white space reduced.

    Raises:
        UserError: It is not HTML at all.
    """
    reader = _Reader()
    try:
        reader.feed(html)
        reader.close()
    except AssertionError as error:  # the library's parser, on some declarations
        raise UserError(
            f"a page of the package is not HTML: {error}", origin="warmup-bench data build libreoffice-help"
        ) from error
    return reader.found


class _Reader(HTMLParser):
    """Collects the text inside each element of _TAGS with an id ``par_…`` or ``hd_…``.

    Some words stand there in several variants, of which a browser shows one: for macOS (``class="MAC"``, left
    out here) and for the rest; or one a program of the suite. A paragraph of the latter kind is left out.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: Paragraphs = {}
        self._open: tuple[str, str] | None = None
        self._parts: list[str] = []
        self._hidden = 0  # how deep we are inside of a macOS variant
        self._usable = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "br":
            self._parts.append(" ")
        elif tag == "span" and (self._hidden or values.get("class") == "MAC"):
            self._hidden += 1
        elif "hidden" in values and values.get("class"):
            self._usable = False
        if tag in _TAGS:
            self._close()  # a paragraph ends where the next begins
            name = values.get("id") or ""
            if name.startswith(("par_", "hd_")):
                self._open = (tag, name)

    def handle_endtag(self, tag: str) -> None:
        if tag == "span" and self._hidden:
            self._hidden -= 1
        elif self._open is not None and tag == self._open[0]:
            self._close()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._parts.append(data)

    def close(self) -> None:
        super().close()
        self._close()

    def _close(self) -> None:
        if self._open is not None and self._usable:
            tag, name = self._open
            text = " ".join("".join(self._parts).split())
            if text:
                self.found.setdefault(name, (tag, text))
        self._open, self._parts, self._hidden, self._usable = None, [], 0, True


def pairs(
    english: Mapping[str, Paragraphs], other: Mapping[str, Paragraphs], language: str
) -> Iterator[dict[str, str]]:
    """Rows of an output file: the paragraphs that are translated, page by page."""
    seen = set()
    for page, texts in english.items():
        translated = other.get(page, {})
        for name, (tag, text) in texts.items():
            translation = translated.get(name, ("", ""))[1]
            if (
                len(text.split()) < MIN_WORDS
                or text in seen
                or not _is_translated(text, translation, language)
            ):
                continue
            seen.add(text)
            yield {"id": f"{page}#{name}", "tag": tag, "en": text, language: translation}


def _is_translated(text: str, translation: str, language: str) -> bool:
    script = _SCRIPTS.get(language)
    return translation not in ("", text) and (script is None or script.search(translation) is not None)


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    """Write JSON lines, packed, with no time in the header: the same rows make the same bytes."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))
    temporary.replace(path)
