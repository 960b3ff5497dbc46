"""A stand-in for the API server: objects by their paths, with the refusals that the agent meets."""

from __future__ import annotations

import copy
import itertools
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from agent.guard import Guard
from agent.kubernetes import JSON, Api, ApiError

SESSION = "abcdefgh"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
LEASE = f"{LEASES}/tpbox-{SESSION}"
RECORD = f"{LEASES}/tpbox-swap-deployments-web"
SCALE = "/apis/apps/v1/namespaces/shop/deployments/web/scale"
POD_RECORD = f"{LEASES}/tpbox-swap-pods-web"
POD = "/api/v1/namespaces/shop/pods/web"
MANIFEST = "/api/v1/namespaces/shop/configmaps/tpbox-swap-pods-web"

GUARD = Guard("TOKEN", "PEM", "shop", f"tpbox-{SESSION}", "tpbox-swap-deployments-web")


class Cluster(Api):
    """What is asked of it is in `requests`; `before` is called ahead of each request, and may refuse it."""

    def __init__(self) -> None:
        super().__init__("10.96.0.1", 443, ssl.create_default_context(), "TOKEN")
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.before: Callable[[str, str], None] = lambda method, path: None
        self._versions = itertools.count(1)

    def put(self, path: str, **parts: Any) -> None:
        """An object as it is after somebody has written it."""
        metadata = {"uid": f"uid of {path}", **parts.pop("metadata", {}), "resourceVersion": str(next(self._versions))}
        self.objects[path] = {"metadata": metadata, **copy.deepcopy(parts)}

    def swapped(self, record: str, workload: str, *, replicas: str = "2", state: str = "down", uid: str = "") -> None:
        """A swap record of SESSION, and its Lease."""
        said = {"owner": "ann@desk", "workload": workload, "replicas": replicas, "state": state, "resource": uid}
        annotations = {f"tpbox.dev/{name}": value for name, value in said.items()}
        self.put(record, metadata={"annotations": annotations}, spec={"holderIdentity": SESSION})
        self.put(LEASE, spec={"holderIdentity": SESSION, "leaseDurationSeconds": 30})

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = JSON
    ) -> dict[str, Any]:
        self.requests.append(f"{method} {path.rpartition('/shop/')[2]}")
        self.before(method, path)
        if method == "POST":
            assert body
            self.put(f"{path}/{body['metadata']['name']}", **body)
            return {}
        if path not in self.objects:
            raise ApiError("not found (404)", 404)
        found = self.objects[path]
        if method == "PUT":
            assert body
            self._unchanged(found, body["metadata"])
            self.put(path, **body)
        elif method == "PATCH":
            assert body
            assert content_type == "application/merge-patch+json"
            self.put(path, **{**found, "spec": {**found["spec"], **body["spec"]}})
        elif method == "DELETE":
            assert body
            assert body["preconditions"].keys() == {"uid", "resourceVersion"}
            self._unchanged(found, body["preconditions"])
            del self.objects[path]
        return copy.deepcopy(found)

    def _unchanged(self, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
        if any(found["metadata"][key] != expected[key] for key in ("uid", "resourceVersion")):
            raise ApiError("the object has been modified (409)", 409)
