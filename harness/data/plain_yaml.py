"""YAML of plain values, with bounds: what can't be read is said in one line, whatever it is."""

from itertools import chain
from typing import Any

import yaml

DEEPEST = 50
"""Levels of nesting."""
MOST = 100_000
"""Values of a document, with what its aliases stand for counted each time."""


def read_yaml(text: str) -> Any:
    """Parse one document of plain values.

    Raises:
        ValueError: It is not YAML, or holds an impossible date or number, a tag of no plain value, an alias
            inside of what it stands for, more than :data:`MOST` values or :data:`DEEPEST` levels, or a
            character that is not text. The message is one line.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, 0, {}, set())
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep") from None
    # PyYAML's own converters raise any of these for text that a tag or a pattern sends to them: "2001-99-99",
    # "!!int x", "!!bool x", "!!timestamp x".
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, OverflowError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _size(node: yaml.Node, depth: int, known: dict[int, int], above: set[int]) -> int:
    """Values in a node, aliases expanded.

    Args:
        node: Where to count.
        depth: Levels above it.
        known: Sizes of the nodes that were counted before, by identity.
        above: Identities of the nodes that this one stands in.
    """
    if isinstance(node, yaml.ScalarNode):
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in node.value):
            raise ValueError("it holds a character that is not text")
        return 1
    name = id(node)
    if name in above:
        raise ValueError("an alias stands inside of what it stands for")
    if name not in known:
        if depth > DEEPEST:
            raise RecursionError
        values = chain(*node.value) if isinstance(node, yaml.MappingNode) else node.value
        known[name] = 1 + sum(_size(value, depth + 1, known, above | {name}) for value in values)
    if known[name] > MOST:
        raise ValueError(f"it holds more than {MOST:,} values")
    return known[name]
