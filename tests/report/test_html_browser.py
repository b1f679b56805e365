"""The report in a real browser: Chromium without a window, driven by Selenium."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stored_cells import Written, store
from warmup_bench.contracts.settings import Stats
from warmup_bench.report.build import build_tables
from warmup_bench.report.html import render_html
from warmup_bench.report.html.page import example_sets
from warmup_bench.store.results import read_results

pytestmark = pytest.mark.slow

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
STATS = Stats(randomizations=200)
SCRIPT = "</script><script>window.ran = true</script><img src=x onerror='window.ran = true'>"
MANY = 10_000


def write(out: Path, count: int) -> None:
    """Two methods, two seeds; a script in a source, an output and a warmup of example 1."""
    golds = [f"the {word(i)} cat number {i} sat on the red mat" for i in range(count)]
    for method in ("sft", "warmup"):
        for seed in (0, 1):
            written = []
            for i, gold in enumerate(golds):
                wrong = (i + seed) % 3 == 0 if method == "sft" else i % 5 == 0
                text = SCRIPT if i == 1 else gold.replace("red ", "") if wrong else gold
                warmup = SCRIPT if i == 1 else f"mat {word(i)} dog"
                written.append(Written(text, None if method == "sft" else warmup, forced=i % 4 == 0))
            sources = [SCRIPT if i == 1 else gold.upper() for i, gold in enumerate(golds)]
            store(out, method, seed, sources, [[gold] for gold in golds], written, metric_names=("chrf++",))


def word(i: int) -> str:
    return ("ash", "birch", "cedar", "elm", "fir", "gorse", "hazel")[i % 7]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    if not BROWSER or not DRIVER:
        pytest.skip(
            "no Chromium with its driver on this machine (Debian: apt install chromium chromium-driver)"
        )
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed (the dev extra)")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    still = "--force-prefers-reduced-motion"  # a click waits for no smooth scrolling
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000", still):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield browser
    browser.quit()


def make(folder: Path, count: int) -> tuple[str, Any]:
    """The address of a page with that many examples, and its example set."""
    write(folder / "out", count)
    results = read_results(folder / "out")
    page = folder / "report.html"
    page.write_text(render_html(build_tables(results, STATS), results), encoding="utf-8")
    return page.as_uri(), example_sets(results, "sft")[0]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    return make(tmp_path_factory.mktemp("small"), 60)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    return make(tmp_path_factory.mktemp("large"), MANY)


class Page:
    """The page as a reader meets it."""

    def __init__(self, driver: Any, address: str, fragment: str = "") -> None:
        self.driver = driver
        driver.get("about:blank")  # another fragment alone would not load the page again
        driver.get_log("browser")
        driver.get(address + fragment)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return [node.text for node in self.all(selector)]

    def choose(self, name: str, value: str) -> None:
        self.one(f"[name={name}] option[value='{value}']").click()

    def shown(self) -> int:
        return int(self.one("#count").text.split(" ")[0].replace(",", ""))

    def chosen(self) -> str:
        return str(self.one("#example h3").text)

    def fragment(self) -> str:
        return str(self.driver.execute_script("return location.hash"))

    def press(self, *keys: str) -> None:
        self.one("#list").send_keys(*keys)

    def close(self) -> None:
        """What must hold of every visit: no error on the console, nothing loaded, no foreign script run."""
        assert self.driver.get_log("browser") == []
        assert self.driver.execute_script("return performance.getEntriesByType('resource').length") == 0
        assert self.driver.execute_script("return window.ran === undefined") is True


def gains(examples: Any) -> list[float]:
    return [round(float(d), 4) for d in examples.methods[1].differences["chrf++"]]


def test_it_opens_with_everything_in_place(driver: Any, small: tuple[str, Any]) -> None:
    page = Page(driver, small[0])
    assert page.texts("h2") == ["Verdict", "Tables", "Plots", "What it cost", "Examples"]
    assert page.texts("#scores0 tbody th") == ["sft", "warmup"]
    assert len(page.all("#plots figure svg[role=img][aria-label]")) >= 2
    assert page.shown() == 60
    assert page.chosen() == "e0"
    assert page.fragment() == ""
    page.close()


def test_a_script_in_an_output_is_shown_and_does_not_run(driver: Any, small: tuple[str, Any]) -> None:
    page = Page(driver, small[0], "#example=e1")
    assert page.one("#example .source").text == SCRIPT
    assert page.texts("#example .output") == [SCRIPT] * 4
    assert SCRIPT in page.one("#example .warmup").text
    assert page.all("#example img") == page.all("#example script") == []
    page.close()


def test_the_policy_stops_what_a_page_could_be_made_to_do(driver: Any, small: tuple[str, Any]) -> None:
    page = Page(driver, small[0])
    refused = driver.execute_script("""
        const script = document.createElement("script");
        try { script.textContent = "window.ran = true"; } catch { return "text"; }
        document.body.append(script);
        return window.ran ? "ran" : "stopped";
    """)
    assert refused in ("text", "stopped")
    inner = driver.execute_script(
        "try { document.body.innerHTML += '<b>x</b>'; return 'changed'; } catch { return 'refused'; }"
    )
    assert inner == "refused"
    assert driver.execute_script("return window.ran === undefined") is True
    assert page.shown() == 60


def test_tables_sort_by_a_click_and_by_the_keyboard(driver: Any, small: tuple[str, Any]) -> None:
    page = Page(driver, small[0])
    heads = page.all("#costs0 thead button")
    steps = [head.text for head in heads].index("training FLOPs")
    page.all("#scores0 thead button")[0].click()
    assert page.texts("#scores0 tbody th") == ["sft", "warmup"]
    page.all("#scores0 thead button")[0].click()
    assert page.texts("#scores0 tbody th") == ["warmup", "sft"]
    assert page.all("#scores0 thead th")[0].get_attribute("aria-sort") == "descending"
    page.all("#scores0 thead button")[0].click()
    assert page.texts("#scores0 tbody th") == ["sft", "warmup"]
    assert page.all("#scores0 thead th")[0].get_attribute("aria-sort") is None
    scores = [float(node.get_attribute("data-value")) for node in page.all("#scores0 tbody td")]
    page.all("#scores0 thead button")[1].send_keys("\ue007")  # Enter: a higher score is the better one
    after = [float(node.get_attribute("data-value")) for node in page.all("#scores0 tbody td")]
    assert after == sorted(scores, reverse=True)
    heads[steps].click()
    assert page.all("#costs0 thead th")[steps].get_attribute("aria-sort") == "ascending"
    assert f"sort=costs0.{steps}.asc" in page.fragment()
    page.close()


def test_search_and_filters_give_what_the_results_hold(driver: Any, small: tuple[str, Any]) -> None:
    address, examples = small
    page = Page(driver, address)
    found = gains(examples)
    for value, expected in (
        ("gained", sum(d > 0 for d in found)),
        ("lost", sum(d < 0 for d in found)),
        ("equal", sum(d == 0 for d in found)),
        ("all", 60),
    ):
        page.choose("show", value)
        assert page.shown() == expected
        assert value == "all" or expected > 0
    page.choose("warmup", "forced")
    assert page.shown() == 15
    page.choose("warmup", "ended")
    assert page.shown() == 45
    page.one("#reset").click()
    assert page.shown() == 60
    page.one("[name=q]").send_keys("BIRCH 8")  # every word, in any case
    assert page.texts(".option .about") == ["e8"]
    page.one("[name=q]").clear()
    page.one("[name=q]").send_keys("no such words")
    assert page.shown() == 0
    assert page.one("#example").text == "No example passes these filters."
    page.close()


def test_examples_are_ordered_by_their_difference(driver: Any, small: tuple[str, Any]) -> None:
    address, examples = small
    found = gains(examples)
    page = Page(driver, address)
    for order, key in (
        ("gain", lambda i: -found[i]),
        ("loss", lambda i: found[i]),
        ("size", lambda i: -abs(found[i])),
        ("stored", lambda i: i),
    ):
        page.choose("order", order)
        drawn = page.texts(".option .about")
        assert drawn == [f"e{i}" for i in sorted(range(60), key=lambda i: (key(i), i))][: len(drawn)]
        assert len(drawn) > 8
    page.close()


def test_one_example_shows_scores_warmup_and_marks(driver: Any, small: tuple[str, Any]) -> None:
    address, examples = small
    page = Page(driver, address, "#example=e20")  # "the hazel cat number 20 ...", wrong in warmup's outputs
    warmup = examples.methods[1]
    assert page.texts("#example .card > h4") == ["sft", "warmup"]
    assert page.texts("#example mark") == ["mat hazel", "mat hazel"]
    assert [text for text in page.texts("#example .badge") if text] == ["cut at its longest"] * 2
    expected = f"{abs(gains(examples)[20]):.2f} chrF++"
    assert page.one("#example .change").text.endswith(expected)
    for head, run in zip(page.texts("#example .card:last-child .runhead"), warmup.runs, strict=True):
        assert f"chrF++ {run.scores['chrf++'][20]:.2f}" in head
    page.close()


def test_the_list_is_walked_with_the_keyboard(driver: Any, small: tuple[str, Any]) -> None:
    page = Page(driver, small[0])
    down, up, home, end = "\ue015", "\ue013", "\ue011", "\ue010"
    page.press(down, down, down, up)
    assert page.chosen() == "e2"
    active = page.one("#list").get_attribute("aria-activedescendant")
    option = page.one(f"#{active}")
    assert option.get_attribute("aria-selected") == "true"
    assert (option.get_attribute("aria-posinset"), option.get_attribute("aria-setsize")) == ("3", "60")
    assert page.fragment() == "#example=e2"
    page.press(end)
    assert page.chosen() == "e59"
    page.press(down)
    assert page.chosen() == "e59"
    page.press(home)
    assert page.chosen() == "e0"
    page.close()


def test_a_deep_link_restores_search_filters_order_sorting_and_example(
    driver: Any, small: tuple[str, Any]
) -> None:
    address, _ = small
    page = Page(driver, address)
    page.all("#costs0 thead button")[1].click()
    page.choose("show", "lost")
    page.choose("order", "loss")
    page.one("[name=q]").send_keys("cat")
    page.press("\ue015", "\ue015")
    link = page.one("#example .permalink").get_attribute("href")
    before = (page.chosen(), page.shown(), page.texts(".option .about"))
    page.close()
    again = Page(driver, link)
    assert (again.chosen(), again.shown(), again.texts(".option .about")) == before
    assert again.one("[name=q]").get_attribute("value") == "cat"
    assert again.one("[name=show]").get_attribute("value") == "lost"
    assert again.one("[name=order]").get_attribute("value") == "loss"
    assert again.all("#costs0 thead th")[1].get_attribute("aria-sort") == "ascending"
    assert again.one("#list").rect["y"] < driver.execute_script("return scrollY + innerHeight")
    # A link followed inside the open page, and the back button, do the same.
    driver.execute_script("location.hash = '#example=e7'")
    assert again.chosen() == "e7"
    driver.back()
    assert again.chosen() == before[0]
    again.close()


@pytest.mark.parametrize(
    "fragment",
    [
        "#set=99&example=nowhere&method=x&metric=y&show=z&order=w&warmup=v&sort=costs0.99.asc",
        "#tables",
        "#%%%=1",
    ],
)
def test_a_broken_link_opens_the_page(driver: Any, small: tuple[str, Any], fragment: str) -> None:
    page = Page(driver, small[0], fragment)
    assert page.shown() == 60
    page.close()


def test_ten_thousand_examples_stay_usable(driver: Any, large: tuple[str, Any]) -> None:
    address, examples = large
    page = Page(driver, address, f"#example=e{MANY - 1}")
    assert page.shown() == MANY
    assert page.chosen() == f"e{MANY - 1}"
    assert len(page.all(".option")) < 60  # only what is seen is drawn
    assert f"e{MANY - 1}" in page.texts(".option .about")
    page.choose("show", "lost")
    assert page.shown() == sum(d < 0 for d in gains(examples))
    page.one("[name=q]").send_keys("number 5000 ")
    assert page.shown() == 1
    page.one("#reset").click()
    page.one("[name=q]").send_keys("gorse")
    assert page.shown() == len(range(5, MANY, 7))
    page.choose("order", "gain")
    page.press("\ue010")
    assert page.shown() == len(range(5, MANY, 7))
    assert len(page.all(".option")) < 60
    page.close()
