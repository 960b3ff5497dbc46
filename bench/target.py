"""What is measured against: a namespace of the embedded cluster with nginx, the load program's server and its client.

with target.installed() as namespace: ...
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
NODE = "tpbox-cluster"
NAMESPACE = "tpbox-bench"
IMAGE = "tpbox-bench:1"
EXAMPLE = {"web", "web-flags"}  # of examples/shop.yaml: nginx and what it needs
READY_WITHIN = 60  # seconds


class BenchError(Exception):
    """A measurement cannot be made; the text says why."""


@contextmanager
def installed() -> Iterator[str]:
    """The namespace's name, when all in it is ready; removed when the block is left."""
    try:
        manifests = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *_documents()]
        kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
        for deployment in ("web", "load", "client"):
            wait = ["rollout", "status", f"deploy/{deployment}", f"--timeout={READY_WITHIN}s"]
            kubectl("-n", NAMESPACE, *wait, timeout=READY_WITHIN + 10)
        yield NAMESPACE
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def documents() -> list[dict[str, Any]]:
    """The load program's server and client, without a namespace."""
    return list(yaml.safe_load_all((ROOT / "bench" / "target.yaml").read_text()))


def _documents() -> list[dict[str, Any]]:
    shop = yaml.safe_load_all((ROOT / "examples" / "shop.yaml").read_text())
    found = [*(one for one in shop if one["metadata"]["name"] in EXAMPLE), *documents()]
    for one in found:
        one["metadata"]["namespace"] = NAMESPACE
    return found


def kubectl(*argv: str, stdin: str = "", timeout: float = 60) -> str:
    """The node's own kubectl. Returns its stdout; raises BenchError with its words."""
    interactive = ["-i"] if stdin else []
    return run("docker", "exec", *interactive, NODE, "kubectl", *argv, stdin=stdin, timeout=timeout)


def run(*argv: str, stdin: str = "", timeout: float = 60) -> str:
    """Runs a program to its end. Returns its stdout; raises BenchError with its last words."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{' '.join(argv)}: not done within {timeout:.0f} s") from None
    if done.returncode != 0:
        raise BenchError((done.stderr.strip().splitlines() or [f"{argv[0]} ended with {done.returncode}"])[-1])
    return done.stdout


def container_id(session: str, namespace: str) -> str:
    """The id of the container of a session's proxy pod. Raises BenchError when there is none."""
    pods = json.loads(kubectl("-n", namespace, "get", "pods", "-l", f"tpbox.dev/session={session}", "-o", "json"))
    for pod in pods["items"]:
        for status in pod["status"].get("containerStatuses", []):
            return str(status["containerID"]).rpartition("/")[2]
    raise BenchError(f"session {session} has no proxy pod")


def wait_for(what: str, look: Any, timeout: float) -> Any:
    """The first true answer of `look`. Raises BenchError when there is none within `timeout` seconds."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise BenchError(f"not within {timeout:.0f} s: {what}")
