"""GET / counts a visit and says who answers: {"hostname": …, "pod": …, "greeting": …, "visits": 3, "recorded": 2}"""

import http.server
import json
import os
import socket

import cache
import psycopg2


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            status, answer = 200, self.visit()
        except (OSError, psycopg2.Error) as error:
            status, answer = 502, {"error": str(error).strip()}
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def visit(self) -> dict[str, str | int | None]:
        cache.ask("LPUSH", "queue", self.client_address[0])
        return {
            "hostname": socket.gethostname(),
            "pod": os.environ.get("TPBOX_POD"),
            "greeting": os.environ.get("GREETING"),  # from the ConfigMap, through the pod
            "visits": int(cache.ask("INCR", "visits")),
            "recorded": recorded(),
        }


def recorded() -> int:
    """How many visits the worker has written. Where the database is say the PG* variables, which are libpq's own."""
    with psycopg2.connect(connect_timeout=5) as database, database.cursor() as cursor:
        cursor.execute("SELECT CASE WHEN to_regclass('visits') IS NULL THEN 0 ELSE 1 END")
        if cursor.fetchone() == (0,):
            return 0
        cursor.execute("SELECT count(*) FROM visits")
        return cursor.fetchone()[0]


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
