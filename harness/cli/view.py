"""``warmup-bench view``: the HTML report, served to this machine alone."""

import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from rich.console import Console

from warmup_bench.api import load
from warmup_bench.contracts.errors import UserError

HOST = "127.0.0.1"


def view_command(folder: Path, baseline: str | None, port: int, *, browser: bool) -> None:
    """Serve the report of a results folder until it is interrupted.

    Raises:
        UserError: Nothing stored, unknown baseline, or the port is taken.
        CorruptError: A stored cell is damaged.
    """
    console = Console()
    page = load(folder).report("html", baseline=baseline)
    with make_server(page, port) as server:
        address = f"http://{HOST}:{server.server_port}/"
        console.print(f"Report of {folder} at {address} until Ctrl-C.", soft_wrap=True, markup=False)
        if browser and not webbrowser.open(address):
            console.print("No browser opened: go there yourself.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("Stopped.")


def make_server(page: str, port: int) -> ThreadingHTTPServer:
    """A server of one page on the loopback interface.

    It answers only requests that name it as a browser on this machine does: a site elsewhere whose name
    was made to point here (DNS rebinding) sends its own name as Host and is refused.

    Args:
        page: The HTML.
        port: Port to listen on; 0 for any free one.

    Raises:
        UserError: The port can't be had.
    """
    body = page.encode()
    names: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        """GET and HEAD of the page."""

        server_version, sys_version = "warmup-bench", ""
        headers_of_all: ClassVar = {
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }

        def do_GET(self) -> None:
            """The page, or why there is none."""
            status, kind, content = self._answer()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            for name, value in self.headers_of_all.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def do_HEAD(self) -> None:
            """The same without the page itself."""
            self.do_GET()

        def _answer(self) -> tuple[HTTPStatus, str, bytes]:
            if self.headers.get("Host") not in names:
                return HTTPStatus.FORBIDDEN, "text/plain", b"This server answers this machine only.\n"
            if self.path.partition("?")[0] != "/":
                return HTTPStatus.NOT_FOUND, "text/plain", b"The report is at /.\n"
            return HTTPStatus.OK, "text/html", body

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """No line for each request."""

    try:
        server = ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise UserError(
            f"can't listen on port {port}: {error.strerror or error}",
            origin="--port",
            hint="Choose another, or leave it out for any free one.",
        ) from error
    names |= {f"{name}:{server.server_port}" for name in (HOST, "localhost")}
    return server
