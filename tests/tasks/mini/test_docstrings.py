from pathlib import Path

import pytest

from warmup_bench.tasks.mini import docstrings

BODY = " ".join(f"word{i}" for i in range(20))


def test_numpydoc_keeps_prose_and_parameters_and_drops_examples() -> None:
    text = """The data are left as they are.

Parameters
----------
axis : int, optional
    The axis along which :func:`~numpy.sum` works.

See Also
--------
mean : Another one.

Examples
--------
>>> f(1)
True

Notes
-----
See `the manual <https://example.org>`_ and ``a[0]``.
"""
    assert docstrings.plain(text) == (
        "The data are left as they are. Parameters axis : int, optional "
        "The axis along which numpy.sum works. Notes See the manual and a[0]."
    )


def test_sphinx_fields_markdown_and_directives() -> None:
    text = """Use [`Trainer`] for **all** of it::

    literal code

Then go on.

.. versionadded:: 2.0
   Never mind.

```python
print("code")
```
- a bullet
:param x: the input
:return: the output
"""
    assert docstrings.plain(text) == (
        "Use Trainer for all of it: Then go on. a bullet x: the input Returns: the output"
    )


def test_split_takes_the_first_paragraph_and_cuts_the_body() -> None:
    long_body = " ".join(f"w{i}" for i in range(100))
    summary, body = docstrings.split(f"Return the sum\nof ``values``.\n\n{long_body}") or ("", "")
    assert summary == "Return the sum of values."
    assert body == " ".join(f"w{i}" for i in range(60))


@pytest.mark.parametrize(
    "docstring",
    [
        f"Too short.\n\n{BODY}",
        f"{'Word ' * 26}\n\n{BODY}",
        "A summary of five words.\n\nA body that is too short.",
        "A summary of five words.",
        f"A summary of five words.\n\n{BODY} a SUMMARY of five words, again.",
        f"add(x, y) -> the sum of both\n\n{BODY}",
        f"Return the %(name)s of the {{axis}} here\n\n{BODY}",
        f"the summary without a capital letter\n\n{BODY}",
        f"A Title Of Four Words\n=====================\n\n{BODY}",
        f"A summary of five words.\n\nCopyright {BODY}",
    ],
)
def test_split_refuses_bad_examples(docstring: str) -> None:
    assert docstrings.split(docstring) is None


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of our own in the place of the installed ones."""
    monkeypatch.setattr(docstrings, "SOURCES", {"ours": ("**",), "absent": ("**",)})
    monkeypatch.setattr(docstrings, "_root", lambda name: tmp_path if name == "ours" else None)
    return tmp_path


def test_collect_parses_files_without_running_them(package: Path) -> None:
    (package / "sub").mkdir()
    (package / "sub" / "b.py").write_text(
        f'"""The module has a docstring.\n\n{BODY} module\n"""\n'
        "raise RuntimeError('never imported')\n"
        f'class C:\n    """The class has a docstring.\n\n    {BODY} class\n    """\n'
        f'    def f(self):\n        """The method has a docstring.\n\n        {BODY} method\n        """\n'
    )
    (package / "a.py").write_text(f'"""The first file comes first.\n\n{BODY} first\n"""\n')
    (package / "broken.py").write_text('def broken(:\n    """Never parsed at all."""\n')
    (package / "tests").mkdir()
    (package / "tests" / "c.py").write_text(f'"""The tests are left out.\n\n{BODY} tests\n"""\n')
    documented = docstrings.collect()
    assert [(d.module, d.summary) for d in documented] == [
        ("ours/a.py", "The first file comes first."),
        ("ours/sub/b.py", "The module has a docstring."),
        ("ours/sub/b.py", "The class has a docstring."),
        ("ours/sub/b.py", "The method has a docstring."),
    ]
    assert documented[0].body == f"{BODY} first"


def test_collect_takes_a_summary_and_a_body_once(package: Path) -> None:
    (package / "a.py").write_text(f'"""The summary is the same.\n\n{BODY} one\n"""\n')
    (package / "b.py").write_text(f'"""The Summary is the same.\n\n{BODY} two\n"""\n')
    (package / "c.py").write_text(f'"""The body is the same.\n\n{BODY} one\n"""\n')
    assert [d.module for d in docstrings.collect()] == ["ours/a.py"]


def test_collect_skips_files_with_little_documentation(package: Path) -> None:
    padding = "x = 1\n" * docstrings.MAX_BYTES_A_DOCSTRING
    (package / "a.py").write_text(f'"""The file is long and bare.\n\n{BODY}\n"""\n{padding}')
    assert docstrings.collect() == []
