import http.client
import socket
import threading
import time
import webbrowser
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from command import invoke
from stored_cells import Written, store
from warmup_bench.cli import view
from warmup_bench.cli.view import hosts, make_server
from warmup_bench.contracts.errors import UserError

PAGE = "<!doctype html><title>seite ü</title>"


@pytest.fixture
def port() -> Iterator[int]:
    with make_server(PAGE, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        assert server.server_address[0] == "127.0.0.1"
        yield server.server_port
        server.shutdown()
        thread.join()


def ask(port: int, path: str = "/", host: str | None = None, method: str = "GET") -> tuple[int, str, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), dict(answer.getheaders())


def test_it_serves_the_page(port: int) -> None:
    status, body, headers = ask(port)
    assert (status, body) == (200, PAGE)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert ask(port, "/?x=1", f"localhost:{port}")[0] == 200
    status, body, headers = ask(port, method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, "", str(len(PAGE.encode())))


def test_it_serves_nothing_else(port: int) -> None:
    for path in ("/etc/passwd", "/../pyproject.toml", "/favicon.ico"):
        assert ask(port, path)[0] == 404
    assert ask(port, method="POST")[0] == 501


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", ""])
def test_a_name_from_elsewhere_is_refused(port: int, host: str) -> None:
    status, body, _ = ask(port, host=host.format(port=port))
    assert status == 403
    assert "seite" not in body


def test_a_taken_port_is_a_plain_error(port: int) -> None:
    with pytest.raises(UserError, match=f"can't listen on port {port}"):
        make_server(PAGE, port)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder whose task no program knows: a report needs none."""
    out = tmp_path_factory.mktemp("results")
    for method in ("sft", "warmup"):
        written = [Written(f"{method} {i}", None if method == "sft" else "a") for i in range(4)]
        store(out, method, 0, list("abcd"), [[c] for c in "abcd"], written, metric_names=("chrf++",))
    return out


@pytest.mark.parametrize("option", [[], ["--no-browser"]], ids=["browser", "no browser"])
def test_the_command_serves_until_it_is_interrupted(
    results: Path, option: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def interrupted(server: ThreadingHTTPServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", lambda address: not opened.append(address))
    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupted)
    done = invoke("view", str(results), *option, cwd=results)
    assert done.returncode == 0
    address = done.stdout.split(" at ")[1].split(" ")[0]
    assert address.startswith("http://127.0.0.1:")
    assert opened == ([] if option else [address])
    assert done.stdout.endswith("Stopped.\n")


def test_a_folder_without_results_is_a_plain_error(tmp_path: Path) -> None:
    done = invoke("view", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 2
    assert "is not a results folder" in done.stderr


def test_at_port_80_a_browser_names_no_port() -> None:
    assert hosts(80) == {"127.0.0.1:80", "localhost:80", "127.0.0.1", "localhost"}
    assert hosts(8000) == {"127.0.0.1:8000", "localhost:8000"}


def test_slow_clients_are_few_and_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(view, "MOST", 3)
    monkeypatch.setattr(view, "PATIENCE", 0.2)
    before = threading.active_count()
    with make_server(PAGE, 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        clients = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(8)]
        clients[0].sendall(b"GET / HTTP/1.1\r\n")  # and no more
        deadline = time.monotonic() + 20
        while threading.active_count() < before + 1 + 3:
            assert time.monotonic() < deadline
        assert threading.active_count() <= before + 1 + 2 * 3  # each with its clock
        assert ask(server.server_port)[0] == 200  # once the others were hung up on
        for client in clients:
            client.close()
        server.shutdown()
        thread.join()
    assert capsys.readouterr().err == ""


def test_a_client_that_hangs_up_leaves_no_word(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset at once
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.close()
    assert ask(port)[0] == 200
    assert capsys.readouterr().err == ""
