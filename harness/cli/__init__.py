"""The command line. One small module a command; heavy imports stand inside the handlers."""

import io
import sys


def start() -> None:
    """Entry point of ``warmup-bench``: :func:`main`, in a process that is watched where it runs plugins."""
    from warmup_bench.cli import guard

    guard.on()
    main()


def main() -> None:
    """The command line: 0 all done, 1 some cells failed, 2 a bad request, 130 Ctrl-C."""
    from warmup_bench.cli.app import app
    from warmup_bench.contracts.errors import UserError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of an encoding that lacks a sign
    try:
        app()
    except UserError as error:
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True, soft_wrap=True).print(Text.assemble(("error: ", "bold red"), str(error)))
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; finished cells are kept, run the same command to go on", file=sys.stderr)  # noqa: T201
        sys.exit(130)
