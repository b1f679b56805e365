"""``warmup-bench view``: the HTML report, served to this machine alone."""

import contextlib
import socket
import sys
import threading
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Console

from warmup_bench.api import load
from warmup_bench.contracts.errors import UserError

HOST = "127.0.0.1"
MOST = 32
"""Requests that are answered at once; others wait in the system's queue."""
PATIENCE = 10.0
"""Seconds that a client may take for its request, and for each part of the answer."""


class Server(ThreadingHTTPServer):
    """A server that slow clients, many of them, and those that hang up do no harm."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(MOST)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, once there is one."""
        self._free.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As it is, within its time."""
        hang_up = threading.Timer(PATIENCE, _hang_up, [request])
        hang_up.daemon = True
        hang_up.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            hang_up.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has hung up is nobody's error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _hang_up(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


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


def hosts(port: int) -> set[str]:
    """What a browser on this machine says in ``Host``; the usual port it leaves out."""
    named = {f"{name}:{port}" for name in (HOST, "localhost")}
    return named | {HOST, "localhost"} if port == 80 else named


def make_server(page: str, port: int) -> Server:
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

        server_version, sys_version, timeout = "warmup-bench", "", PATIENCE
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
        server = Server((HOST, port), Handler)
    except OSError as error:
        raise UserError(
            f"can't listen on port {port}: {error.strerror or error}",
            origin="--port",
            hint="Choose another, or leave it out for any free one.",
        ) from error
    names |= hosts(server.server_port)
    return server
