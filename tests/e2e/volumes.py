"""A workload with volumes of every kind, and a session like it that is looked into while it runs.

apply(*manifest(namespace))
session = Session(running, namespace)
session.read("/etc/app/greeting"), session.in_pod("cat /etc/app/greeting")
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, Running, wait_for
from tests.e2e.shop import docker, kubectl

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
PATHS = ["/data", "/etc/app", "/etc/app.conf", "/etc/guarded", "/etc/podinfo", "/var/run/app", TOKEN_PATH]


def manifest(namespace: str) -> list[dict[str, Any]]:
    """A workload with volumes of every kind, of which no pod runs."""
    mounts = [
        {"name": "data", "mountPath": "/data"},
        {"name": "config", "mountPath": "/etc/app"},
        {"name": "config", "mountPath": "/etc/app.conf", "subPath": "app.conf"},
        {"name": "guarded", "mountPath": "/etc/guarded", "readOnly": True},
        {"name": "info", "mountPath": "/etc/podinfo"},
        {"name": "data", "mountPath": "/var/run/app", "subPath": "run"},
    ]
    volumes = [
        {"name": "data", "emptyDir": {}},
        {"name": "config", "configMap": {"name": "volumes"}},
        {"name": "guarded", "secret": {"secretName": "web", "defaultMode": 0o400}},
        {
            "name": "info",
            "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]},
        },
    ]
    container = {"name": "app", "image": CLIENTS, "volumeMounts": mounts}
    labels = {"app": "volumes"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}}
    metadata = {"name": "volumes", "namespace": namespace}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
         "data": {"greeting": "hello", "app.conf": "setting = 1\n"}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
    ]  # fmt: skip


def apply(*documents: dict[str, Any]) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))


def host_mounts() -> str:
    """The FUSE mounts that the host sees."""
    done = subprocess.run(["findmnt", "-t", "fuse.sshfs,fuse", "-n"], capture_output=True, text=True, check=False)
    return done.stdout


@dataclass
class Session:
    """A session that runs; its container is looked into with docker exec."""

    running: Running
    namespace: str

    @property
    def name(self) -> str:
        return f"tpbox-{self.running.session}"

    @property
    def app(self) -> str:
        return f"{self.name}-app"

    def exec(self, *argv: str, user: str = "0", timeout: float = 60) -> str:
        return docker("exec", "-u", user, self.app, *argv, timeout=timeout)

    def read(self, path: str) -> str:
        return self.exec("cat", path)

    def python(self, program: str, *argv: str, user: str = "0") -> str:
        return self.exec("python3", "-c", program, *argv, user=user).strip()

    def pod(self) -> str:
        selector = f"tpbox.dev/session={self.running.session}"
        pods = shop.items("pods", "-n", self.namespace, "-l", selector)
        return str(next(p["metadata"]["name"] for p in pods if "deletionTimestamp" not in p["metadata"]))

    def in_pod(self, script: str) -> str:
        return kubectl("-n", self.namespace, "exec", self.pod(), "--", "sh", "-c", script).strip()

    def publish(self, greeting: str) -> None:
        """Changes the ConfigMap, and has the kubelet see it now: it looks once a minute, or when the pod changes."""
        config = manifest(self.namespace)[0]
        config["data"]["greeting"] = greeting
        apply(config)
        kubectl("-n", self.namespace, "annotate", "--overwrite", "pod", self.pod(), f"test/greeting={len(greeting)}")
        wait_for("the change in the pod", lambda: self.in_pod("cat /etc/app/greeting") == greeting, 30)

    def readable(self) -> bool:
        argv = ["docker", "exec", self.app, "cat", "/etc/app/greeting"]
        return subprocess.run(argv, capture_output=True, timeout=30, check=False).stdout == b"hello"
