"""A cluster for unit tests: objects by their path, each with a resourceVersion, and stale writes are refused.

cluster = FakeCluster()
cluster.put("/apis/apps/v1/namespaces/shop/deployments", deployment("web", replicas=2))
cluster.before("PUT", "/deployments/web/scale", lambda: cluster.touch(WEB))      # somebody is quicker, once
swap.claim(cluster.api, record)
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from tpbox import names
from tpbox.cluster.api import Api, ConflictError
from tpbox.errors import ClusterError, ForbiddenError, NotFoundError
from tpbox.plan.kubeconfig import Credential

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NAMESPACE = "/namespaces/shop"
DEPLOYMENTS = f"/apis/apps/v1{NAMESPACE}/deployments"
STATEFULSETS = f"/apis/apps/v1{NAMESPACE}/statefulsets"
REPLICASETS = f"/apis/apps/v1{NAMESPACE}/replicasets"
PODS = f"/api/v1{NAMESPACE}/pods"
CONFIG_MAPS = f"/api/v1{NAMESPACE}/configmaps"
LEASES = f"/apis/coordination.k8s.io/v1{NAMESPACE}/leases"
JOBS = f"/apis/batch/v1{NAMESPACE}/jobs"
WEB = f"{DEPLOYMENTS}/web"
RECORD = f"{LEASES}/tpbox-swap-deployments-web"

Hook = Callable[[], object]


class FakeCluster:
    context, namespace = "dev", "shop"

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.forbidden: set[str] = set()  # "VERB …end of path"
        self.away = False
        self.clock = NOW
        self._hooks: list[tuple[str, str, Hook]] = []
        self._version = 100

    @property
    def api(self) -> Api:
        return cast(Api, self)

    def put(self, listing: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """An object that is there, with what the API server adds."""
        made = copy.deepcopy(dict(manifest))
        self._version += 1
        made["metadata"].setdefault("uid", f"uid-{self._version}")
        made["metadata"].setdefault("creationTimestamp", "2026-11-22T09:57:00Z")
        made["metadata"]["resourceVersion"] = str(self._version)
        self.objects[f"{listing}/{made['metadata']['name']}"] = made
        return made

    def touch(self, path: str, **spec: Any) -> None:
        """Somebody else changes an object."""
        found = self.objects[path]
        found.setdefault("spec", {}).update(spec)
        if "generation" in found["metadata"] and spec:
            found["metadata"]["generation"] += 1
        self._version += 1
        found["metadata"]["resourceVersion"] = str(self._version)

    def before(self, verb: str, end: str, hook: Hook, times: int = 1) -> None:
        """Calls `hook` before the next `times` such calls are done."""
        self._hooks += [(verb, end, hook)] * times

    def written(self) -> list[str]:
        """The calls that change something, in short."""
        return [call.replace(NAMESPACE, "") for call in self.calls if not call.startswith("GET")]

    # As tpbox.cluster.api.Api

    def now(self) -> datetime:
        return self.clock

    def credential(self) -> Credential:
        return Credential("https://10.0.0.1:6443", ca=b"kubeconfig's")

    def get(self, path: str, **query: str) -> dict[str, Any]:
        self._called("GET", path)
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        pattern = re.sub(r"(/v\w+)/(\w+)$", r"\1/namespaces/[^/]+/\2", path)  # of all namespaces
        if _is_object(path):
            raise NotFoundError(f"{path.rpartition('/')[2]} not found")
        listed = [o for p, o in self.objects.items() if re.fullmatch(f"{pattern}/[^/]+", p)]
        return {"items": [copy.deepcopy(o) for o in listed if _selected(o, query.get("labelSelector", ""))]}

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        return list(self.get(path, **query)["items"])

    def create(self, path: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        self._called("POST", path)
        if path.endswith("/token"):
            if path.removesuffix("/token") not in self.objects:
                raise NotFoundError("no such account")
            return {"status": {"token": f"token-{len(self.calls)}"}}
        if f"{path}/{manifest['metadata']['name']}" in self.objects:
            raise ConflictError("already exists")
        return copy.deepcopy(self.put(path, manifest))

    def update(self, path: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Of a Scale only."""
        self._called("PUT", path)
        workload = self._unchanged(path.removesuffix("/scale"), manifest["metadata"])
        if workload["spec"].get("replicas") != manifest["spec"]["replicas"]:
            self.touch(path.removesuffix("/scale"), replicas=manifest["spec"]["replicas"])
        return {}

    def patch(self, path: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        self._called("PATCH", path)
        _merge(self._unchanged(path, changes["metadata"]), changes)
        self.touch(path)
        return copy.deepcopy(self.objects[path])

    def delete(self, path: str, *, grace: int | None = None, uid: str = "", version: str = "") -> None:
        self._called("DELETE", path)
        if path in self.objects:
            wanted = {"uid": uid, "resourceVersion": version}
            self._unchanged(path, {key: value for key, value in wanted.items() if value})
            del self.objects[path]

    def _called(self, verb: str, path: str) -> None:
        self.calls.append(f"{verb} {path}")
        if self.away:
            raise ClusterError("the API server cannot be reached")
        for hook in self._hooks:
            if hook[0] == verb and path.endswith(hook[1]):
                self._hooks.remove(hook)
                hook[2]()
                break
        for words in self.forbidden:
            denied, _, end = words.partition(" ")
            if denied == verb and path.endswith(end):
                raise ForbiddenError(f"may not {verb} {path}")

    def _unchanged(self, path: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        if path not in self.objects:
            raise NotFoundError(f"{path} not found")
        found = self.objects[path]
        for key in ("uid", "resourceVersion"):
            if key in metadata and metadata[key] != found["metadata"][key]:
                raise ConflictError("the object has been modified")
        return found


def deployment(name: str = "web", replicas: int = 2, **metadata: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", "generation": 7, **metadata},
        "spec": {"replicas": replicas, "template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
    }


def pod(name: str = "lone", **metadata: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"containers": [{"name": "app", "image": "app:1"}], "nodeName": "node-1"},
        "status": {"phase": "Running"},
    }


def owned_by(kind: str, name: str, version: str = "apps/v1") -> list[dict[str, Any]]:
    return [{"apiVersion": version, "kind": kind, "name": name, "uid": "u", "controller": True}]


def job(session: str, owner: str) -> dict[str, Any]:
    metadata = {
        "name": names.of(session), "namespace": "shop", "annotations": {names.OWNER: owner},
        "labels": names.labels(names.Role.PROXY_POD, session, owner),
    }  # fmt: skip
    return {"metadata": metadata, "spec": {}}


def _is_object(path: str) -> bool:
    return bool(re.search(r"/namespaces/[^/]+/[^/]+/[^/]+$", path))


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


def _selected(found: dict[str, Any], selector: str) -> bool:
    labels = found["metadata"].get("labels", {})
    for part in re.findall(r"[^,(]+(?:\([^)]*\))?", selector):
        key, of_set, values = part.partition(" in ")
        if of_set:
            if labels.get(key) not in values.strip("()").split(","):
                return False
            continue
        key, equals, value = part.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True
