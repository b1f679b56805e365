"""What mini data are made of, kept in the user's cache: to make it takes seconds, to read it a tenth of one.

The file's name says what it was made from: this folder's code, the interpreter, the packages' releases and
places. A file that is damaged, or can't be written, costs the time to make its rows again and nothing else.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from warmup_bench.data.hub import cache_folder


def kept(name: str, packages: Iterable[str], make: Callable[[], list[Any]], *given: Any) -> list[Any]:
    """The JSON rows that ``make`` returns, from the cache where they are there.

    Args:
        name: What they are.
        packages: Import names of the packages that they are made from, each also a distribution's name.
        make: Makes them; tuples come back as lists.
        given: What else they depend on.
    """
    path = cache_folder() / "mini" / f"{name}-{_key(packages, given)}.json"
    with suppress(OSError, ValueError):
        digest, _, body = path.read_text(encoding="utf-8").partition("\n")
        if digest == _hash(body):
            rows: list[Any] = json.loads(body)
            return rows
    rows = make()
    body = json.dumps(rows)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(f"{_hash(body)}\n{body}", encoding="utf-8")
        temporary.replace(path)
    return rows


def _key(packages: Iterable[str], given: tuple[Any, ...]) -> str:
    code = [path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    return _hash(repr((sys.version, os.__file__, code, given, [_release(package) for package in packages])))[
        :16
    ]


def _release(package: str) -> tuple[str, str]:
    """Release and place of a package, which is not imported."""
    spec = find_spec(package)
    try:
        return version(package), str(spec and spec.origin)
    except PackageNotFoundError:
        return "none", str(spec and spec.origin)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
