"""The guard: what the agent may do in the cluster, so that it can give a swapped workload back by itself. Pure.

    guard = Guard(session, owner, namespace, grace=30, job_uid=uid, kind="deployments", workload="web")
    guard.role(), guard.binding(), guard.account(), guard.lease(now)
    Liveness.read(lease).dead(now)

All of it belongs to the Job and goes with it. Where nothing is swapped there is no guard.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tpbox import names
from tpbox.errors import ClusterError
from tpbox.plan.lease import micro_time, read_time
from tpbox.plan.swap import record_name

ADMINS_ACCOUNT = "tpbox-agent"  # what an admin may make once in a namespace for those who may not create Roles
RENEWAL = 10  # seconds between two renewals by the agent
TOKEN_SECONDS = 3600
RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Guard:
    """What the guard of a session is made from; `job_uid` is that of the session's Job, `kind` the API plural."""

    session: str
    owner: str
    namespace: str
    grace: int
    job_uid: str
    kind: str
    workload: str

    @property
    def name(self) -> str:
        return names.of(self.session)

    @property
    def record(self) -> str:
        return record_name(self.kind, self.workload)

    def account(self) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": False, **self._metadata()}

    def role(self) -> dict[str, Any]:
        """Exactly what the agent does. Nobody may grant what he may not do himself: all of it is among the rights that
        the session asks of its user anyway (tpbox.preflight.RIGHTS, tpbox.plan.swap.rights)."""
        leases = "coordination.k8s.io"
        return {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            **self._metadata(),
            "rules": [
                _rule(leases, "leases", self.name, "get", "patch"),
                _rule(leases, "leases", self.record, "get", "delete"),
                *self._workload_rules(),
                _rule("batch", "jobs", self.name, "delete"),
            ],
        }

    def _workload_rules(self) -> list[dict[str, Any]]:
        if self.kind != "pods":
            return [_rule("apps", f"{self.kind}/scale", self.workload, "get", "update")]
        return [
            _rule("", "pods", "", "create"),  # RBAC cannot name what is not there yet
            _rule("", "pods", self.workload, "get"),
            _rule("", "configmaps", self.record, "get", "delete"),
        ]

    def binding(self) -> dict[str, Any]:
        return {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            **self._metadata(),
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": self.name},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}],
        }

    def lease(self, now: datetime) -> dict[str, Any]:
        """The liveness Lease, which the agent renews from now on."""
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            **self._metadata(),
            "spec": {
                "holderIdentity": self.session,
                "leaseDurationSeconds": self.grace,
                "acquireTime": micro_time(now),
                "renewTime": micro_time(now),
            },
        }

    def payload(self, token: str, ca: str) -> dict[str, str]:
        """What the agent gets (docs/architecture.md, `guard`). It holds the token: never to be logged."""
        return {
            "token": token, "ca": ca, "namespace": self.namespace, "lease": self.name, "record": self.record,
        }  # fmt: skip

    def _metadata(self) -> dict[str, Any]:
        # Not blockOwnerDeletion: some clusters let nobody set it who may not finalize Jobs.
        job = {"apiVersion": "batch/v1", "kind": "Job", "name": self.name, "uid": self.job_uid}
        return {
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": names.labels(names.Role.GUARD, self.session, self.owner),
                "annotations": {names.OWNER: self.owner},
                "ownerReferences": [job],
            }
        }


@dataclass(frozen=True)
class Liveness:
    """A liveness Lease as it was read."""

    session: str
    renewed: datetime
    grace: int

    @classmethod
    def read(cls, lease: dict[str, Any]) -> Liveness:
        """Raises ClusterError when it is none."""
        try:
            spec = lease["spec"]
            return cls(spec["holderIdentity"], read_time(spec["renewTime"]), int(spec["leaseDurationSeconds"]))
        except (KeyError, ValueError, TypeError) as error:
            raise ClusterError(
                f"Lease {lease['metadata']['name']} is no liveness Lease that this tpbox can read", detail=str(error)
            ) from error

    def dead(self, now: datetime) -> bool:
        """Whether the agent has gone: a renewal and the grace time are over."""
        return (now - self.renewed).total_seconds() > self.grace + RENEWAL


def token_request() -> dict[str, Any]:
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }


def _rule(group: str, resource: str, name: str, *verbs: str) -> dict[str, Any]:
    named = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": [resource], **named, "verbs": list(verbs)}
