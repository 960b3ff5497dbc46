"""Workloads as the API has them: found, traced to the one that decides over its replicas, waited for.

target = workloads.resolve(api, "shop", WorkloadRef("pods", "web-7d4b9-x2x4z"))
target.ref              # deployments/web, and target.redirected says why
workloads.wait_ready(api, "shop", target.ref, timeout=60, cancelled=event)
"""

from __future__ import annotations

import difflib
import threading
import time
from dataclasses import dataclass
from typing import Any

from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, NotFoundError
from tpbox.plan import swap as plan
from tpbox.plan.request import KINDS, WorkloadRef

POLL = 0.2  # seconds

# Why a pod that such a controller owns cannot be swapped.
REFUSED = {
    "DaemonSet": "which runs one pod on each node and has no replicas to scale",
    "Job": "whose pods run to their end and are not scaled",
}


@dataclass(frozen=True)
class Target:
    """The workload whose place is taken. `redirected`: in words, when it is not the one that was named."""

    ref: WorkloadRef
    manifest: dict[str, Any]
    redirected: str = ""


def path(namespace: str, kind: str, name: str = "") -> str:
    """`kind` is the API plural."""
    group = "/api/v1" if kind in ("pods", "configmaps") else "/apis/apps/v1"
    return f"{group}/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")


def get(api: Api, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
    """None where it is not there. Raises ClusterError."""
    try:
        return api.get(path(namespace, kind, name))
    except NotFoundError:
        return None


def find(api: Api, namespace: str, ref: WorkloadRef) -> dict[str, Any]:
    """The workload; a bare Pod whose place is taken, as its swap keeps it.

    Raises NotFoundError with the nearest name when it is not there, ClusterError when it cannot be read.
    """
    found = get(api, namespace, ref.kind, ref.name)
    if found is None and ref.kind == "pods":
        kept = get(api, namespace, "configmaps", plan.record_name(ref.kind, ref.name))
        found = plan.pod_of(kept) if kept else None
    if found is None:
        near = difflib.get_close_matches(ref.name, names_in(api, path(namespace, ref.kind)), n=1)
        raise NotFoundError(
            f"there is no {ref.kind}/{ref.name} in namespace '{namespace}'",
            hint=f"Did you mean '{near[0]}'?" if near else f"See: kubectl -n {namespace} get {ref.kind}",
        )
    return found


def resolve(api: Api, namespace: str, ref: WorkloadRef) -> Target:
    """What is swapped when `ref` is named: a ReplicaSet's or Pod's controller, as it would undo the change.

    Raises NotFoundError as find(), ClusterError with the reason when it cannot be swapped.
    """
    at, found = ref, find(api, namespace, ref)
    while at.kind in ("pods", "replicasets") and (owner := controller_of(found)):
        at = _owner(at, owner)
        found = find(api, namespace, at)
    _check_claims(at, found)
    named, top = f"{ref.kind}/{ref.name}", f"{at.kind}/{at.name}"
    words = f"{named} belongs to {top}, whose place is taken instead" if top != named else ""
    return Target(at, found, words)


def controller_of(found: dict[str, Any]) -> dict[str, Any] | None:
    """The owner reference that says who decides over an object."""
    return next((o for o in found["metadata"].get("ownerReferences", ()) if o.get("controller")), None)


def wait_ready(api: Api, namespace: str, ref: WorkloadRef, *, timeout: float, cancelled: threading.Event) -> bool:
    """Waits until as many replicas are Ready as there should be, or the workload is gone.

    Returns False when that is not so after `timeout` seconds, or when `cancelled` is set. An API server that is away
    is waited for.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            found = get(api, namespace, ref.kind, ref.name)
            if found is None or is_ready(ref.kind, found):
                return True
        except ClusterError:
            pass  # it may come back
        if time.monotonic() >= deadline or cancelled.wait(POLL):
            return False


def _owner(at: WorkloadRef, owner: dict[str, Any]) -> WorkloadRef:
    kind = KINDS.get(owner["kind"].lower())
    if kind is None or not owner["apiVersion"].startswith("apps/"):  # others have StatefulSets of their own
        reason = REFUSED.get(owner["kind"], "which tpbox cannot scale")
        raise ClusterError(
            f"{at.kind}/{at.name} cannot be swapped: it belongs to {owner['kind']} {owner['name']}, {reason}",
            hint=f"Take a new pod that is like it: --like {at.kind}/{at.name}",
        )
    return WorkloadRef(kind, owner["name"], at.container)


def _check_claims(ref: WorkloadRef, found: dict[str, Any]) -> None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention"""
    policy = found["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    if policy.get("whenScaled") == "Delete":
        raise ClusterError(
            f"{ref.kind}/{ref.name} cannot be swapped: its volumes' data would be lost, since it deletes its claims "
            "when it is scaled (persistentVolumeClaimRetentionPolicy.whenScaled is Delete)",
            hint=f"Take a new pod that is like it: --like {ref.kind}/{ref.name}, or set whenScaled to Retain.",
        )


def is_ready(kind: str, found: dict[str, Any]) -> bool:
    """Whether a pod is Ready, or as many of a workload's as there should be."""
    status = found.get("status", {})
    if kind == "pods":
        return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
    seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    return bool(seen and status.get("readyReplicas", 0) >= plan.replicas_of(found))


def names_in(api: Api, listing: str) -> list[str]:
    """The names of a list's objects; none where it may not be read."""
    try:
        return [item["metadata"]["name"] for item in api.items(listing)]
    except ClusterError:
        return []
