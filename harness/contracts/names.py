"""Names that become folders and files."""

import re

from warmup_bench.contracts.errors import UserError

PATTERN = r"^[A-Za-z0-9_+=][A-Za-z0-9_.+=@-]{0,150}$"
"""What such a name looks like: never a path, never hidden, never an option of a command."""


def file_name(name: str, what: str) -> str:
    """The name, if it is one.

    Raises:
        UserError: It could lead out of the folder that it is to stand in; ``what`` says what it names.
    """
    if re.fullmatch(PATTERN, name) is None:
        raise UserError(
            f"{what} {name[:80]!r} can't name a folder",
            hint="Use letters, digits and . _ + = @ -, with none of . @ - in front.",
        )
    return name
