"""A small web application that says who it is, and what it gets from the shop.

    GET /       {"hostname": …, "pod": …, "namespace": …, "client": …}
    GET /shop   the page of http://web/ (or of $SHOP_URL), fetched when asked

It listens on $PORT, 8080 if that is not set.
"""

import contextlib
import http.server
import json
import os
import socket
import sys
import urllib.error
import urllib.request

PORT = int(os.environ.get("PORT", "8080"))
SHOP_URL = os.environ.get("SHOP_URL", "http://web/")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, "application/json", json.dumps(self.identity()).encode() + b"\n")
        elif self.path == "/shop":
            self.answer(*fetch(SHOP_URL))
        else:
            self.answer(404, "text/plain", b"not found\n")

    def identity(self) -> dict[str, str | None]:
        return {
            "hostname": socket.gethostname(),
            "pod": os.environ.get("TPBOX_POD"),
            "namespace": os.environ.get("TPBOX_NAMESPACE"),
            "client": self.client_address[0],
        }

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def fetch(url: str) -> tuple[int, str, bytes]:
    """Status, content type and body of `url`; 502 with the reason when there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read()
    except (urllib.error.URLError, OSError) as error:
        return 502, "text/plain", f"{url}: {error}\n".encode()


def main() -> None:
    server = http.server.ThreadingHTTPServer(("", PORT), Handler)
    sys.stdout.write(f"{socket.gethostname()} answers on port {server.server_port}\n")
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()
