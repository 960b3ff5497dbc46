"""What the tests of swap and expose use: a server to run locally, and clients in the cluster.

with tpbox.start("--swap", "deploy/web", "--image", CLIENTS, "--", *server(80)) as running:
    ...
with Asker(namespace, "http://web/hostname") as asker:     # 20 requests a second, each by a new connection
    ...
assert not asker.failures()
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, SHOP, wait_for
from tpbox.local import images

LOCAL = "the local process"
IN_CLUSTER_LIMIT = 3  # seconds of a single request

# Answers every GET with LOCAL; listens after a delay. SIGTERM ends it as it ends any Python program.
SERVER = f"""
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"{LOCAL}"
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer.request_queue_size = 128
time.sleep(float(sys.argv[2]))
server = http.server.ThreadingHTTPServer((sys.argv[3], int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""

# One request each 50 ms, whatever becomes of those before; a line for each. It begins when the Service answers: a node
# hears of endpoints a moment after the pod is Ready.
ASKER = """
import sys, threading, time, urllib.request
def ask(number):
    began = time.time()
    try:
        with urllib.request.urlopen(sys.argv[1], timeout=1) as answer:
            said = "ok " + answer.read().decode().strip()
    except Exception as error:
        said = f"failed {error!r}"
    print(f"{number} {began:.3f} {time.time() - began:.3f} {said}", flush=True)
for _ in range(100):
    try:
        urllib.request.urlopen(sys.argv[1], timeout=1).close()
        break
    except OSError:
        time.sleep(0.1)
due = time.monotonic()
for number in range(100_000):
    threading.Thread(target=ask, args=(number,)).start()
    due += 0.05
    time.sleep(max(0, due - time.monotonic()))
"""


@contextlib.contextmanager
def deployment(namespace: str, name: str, replicas: int = 1, **pod: Any) -> Iterator[str]:
    """A small deployment with a Service, which serves on for 3 s after it was told to end."""
    container = {
        "name": "app", "image": SHOP, "imagePullPolicy": "Never", "command": ["nginx"],
        "ports": [{"name": "http", "containerPort": 80}],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": 80}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}},
    }  # fmt: skip
    labels = {"app": name}
    spec = {"terminationGracePeriodSeconds": 5, "containers": [container], **pod}
    made = [
        {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "replicas": replicas, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec},
            },
        },
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
        },
    ]  # fmt: skip
    shop.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, made)))
    try:
        wait_rolled_out(namespace, f"deployment/{name}")
        yield name
    finally:
        shop.kubectl(
            "-n", namespace, "delete", f"deployment/{name}", f"service/{name}", "--ignore-not-found", "--wait=false"
        )


def server(port: int, delay: float = 0, address: str = "0.0.0.0") -> list[str]:
    """The words of the image and program that serve on `port`."""
    return ["--image", CLIENTS, "--", "python3", "-c", SERVER, str(port), str(delay), address]


def get(namespace: str, url: str) -> str:
    """What a client in the cluster is answered; "" for no answer at all."""
    curl = ["curl", "-sS", "-m", str(IN_CLUSTER_LIMIT), url]
    script = ["sh", "-c", '"$@" 2>/dev/null || true', "sh", *curl]
    return shop.kubectl("-n", namespace, "exec", "deploy/worker", "--", *script)


def replicas(namespace: str, workload: str) -> int:
    return int(shop.get(workload, "-n", namespace)["spec"]["replicas"])


def workload(namespace: str, name: str) -> dict[str, Any]:
    """All of a workload that its owner has written: what a swap has to leave as it was."""
    found = shop.get(name, "-n", namespace)
    metadata = {k: found["metadata"].get(k) for k in ("name", "uid", "labels", "annotations", "ownerReferences")}
    return {"metadata": metadata, "spec": found["spec"]}


def ready(namespace: str, session: str) -> bool:
    """Whether the session's proxy pod is Ready."""
    pods = shop.items("pods", "-n", namespace, "-l", f"tpbox.dev/session={session}")
    conditions = [c for pod in pods for c in pod["status"].get("conditions", ())]
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def wait_replicas(namespace: str, workload: str, wanted: int, timeout: float = 40) -> None:
    wait_for(f"{workload} at {wanted} replicas", lambda: replicas(namespace, workload) == wanted, timeout)


def wait_rolled_out(namespace: str, workload: str) -> None:
    shop.kubectl("-n", namespace, "rollout", "status", workload, "--timeout=60s", timeout=70)


@dataclass(frozen=True)
class Attempt:
    number: int
    at: float  # seconds since the epoch
    seconds: float
    ok: bool
    said: str


class Asker:
    """A pod that asks `url` 20 times a second, each time by a new connection, without a second try."""

    def __init__(self, namespace: str, url: str) -> None:
        self._namespace, self._url = namespace, url
        self._name = f"asker-{secrets.token_hex(2)}"

    def __enter__(self) -> Self:
        image = images.find("images/proxy-pod", "tpbox-proxy-pod").reference  # a Python that is in the cluster
        container = {
            "name": "asker", "image": image, "imagePullPolicy": "Never",
            "command": ["/usr/bin/python3", "-c", ASKER, self._url],
        }  # fmt: skip
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never"},
        }
        shop.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
        wait_for("the first answers", lambda: len(self.attempts()) > 20, 30)
        return self

    def __exit__(self, *_: object) -> None:
        shop.kubectl("-n", self._namespace, "delete", "pod", self._name, "--wait=false")

    def attempts(self) -> list[Attempt]:
        log = shop.kubectl("-n", self._namespace, "logs", self._name) if self._started() else ""
        found = []
        for line in log.splitlines():
            number, at, seconds, outcome, *said = line.split(" ", 4)
            found.append(Attempt(int(number), float(at), float(seconds), outcome == "ok", "".join(said)))
        return found

    def failures(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts() if not attempt.ok]

    def wait_attempts(self, more: int) -> None:
        """Waits for so many further ones."""
        before = len(self.attempts())
        wait_for("more attempts", lambda: len(self.attempts()) >= before + more, 10 + more / 10)

    def _started(self) -> bool:
        status = shop.get("pod", self._name, "-n", self._namespace)["status"]
        return any("running" in c["state"] for c in status.get("containerStatuses", ()))


def settle(seconds: float) -> None:
    """For what must not happen: time in which it would."""
    time.sleep(seconds)
