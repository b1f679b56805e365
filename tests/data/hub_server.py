"""A hub on this machine: one data set at one commit, by the addresses that the hub's own client asks for."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

NAME, COMMIT = "someone/tiny", "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Serve these files (path to contents); gives the address and the list of what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            self.path += f"?{json.dumps(wanted)}"
            self.answer()

        def answer(self, body: bool = True) -> None:
            path = unquote(urlsplit(self.path).path)
            asked.append(f"{self.command} {path}")
            start = f"/datasets/{NAME}/resolve/{COMMIT}/"
            if path.startswith(start) and (content := files.get(path.removeprefix(start))) is not None:
                return self.send(content, body)
            if path.startswith(f"/api/datasets/{NAME}/tree/{COMMIT}"):
                folder = path.removeprefix(f"/api/datasets/{NAME}/tree/{COMMIT}").strip("/")
                return self.send(json.dumps(self.tree(folder)).encode(), body)
            if path == f"/api/datasets/{NAME}/paths-info/{COMMIT}":
                every = [*self.tree(""), *(e for f in self.folders() for e in self.tree(f))]
                return self.send(
                    json.dumps([e for e in every if f'"{e["path"]}"' in self.path]).encode(), body
                )
            if path in (f"/api/datasets/{NAME}", f"/api/datasets/{NAME}/revision/{COMMIT}"):
                siblings = [{"rfilename": name} for name in files]
                return self.send(
                    json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings, "tags": []}).encode(), body
                )
            return self.send(b"not here", body, 404)

        def folders(self) -> set[str]:
            return {name.rpartition("/")[0] for name in files} - {""}

        def tree(self, folder: str) -> list[dict[str, object]]:
            """The files and folders of one folder, all below it for the root."""
            here = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in files.items()
                if name.rpartition("/")[0] == folder
            ]
            below = self.folders() if not folder else set()
            return [*here, *({"type": "directory", "path": name, "size": 0, "oid": COMMIT} for name in below)]

        def send(self, content: bytes, body: bool, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            if status == 404:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
