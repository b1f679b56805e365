"""LibreOffice's help: pages read, paragraphs paired, packages fetched by stand-ins of the two programs."""

import contextlib
import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from layouts import json_lines, load, write

from warmup_bench.contracts.errors import UserError
from warmup_bench.contracts.task import LoadRequest
from warmup_bench.tasks import libreoffice_help
from warmup_bench.tasks.libreoffice_build import build_files, pairs, paragraphs

PAGE = """<!DOCTYPE html><html><head><title>T</title><script>var p = "<p id='par_no'>";</script></head><body>
<header><p dir="auto">LibreOffice 7.4 Help</p></header>
<h1 id="hd_1" dir="auto">Copying  <span class="emph">cells</span> &amp; rows here</h1>
<p id="par_2" class="listitem">Press <span class="switchinline"><span hidden="true" id="MACx" class="MAC">
<span class="keycode">Command</span></span><span hidden="true" id="defaultx"><span
class="keycode">Ctrl</span></span></span>+Home<br>to go there.</p>
<p id="par_3">For <span hidden="true" class="WRITER">texts</span><span hidden="true"
class="CALC">sheets</span>.</p>
<p id="bm_4">No paragraph of its own.</p>
<p id="par_5">Not closed
<p id="par_6">The next one.</p>
<p id="par_2">A second one of this name.</p>
<p id="par_7"> </p>
</body></html>"""


def test_paragraphs_of_a_page() -> None:
    assert paragraphs(PAGE) == {
        "hd_1": ("h1", "Copying cells & rows here"),
        "par_2": ("p", "Press Ctrl+Home to go there."),
        "par_5": ("p", "Not closed"),
        "par_6": ("p", "The next one."),
    }


def test_what_is_paired() -> None:
    english = {
        "a.html": {
            "par_1": ("p", "one two three four"),
            "par_2": ("p", "one two three"),  # short
            "par_3": ("p", "not translated at all"),
            "par_4": ("p", "in latin letters alone"),
            "par_5": ("p", "without a translation here"),
        },
        "b.html": {
            "par_1": ("p", "one two three four"),  # quoted from the first page
            "par_9": ("h2", "five six seven eight"),
        },
    }
    russian = {
        "a.html": {
            "par_1": ("p", "раз два три четыре"),
            "par_2": ("p", "раз два три"),
            "par_3": ("p", "not translated at all"),
            "par_4": ("p", "tolko latinskie bukvy zdes"),
        },
        "b.html": {"par_1": ("p", "раз два"), "par_9": ("h2", "пять шесть")},
    }
    assert list(pairs(english, russian, "ru")) == [
        {"id": "a.html#par_1", "tag": "p", "en": "one two three four", "ru": "раз два три четыре"},
        {"id": "b.html#par_9", "tag": "h2", "en": "five six seven eight", "ru": "пять шесть"},
    ]
    german = {
        "a.html": {"par_3": ("p", "not translated at all"), "par_4": ("p", "in deutschen Buchstaben hier")}
    }
    assert [row["de"] for row in pairs(english, german, "de")] == ["in deutschen Buchstaben hier"]


def test_a_page_that_is_no_html_is_named() -> None:
    """Found by fuzzing: Python's parser raises AssertionError here, in versions that don't pass over it."""
    with contextlib.suppress(UserError):
        assert paragraphs("<![>><h1h1/b>/") == {}


def test_a_page_is_in_one_split_in_every_direction(tmp_path: Path) -> None:
    write("libreoffice-help", tmp_path)
    where: dict[str, set[str]] = {}
    for subset in ("en-de", "zh-en"):
        splits = load("libreoffice-help", tmp_path, subset)
        for name in ("train", "validation", "test"):
            for example in getattr(splits, name):
                assert example.group is not None and example.id.startswith(f"{example.group}#")
                where.setdefault(example.group, set()).add(name)
    assert {len(names) for names in where.values()} == {1}
    counts = Counter(next(iter(names)) for names in where.values())
    assert counts["train"] > counts["test"] > counts["validation"] >= 1


def test_a_test_text_does_not_train(tmp_path: Path) -> None:
    write("libreoffice-help", tmp_path)
    before = load("libreoffice-help", tmp_path, "de-en")
    path = tmp_path / "lohelp" / "en-de.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    wanted = before.train[0].id
    for row in rows:
        if row["id"] == wanted:
            row["en"] = before.test[0].target
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    after = load("libreoffice-help", tmp_path, "de-en")
    assert {e.id for e in before.train} - {e.id for e in after.train} == {wanted}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that behave as apt-get download and dpkg-deb -x do: an archive is a text with its name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    apt = """#!/bin/sh
[ "$1" = download ] || exit 2
case "$2" in *-fr) [ -n "$BROKEN" ] && { echo "E: Unable to locate package $2" >&2; exit 100; };; esac
echo "$2" > "${2}_7.4.7_all.deb"
"""
    dpkg = """#!/bin/sh
[ "$1" = -x ] || exit 2
name=$(cat "$2"); language=${name#libreoffice-help-}
case "$language" in en-us) f=en-US; t="the first line of it";; zh-cn) f=zh-CN; t="第一行";;
ru) f=ru; t="первая строка";; *) f=$language; t="in $language alone";; esac
root="$3/usr/share/libreoffice/help/$f/text/swriter"; mkdir -p "$root"
echo "<p id='par_1'>$t</p>" > "$root/main.html"
"""
    for name, text in (("apt-get", apt), ("dpkg-deb", dpkg)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.mark.usefixtures("tools")
def test_building_from_packages(tmp_path: Path) -> None:
    steps: list[str] = []
    folder = libreoffice_help.TASK.build(tmp_path / "built", steps.append)
    assert sorted(path.name for path in folder.iterdir()) == [
        f"en-{language}.jsonl.gz" for language in ("de", "fr", "ru", "zh")
    ]
    (line,) = gzip.decompress((folder / "en-zh.jsonl.gz").read_bytes()).decode().splitlines()
    row = {"id": "swriter/main.html#par_1", "tag": "p", "en": "the first line of it", "zh": "第一行"}
    assert json.loads(line) == row
    assert steps[0] == "fetching libreoffice-help-en-us"
    assert steps[-1] == "wrote en-zh.jsonl.gz, 1 paragraphs"


@pytest.mark.usefixtures("tools")
def test_the_default_folder_is_where_the_task_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMUP_BENCH_CACHE", str(tmp_path / "cache"))
    request = LoadRequest("ru-en", "small")
    assert libreoffice_help.TASK.missing(request) == ["en-ru.jsonl.gz"]
    libreoffice_help.TASK.build(None, lambda step: None)
    assert libreoffice_help.TASK.missing(request) == []


@pytest.mark.usefixtures("tools")
def test_a_package_that_cannot_be_had_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    message = "'apt-get download libreoffice-help-fr' failed: E: Unable to locate package libreoffice-help-fr"
    with pytest.raises(UserError, match=message):
        build_files(tmp_path / "built", lambda step: None)
    assert not (tmp_path / "built").exists()


def test_a_machine_without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="'apt-get' is not on this machine") as caught:
        build_files(tmp_path / "built", lambda step: None)
    assert "--data-dir" in caught.value.hint


def test_the_file_of_another_language_is_refused(tmp_path: Path) -> None:
    write("libreoffice-help", tmp_path)
    folder = tmp_path / "lohelp"
    german = gzip.decompress((folder / "en-de.jsonl.gz").read_bytes())
    (folder / "en-fr.jsonl.gz").write_bytes(gzip.compress(german))
    with pytest.raises(UserError, match=r"en-fr\.jsonl\.gz has no column fr, only id, tag, en, de"):
        load("libreoffice-help", tmp_path, "fr-en")
    (folder / "en-zh.jsonl.gz").write_bytes(gzip.compress(german.replace(b'"de":', b'"zh":')))
    with pytest.raises(UserError, match=r"is not zh: 0 of 120 texts hold Chinese letters"):
        load("libreoffice-help", tmp_path, "en-zh")


def test_a_paragraph_that_is_not_translated_is_refused(tmp_path: Path) -> None:
    write("libreoffice-help", tmp_path)
    path = tmp_path / "lohelp" / "en-de.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    rows[3]["de"] = rows[3]["en"]
    json_lines(path, rows)
    with pytest.raises(UserError, match=r"en-de\.jsonl\.gz row 4: it has no translation"):
        load("libreoffice-help", tmp_path, "de-en")
