"""The errors that a user can mend. The CLI prints them without a traceback and exits with code 2."""

from typing import Any

from warmup_bench.contracts.redact import redact, visible


class UserError(Exception):
    """A mistake in what the user asked for: what is wrong, where it came from, and what to do next."""

    def __init__(self, problem: str, *, origin: str = "", hint: str = "") -> None:
        """Args: ``problem`` names the thing, ``origin`` where it came from, ``hint`` the next step.

        Any may quote what came from outside: secrets and control characters are taken out.
        """
        self.problem, self.origin, self.hint = (visible(redact(part)) for part in (problem, origin, hint))
        where = f" (from {self.origin})" if origin else ""
        then = f" {self.hint}" if hint else ""
        super().__init__(f"{self.problem}{where}.{then}")

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the three parts when the error crosses a process boundary."""
        return _rebuild, (type(self), self.problem, self.origin, self.hint)


def said_by(error: BaseException) -> str:
    """The words of an exception, which may be a plugin's and have none."""
    try:
        return str(error)
    except BaseException as worse:  # whatever a plugin's __str__ may do
        return f"(its text can't be read: {type(worse).__name__})"


class TrainingError(UserError):
    """A training that can't go on, with what was known of it when it gave up."""

    def __init__(
        self, problem: str, *, origin: str = "", hint: str = "", diagnostics: dict[str, Any] | None = None
    ) -> None:
        """Args: as :class:`UserError`, and ``diagnostics``, plain JSON (NaN allowed)."""
        super().__init__(problem, origin=origin, hint=hint)
        self.diagnostics = diagnostics or {}


def _rebuild(kind: type[UserError], problem: str, origin: str, hint: str) -> UserError:
    return kind(problem, origin=origin, hint=hint)
