import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from warmup_bench.data.plain_yaml import DEEPEST, MOST, read_yaml

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=10,
)


@given(plain.filter(lambda value: "\0" not in str(value) and "\\x00" not in repr(value)))
def test_plain_values_come_back(value: object) -> None:
    assert read_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "2001-99-99",  # PyYAML raises errors of six kinds for these
        "!!int x",
        "!!timestamp x",
        "!!bool x",
        "!!int ''",
        "9" * 5000,
        "[" * 5000,
        "&a [*a]",
        "a: &a {b: *a}",
        "!!python/object/apply:os.system [id]",
        "!!python/name:os.system",
        '"\\ud800"',
        '"\\0"',
        "a: [",
        "a\n---\nb",
        "? {a: [b]}\n: c",
    ],
)
def test_what_is_no_plain_value_is_said_in_one_line(text: str) -> None:
    with pytest.raises(ValueError) as error:
        read_yaml(text)
    assert len(str(error.value)) > 0
    assert "\n" not in str(error.value)


def test_nothing_grows_out_of_bounds() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(ValueError, match=f"more than {MOST:,} values"):
        read_yaml("\n".join(lines))
    with pytest.raises(ValueError, match=f"more than {DEEPEST} levels"):
        read_yaml("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2))


def test_an_alias_is_no_crime() -> None:
    assert read_yaml("a: &x {b: 1}\nc: {<<: *x, d: 2}\n") == {"a": {"b": 1}, "c": {"b": 1, "d": 2}}
