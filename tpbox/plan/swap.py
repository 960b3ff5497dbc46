"""The swap record: a Lease that says whose place a session has taken, and how it is given back. Pure.

    record = SwapRecord.of(ref, workload, "qhwzkbtd", "ann@desk", now)
    record.manifest()                # the Lease tpbox-swap-deployments-web
    SwapRecord.read(lease)           # and back

docs/architecture.md says who writes and reads it when. A bare Pod cannot be scaled: it is deleted and made again, from
the manifest that a ConfigMap of the record's name keeps meanwhile.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tpbox import names
from tpbox.errors import ClusterError
from tpbox.plan.lease import micro_time, read_time
from tpbox.plan.request import WorkloadRef
from tpbox.plan.workload import TOKEN_VOLUME

WORKLOAD = "tpbox.dev/workload"
REPLICAS = "tpbox.dev/replicas"
GENERATION = "tpbox.dev/generation"
RESOURCE = "tpbox.dev/resource"
STATE = "tpbox.dev/state"
POD_KEY = "pod.json"

# "claimed": nothing has been scaled yet. "down": set just before the scale-down.
State = Literal["claimed", "down"]

# What the API server writes into a Pod, or computes anew from what stays.
SERVER_METADATA = (
    "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
    "managedFields", "selfLink",
)  # fmt: skip
SERVER_SPEC = ("nodeName", "priority", "preemptionPolicy", "ephemeralContainers")

# (verb, API group, resource, subresource), as tpbox.preflight.RIGHTS.
_LEASES = tuple((verb, "coordination.k8s.io", "leases", "") for verb in ("get", "create", "patch", "delete"))
_POD = (
    *((verb, "", "pods", "") for verb in ("get", "create", "delete")),
    *((verb, "", "configmaps", "") for verb in ("get", "create", "delete")),
)


def record_name(kind: str, name: str) -> str:
    """The Lease of a workload, `kind` being the API plural; one workload has one record, whoever swaps it."""
    return f"tpbox-swap-{kind}-{name}"


def workload_of(record: str) -> str:
    """KIND/NAME of the workload whose record has this name."""
    kind, _, name = record.removeprefix("tpbox-swap-").partition("-")
    return f"{kind}/{name}"


def rights(kind: str) -> tuple[tuple[str, str, str, str], ...]:
    """What a swap needs of the user besides what every session does. The guard's own: see tpbox.plan.guard."""
    if kind == "pods":
        return (*_POD, *_LEASES)
    return (
        ("get", "apps", kind, ""),
        ("get", "apps", kind, "scale"),  # read by the agent alone; but nobody may grant what he does not have
        ("update", "apps", kind, "scale"),
        *_LEASES,
    )


@dataclass(frozen=True)
class SwapRecord:
    """Whose place is taken, by whom, and what it had. `uid` is the workload's, `generation` its metadata.generation
    when it was claimed; `lease_uid` and `version` are the Lease's own, where it was read."""

    kind: str
    name: str
    namespace: str
    session: str
    owner: str
    replicas: int
    generation: int
    uid: str
    acquired: datetime
    state: State = "claimed"
    lease_uid: str = ""
    version: str = ""

    @classmethod
    def of(cls, ref: WorkloadRef, workload: dict[str, Any], session: str, owner: str, now: datetime) -> SwapRecord:
        """The record with which `session` claims a workload, given as the API has it."""
        metadata = workload["metadata"]
        return cls(
            kind=ref.kind,
            name=ref.name,
            namespace=metadata["namespace"],
            session=session,
            owner=owner,
            replicas=replicas_of(workload),
            generation=metadata.get("generation", 0),
            uid=metadata.get("uid", ""),
            acquired=now,
        )

    def anew(self, workload: dict[str, Any], now: datetime) -> SwapRecord:
        """A second claim of the same session."""
        return self.of(WorkloadRef(self.kind, self.name), workload, self.session, self.owner, now)

    @classmethod
    def read(cls, lease: dict[str, Any]) -> SwapRecord:
        """Raises ClusterError when the Lease is no swap record that this tpbox understands."""
        metadata = lease["metadata"]
        try:
            notes = metadata["annotations"]
            kind, _, name = notes[WORKLOAD].partition("/")
            return cls(
                kind=kind,
                name=name,
                namespace=metadata["namespace"],
                session=metadata["labels"][names.SESSION],
                owner=notes[names.OWNER],
                replicas=int(notes[REPLICAS]),
                generation=int(notes[GENERATION]),
                uid=notes[RESOURCE],
                acquired=read_time(lease["spec"]["acquireTime"]),
                state="claimed" if notes[STATE] == "claimed" else "down",
                lease_uid=metadata.get("uid", ""),
                version=metadata.get("resourceVersion", ""),
            )
        except (KeyError, ValueError, TypeError) as error:
            where = f"Lease {metadata['name']} in namespace {metadata['namespace']}"
            raise ClusterError(
                f"{where} is no swap record that this tpbox can read",
                detail=f"{type(error).__name__}: {error}",
                hint="A newer tpbox may have written it; else see to the workload and delete the Lease with kubectl.",
            ) from error

    @property
    def workload(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def lease_name(self) -> str:
        return record_name(self.kind, self.name)

    def manifest(self) -> dict[str, Any]:
        """The Lease; with the version that was read, so that as a patch it changes nobody else's."""
        metadata: dict[str, Any] = {
            "name": self.lease_name,
            "namespace": self.namespace,
            "labels": names.labels(names.Role.SWAP, self.session, self.owner),
            "annotations": {
                names.OWNER: self.owner,
                WORKLOAD: self.workload,
                REPLICAS: str(self.replicas),
                GENERATION: str(self.generation),
                RESOURCE: self.uid,
                STATE: self.state,
            },
        }
        if self.version:
            metadata["resourceVersion"] = self.version
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {"holderIdentity": self.session, "acquireTime": micro_time(self.acquired)},
        }

    def kept_pod(self, pod: dict[str, Any]) -> dict[str, Any]:
        """The ConfigMap that keeps a bare Pod until it is made again."""
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.lease_name,
                "namespace": self.namespace,
                "labels": names.labels(names.Role.SWAP, self.session, self.owner),
                "annotations": {names.OWNER: self.owner},
            },
            "data": {POD_KEY: json.dumps(stripped_pod(pod))},
        }


def scale(workload: dict[str, Any], replicas: int) -> dict[str, Any]:
    """The Scale that gives `replicas` to a workload that is still as it was read."""
    metadata = workload["metadata"]
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")},
        "spec": {"replicas": replicas},
    }


def replicas_of(workload: dict[str, Any]) -> int:
    """spec.replicas, which is 1 where it is left out; a Pod is one."""
    return int(workload["spec"].get("replicas", 1))


def pod_of(kept: dict[str, Any]) -> dict[str, Any]:
    """The Pod's manifest in the ConfigMap that keeps it."""
    return dict(json.loads(kept["data"][POD_KEY]))


def stripped_pod(pod: dict[str, Any]) -> dict[str, Any]:
    """A bare Pod's manifest as one creates it: without what the API server, the scheduler and admission wrote."""
    made = copy.deepcopy(pod)
    made.pop("status", None)
    made.update(apiVersion="v1", kind="Pod")
    for field in SERVER_METADATA:
        made["metadata"].pop(field, None)
    spec = made["spec"]
    for field in SERVER_SPEC:
        spec.pop(field, None)
    spec["volumes"] = [v for v in spec.get("volumes", ()) if not v["name"].startswith(TOKEN_VOLUME)]
    for container in (*spec["containers"], *spec.get("initContainers", ())):
        mounts = container.get("volumeMounts", ())
        container["volumeMounts"] = [m for m in mounts if not m["name"].startswith(TOKEN_VOLUME)]
    return made
