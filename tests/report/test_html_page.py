import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stored_cells import Written, store
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.build import build_tables
from warmup_bench.report.examples import example_set
from warmup_bench.report.html import render_html
from warmup_bench.report.html.cells import STRIP_WIDTH, score_cell, signed
from warmup_bench.report.html.data import browser_data, script_json
from warmup_bench.report.html.page import example_sets, findings, tally
from warmup_bench.report.html.svg import strict_svg
from warmup_bench.report.table import MARKS, Gain, MeanScore
from warmup_bench.store.results import read_results

STATS = Stats(randomizations=500)
GOLD = [f"the cat number {i} sat on the red mat" for i in range(30)]
HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>&amp;"


def fill(out: Path, subset: str = "all", seeds: tuple[int, ...] = (0, 1)) -> None:
    """A baseline with errors, a method with fewer (better), one with more (worse), one the same (open)."""
    for method, wrong in (("sft", 20), ("good", 5), ("bad<b>", 30), ("same", 20)):
        for seed in seeds:
            texts = [gold.replace("red ", "") if i < wrong else gold for i, gold in enumerate(GOLD)]
            warmup = None if method == "sft" else HOSTILE
            written = [Written(text, warmup, forced=i % 2 == 0) for i, text in enumerate(texts)]
            sources = [HOSTILE, *GOLD[1:]]
            store(out, method, seed, sources, [[gold] for gold in GOLD], written, subset=subset)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    fill(folder)
    return folder


@pytest.fixture(scope="module")
def page(out: Path) -> str:
    results = read_results(out)
    return render_html(build_tables(results, STATS), results)


class Reader(HTMLParser):
    """Collects elements with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.open: tuple[str, dict[str, str | None]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open = (tag, dict(attrs)) if tag in ("script", "style") else None

    def handle_data(self, data: str) -> None:
        if self.open:
            self.raw.append((*self.open, data))

    def handle_endtag(self, tag: str) -> None:
        self.open = None


def test_the_page_loads_nothing_and_runs_only_its_own_script(page: str) -> None:
    read = Reader(page)
    allowed = {"data:,"}
    for tag, attributes in read.elements:
        assert tag not in ("iframe", "object", "embed", "base", "img")
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name)
            assert value is None or value in allowed or value.startswith(("#", "data:image/png;base64,"))
    metas = [attributes for tag, attributes in read.elements if tag == "meta"]
    (policy,) = [a["content"] for a in metas if a.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    assert "unsafe" not in policy
    run = [(tag, text) for tag, attributes, text in read.raw if attributes.get("type") != "application/json"]
    assert [tag for tag, _ in run] == ["style", "script"]
    for tag, text in run:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"
    ids = [attributes["id"] for _, attributes in read.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_hostile_texts_are_data(page: str) -> None:
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "bad<b>" not in page
    assert "bad&lt;b&gt;" in page
    (data,) = [text for _, attributes, text in Reader(page).raw if attributes.get("id") == "examples-0"]
    assert json.loads(data)["sources"][0] == HOSTILE
    assert "".join(json.loads(data)["methods"][1]["runs"][0]["warmups"][0]) == HOSTILE


def test_the_page_shows_the_numbers_of_the_tables(out: Path, page: str) -> None:
    (table,) = build_tables(read_results(out), STATS)
    for row in table.groups[0].rows:
        for cell in row.cells.values():
            assert isinstance(cell, MeanScore)
            assert f"{cell.mean:.2f}" in page
            if isinstance(cell.gain, Gain):
                c = cell.gain.comparison
                assert f"{signed(c.difference)}{MARKS[cell.gain.finding.reach]}</span>" in page
                if c.low is not None and c.high is not None:
                    assert f"[{signed(c.low)}, {signed(c.high)}]" in page
                else:
                    assert row.method == "same"  # whose outputs are the baseline's
    for note in (*table.findings, table.scope, *table.notes.sentences):
        assert note.replace("'", "&#39;").replace("<", "&lt;").replace(">", "&gt;") in page
    assert "3.00·10⁰" not in page
    assert "torch 9.9" in page


def test_the_same_results_give_the_same_bytes(out: Path, page: str) -> None:
    results = read_results(out)
    assert render_html(build_tables(results, STATS), results) == page


def test_findings_have_the_tone_of_what_they_say(out: Path) -> None:
    tables = build_tables(read_results(out), STATS)
    tones = {
        finding.text.split(" against")[0].split(": ")[-1]: finding.tone for finding in findings(tables[0])
    }
    assert tones == {"good": "better", "bad<b>": "worse", "same": "open"}
    alone = "for these models alone"
    counts = f"1 better {alone}, 1 worse {alone}, 1 without a difference that is shown"
    assert tally(tables) == f"3 comparisons with sft: {counts}."


def test_a_table_without_a_baseline_says_so(tmp_path: Path) -> None:
    store(tmp_path, "alone", 0, GOLD, [[gold] for gold in GOLD], [Written(gold, "w") for gold in GOLD])
    results = read_results(tmp_path)
    tables = build_tables(results, STATS)
    assert [finding.tone for finding in findings(tables[0])] == [None]
    assert tally(tables) == "Nothing is compared here."
    data = Reader(render_html(tables, results)).raw[-2][2]
    assert json.loads(data)["baseline"] is None


def test_intervals_share_a_scale_and_stay_inside_their_strip(out: Path) -> None:
    (table,) = build_tables(read_results(out), STATS)
    column = table.columns[0]
    strips = {}
    for row in table.groups[0].rows:
        cell = score_cell(table, row, column)
        assert cell.value == row.cells[column.key].mean
        if cell.gain is None:
            assert cell.note == "baseline"
            continue
        strips[row.method] = strip = cell.gain.strip
        assert 0 <= strip.low <= strip.point <= strip.high <= STRIP_WIDTH
    assert len({strip.zero for strip in strips.values()}) == 1
    assert strips["good"].low > strips["good"].zero > strips["bad<b>"].high
    gains = {row.method: row.cells[column.key].gain for row in table.groups[0].rows}
    ratio = [
        (strips[name].point - strips[name].zero) / gains[name].comparison.difference
        for name in ("good", "bad<b>")
    ]
    assert ratio[0] == pytest.approx(ratio[1], rel=0.02)  # one scale; places are rounded


def test_every_subset_and_group_has_its_examples(tmp_path: Path) -> None:
    for subset in ("all", "some"):
        fill(tmp_path, subset, seeds=(0,))
    sets = example_sets(read_results(tmp_path), "sft")
    assert [examples.title for examples in sets] == ["all · nano", "some · nano"]
    assert all([m.name for m in examples.methods] == ["sft", "bad<b>", "good", "same"] for examples in sets)


def test_the_browser_gets_rounded_scores_and_every_text(out: Path) -> None:
    results = [result for result in read_results(out) if result.cell.method in ("sft", "good")]
    lines = {m: {r.cell.seed: r for r in results if r.cell.method == m} for m in ("sft", "good")}
    examples = example_set("t", lines, "sft")
    data = json.loads(script_json(browser_data(examples)))
    assert data["ids"] == list(examples.ids)
    good = data["methods"][1]
    assert good["runs"][1]["outputs"] == list(examples.methods[1].runs[1].outputs)
    assert good["runs"][1]["forced"] == [1, 0] * 15
    for key, values in examples.methods[1].differences.items():
        assert good["differences"][key] == pytest.approx(values, abs=5e-5)
    assert "-0.0" not in re.findall(r"[^,\[]+", script_json(good["differences"]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(content=JSON)
def test_json_in_a_script_is_the_same_and_closes_nothing(content: object) -> None:
    text = script_json(content)
    assert json.loads(text) == content
    assert not set("<>&") & set(text)


def test_a_single_example_may_have_no_score(out: Path) -> None:
    runs = {r.cell.seed: r for r in read_results(out) if r.cell.method == "sft"}
    examples = example_set("t", {"sft": runs}, "sft")
    examples.methods[0].runs[0].scores["bleu"][3] = np.nan
    scores = json.loads(script_json(browser_data(examples)))["methods"][0]["runs"][0]["scores"]["bleu"]
    assert [i for i, score in enumerate(scores) if score is None] == [3]


def test_json_takes_no_number_that_is_none() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


def test_a_drawing_keeps_its_look_without_style_attributes() -> None:
    drawing = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"
        width="10pt" height="5pt" viewBox="0 0 10 5"><metadata/><defs><style>*{}</style>
        <clipPath id="c1"/><path id="m" style="stroke: #000000; stroke-width: 0.8"/></defs>
        <g clip-path="url(#c1)"><use xlink:href="#m" style="fill: none"/></g></svg>"""
    root = ET.fromstring(strict_svg(drawing, "p", 'a "plot" & more'))
    svg = "{http://www.w3.org/2000/svg}"
    assert root.get("width") == "10pt"
    assert root.get("height") is None
    assert root.get("aria-label") == 'a "plot" & more'
    assert [node for node in root.iter() if node.get("style")] == []
    assert root.find(f".//{svg}metadata") is root.find(f".//{svg}style") is None
    path = root.find(f".//{svg}path")
    assert (path.get("stroke"), path.get("stroke-width"), path.get("id")) == ("#000000", "0.8", "p-m")
    assert root.find(f"{svg}g").get("clip-path") == "url(#p-c1)"
    assert root.find(f"{svg}g/{svg}use").get("{http://www.w3.org/1999/xlink}href") == "#p-m"


def test_control_characters_in_a_name_leave_the_drawings_readable() -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><!-- a\x00\x1b[0m --><g id="x"/></svg>'
    assert strict_svg(drawing, "p", "a\x00b").startswith("<svg")
    assert "\x00" not in strict_svg(drawing, "p", "a\x00b")
