"""A registry on the loopback, for `docker push`: https://github.com/opencontainers/distribution-spec

with serving() as registry:
    docker("push", f"{registry.address}/team/image:1")
    assert registry.manifests == ["/v2/team/image/manifests/1"]
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


@dataclass
class Registry:
    """As much of a registry as a push needs; what is pushed is not kept."""

    address: str
    manifests: list[str]


class _Handler(BaseHTTPRequestHandler):
    manifests: list[str]
    blobs: dict[str, int]  # their bytes by digest
    uploads: dict[str, int]  # by path

    def do_GET(self) -> None:
        self._answer(200)

    def do_HEAD(self) -> None:
        digest = self.path.rpartition("/")[2]
        found = digest in self.blobs
        headers = {"Content-Length": str(self.blobs[digest]), "Docker-Content-Digest": digest} if found else {}
        self._answer(200 if found else 404, **headers)

    def do_POST(self) -> None:
        upload = f"{self.path.partition('?')[0].rstrip('/')}/{len(self.uploads)}"
        self.uploads[upload] = 0
        self._answer(202, Location=upload)

    def do_PATCH(self) -> None:
        self.uploads[self.path] += len(self._read())
        self._answer(202, Location=self.path, Range=f"0-{self.uploads[self.path] - 1}")

    def do_PUT(self) -> None:
        body = self._read()
        path, _, query = self.path.partition("?digest=")
        if query:
            digest = unquote(query)
            self.blobs[digest] = self.uploads[path] + len(body)
        else:
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            self.manifests.append(path)
        self._answer(201, **{"Docker-Content-Digest": digest})

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextlib.contextmanager
def serving() -> Iterator[Registry]:
    manifests: list[str] = []
    kept = {"manifests": manifests, "blobs": {}, "uploads": {}, "protocol_version": "HTTP/1.1"}
    handler = type("Handler", (_Handler,), kept)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Registry(f"127.0.0.1:{server.server_port}", manifests)
        server.shutdown()
