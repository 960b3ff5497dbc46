"""The embedded cluster as the tests see it, through the node's own kubectl, and the example namespace in it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.launcher import ROOT

NODE_LABEL = "tpbox.dev/role=cluster"
NODE_KUBECONFIG = "/run/node/kubeconfig"
TEST_LABEL = "tpbox-e2e"  # on the namespaces that the tests make; its value is the pid of pytest
YAML = ROOT / "examples" / "shop.yaml"
PAGE = (ROOT / "examples" / "shop" / "files" / "srv" / "www" / "index.html").read_bytes()


def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(YAML.read_text()))


def document(kind: str, name: str) -> dict[str, Any]:
    return next(d for d in documents() if d["kind"] == kind and d["metadata"]["name"] == name)


def docker(*argv: str, stdin: str = "", timeout: float = 60) -> str:
    """Runs docker and returns its stdout. Fails the test with its stderr."""
    done = subprocess.run(["docker", *argv], input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, f"docker {' '.join(argv)}: {done.stderr}"
    return done.stdout


@functools.cache
def node() -> str:
    """The node's container."""
    found = docker("ps", "--filter", f"label={NODE_LABEL}", "--format", "{{.Names}}").split()
    assert "tpbox-cluster" in found, f"the embedded cluster does not run: {found}"
    return "tpbox-cluster"


def kubectl(*argv: str, stdin: str = "", timeout: float = 60) -> str:
    interactive = ["-i"] if stdin else []
    return docker(
        "exec", *interactive, node(), "kubectl", "--kubeconfig", NODE_KUBECONFIG, *argv, stdin=stdin, timeout=timeout
    )


def get(*argv: str) -> dict[str, Any]:
    """`kubectl get … -o json`."""
    return dict(json.loads(kubectl("get", *argv, "-o", "json")))


def items(*argv: str) -> list[dict[str, Any]]:
    return list(get(*argv)["items"])


def cluster_ip(service: str, namespace: str) -> str:
    return str(get("service", service, "-n", namespace)["spec"]["clusterIP"])


def make_namespace(name: str, **labels: str) -> None:
    metadata = {"name": name, "labels": {TEST_LABEL: str(os.getpid()), **labels}}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def remove_namespaces() -> None:
    """Asks for the end of the namespaces that this run of the tests, or one that has died, has made."""
    for found in items("namespaces", "-l", TEST_LABEL):
        run = found["metadata"]["labels"][TEST_LABEL]
        if run == str(os.getpid()) or not Path("/proc", run).exists():
            kubectl("delete", "namespace", found["metadata"]["name"], "--wait=false")


def install(namespace: str) -> None:
    """Puts the example into a namespace that is there, and waits until all of it is ready."""
    wanted = [d for d in documents() if d["kind"] != "Namespace"]
    for one in wanted:
        one["metadata"]["namespace"] = namespace
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(wanted))
    for one in wanted:
        if one["kind"] in ("Deployment", "StatefulSet"):
            target = f"{one['kind']}/{one['metadata']['name']}"
            kubectl("-n", namespace, "rollout", "status", target, "--timeout=90s", timeout=100)
