"""What is wrong with texts: the same for the examples of a task and for files that are compared."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

Placed = Iterable[tuple[str, str]]
"""Texts, each with the name of its place."""

REPLACEMENT = "\ufffd"
"""What stands in place of a character that was lost when bytes were read under another encoding."""
_HIDDEN = re.compile("[\u200b\u200e\u200f\u2060\ufeff\u00ad]")
"""Zero-width space, marks of direction, word joiner, byte order mark, soft hyphen; no joiners of letters."""
_TOKENISED = re.compile(r"[@￭]@(?=\s)|\s@-@\s|▁|&(?:apos|quot|#91|#93|#124);|(?<=\w)\s\.$")
"""Marks that BPE, SentencePiece or Moses leave in a text: joints, escapes, a full stop by itself."""


def without_text(placed: Placed) -> list[str]:
    """Places that hold no text but white space."""
    return [place for place, text in placed if not text.strip()]


def damaged_text(placed: Placed) -> list[str]:
    """Places whose text holds U+FFFD: it was read under another encoding once."""
    return [place for place, text in placed if REPLACEMENT in text]


def outside(placed: Placed, labels: Collection[str]) -> list[str]:
    """Places whose text is none of the labels, with it."""
    return [f"{place} has '{text}'" for place, text in placed if text not in labels]


def hidden(placed: Placed) -> list[str]:
    """Places whose text holds characters of no width, which metrics see and readers don't."""
    return [place for place, text in placed if _HIDDEN.search(text)]


def decomposed(texts: Iterable[str]) -> int:
    """How many texts hold letters in parts (NFD), which metrics take for others than whole ones (NFC)."""
    return sum(not unicodedata.is_normalized("NFC", text) for text in texts)


def tokenised(texts: Sequence[str]) -> int:
    """How many texts show the marks of a tokeniser."""
    return sum(bool(_TOKENISED.search(text)) for text in texts)
