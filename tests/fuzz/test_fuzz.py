"""Every input of the program read from anything: a clear error or a result, never a traceback."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import fuzz_targets
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

RAW = (
    "spec",
    "assignment",
    "options",
    "claims",
    "assumptions",
    "manifest",
    "logs",
    "plugin_name",
    "folder_name",
    "secrets",
)
QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=25, suppress_health_check=list(HealthCheck))

WORDS = (
    "task t seeds budget steps train: score: - [ ] { } : , & * a !!int !!timestamp !!python/object:"
    " 2001-99-99 1e999 -1 .inf .nan \" ' | > # \n \\ud800 \\0 << ? ~ yes 0x 1_ 99999999999999999999 files "
    "schema_version = . .. / \t out: backbones: methods: hf_abcdefghijklmnopqrstuvwxyz https://u:p@h/ token="
)
words = st.sampled_from([*WORDS.split(" "), " ", "  "])
texts = st.lists(words, max_size=25).map("".join) | st.text(max_size=60)
raw = texts.map(
    lambda text: text.encode("utf-8", "surrogateescape" if text.isascii() else "replace")
) | st.binary(max_size=80)


@pytest.mark.parametrize("target", RAW)
@QUICK
@given(data=raw)
def test_anything(target: str, data: bytes) -> None:
    fuzz_targets.run(target, data)


@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_the_seeds(target: str) -> None:
    for data in fuzz_targets.SEEDS[target]:
        fuzz_targets.run(target, data)


@FEW
@given(lines=st.lists(st.tuples(*[st.text(max_size=12)] * 4), max_size=4), broken=st.binary(max_size=4))
@example(lines=[("a", "b", "c", "d")], broken=b"")
@example(lines=[], broken=b"\n")
def test_text_files(lines: list[tuple[str, ...]], broken: bytes) -> None:
    columns = zip(*lines, strict=True) if lines else [()] * 4
    parts = [
        "".join(f"{text.replace(chr(0), '')}\n" for text in column).encode("utf-8", "replace")
        for column in columns
    ]
    parts[0] += broken
    fuzz_targets.run("compare", b"\0".join(parts))


def test_the_stored_results_are_whole_as_they_stand() -> None:
    """Else the changes below would all end at the same error."""
    fuzz_targets.read_all()


@FEW
@given(data=st.binary(min_size=4, max_size=40))
def test_stored_files_with_other_bytes(data: bytes) -> None:
    fuzz_targets.run("stored_bytes", data)


@FEW
@given(data=st.binary(min_size=4, max_size=4))
def test_stored_json_with_other_values(data: bytes) -> None:
    fuzz_targets.run("stored_json", data)


@FEW
@given(data=st.binary(min_size=3, max_size=3))
def test_stored_tables_with_other_columns(data: bytes) -> None:
    fuzz_targets.run("stored_table", data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_stored_value_removed_and_replaced_by_every_other() -> None:
    for number, path in enumerate(fuzz_targets.json_files()):
        for value, choice in product(range(fuzz_targets.json_values(path)), range(len(fuzz_targets.ODD) + 1)):
            fuzz_targets.run("stored_json", bytes([number, *value.to_bytes(2, "big"), choice]))


@pytest.mark.slow
def test_every_stored_column_with_every_change() -> None:
    for data in product(range(6), range(10), range(21)):
        fuzz_targets.run("stored_table", bytes(data))


@pytest.mark.slow
@pytest.mark.parametrize("target", fuzz_targets.TARGETS)
def test_a_minute_of_guided_fuzzing(target: str) -> None:
    pytest.importorskip("atheris")
    script = Path(__file__).with_name("fuzz_atheris.py")
    done = subprocess.run(
        [sys.executable, str(script), target, "60"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
