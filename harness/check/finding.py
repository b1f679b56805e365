"""What a check has found, and how shares become states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

State = Literal["ok", "warning", "failed"]
Item = TypeVar("Item")
SAMPLE = 1000
"""Examples of a split that are looked at where all of them would take too long."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check.

    Attributes:
        check: Short name of the check, the same in every run.
        state: "failed": the numbers would be wrong or nobody could use them; "warning": look at it.
        message: What was found, with counts.
        advice: What to do, where the state is not "ok".
    """

    check: str
    state: State
    message: str
    advice: str = ""


def unless_any(check: str, wrong: list[str], what: str, advice: str, *, ok: str) -> CheckResult:
    """ "failed" with the count of what is wrong and the first few, or "ok" where nothing is."""
    if not wrong:
        return CheckResult(check, "ok", ok)
    return CheckResult(check, "failed", f"{len(wrong):,} {what} ({some(wrong)})", advice)


def by_share(share: float, *, warn: float, fail: float) -> State:
    """ "ok" below ``warn``, "failed" from ``fail`` on; a share of 0 is always "ok"."""
    if share <= 0 or share < warn:
        return "ok"
    return "warning" if share < fail else "failed"


def some(names: list[str], most: int = 3) -> str:
    """The first few names: ``a, b, c and 7 more``."""
    left = len(names) - most
    return ", ".join(names[:most]) + (f" and {left:,} more" if left > 0 else "")


def sample(items: Sequence[Item]) -> list[Item]:
    """:data:`SAMPLE` of the items at most, evenly spaced."""
    return list(items[:: max(1, -(-len(items) // SAMPLE))])


def percent(share: float) -> str:
    """A share of 0..1 as a percentage with one digit; never 0.0% for something that is there."""
    return "under 0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"
