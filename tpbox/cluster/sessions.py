"""The sessions that a cluster knows, by labels and Leases alone: no record of any machine is needed.

for seen in sessions.find(api, owner=names.owner()):
    print(seen.session, seen.swaps, seen.dead(api.now()))
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tpbox import names
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, ForbiddenError
from tpbox.plan.guard import Liveness
from tpbox.plan.swap import SwapRecord

JOBS = ("batch/v1", "jobs", f"{names.ROLE}={names.Role.PROXY_POD}")
LEASES = ("coordination.k8s.io/v1", "leases", f"{names.ROLE} in ({names.Role.SWAP},{names.Role.GUARD})")


@dataclass
class Seen:
    """A session as the cluster shows it; `job` is "" where only Leases are left."""

    session: str
    namespace: str
    owner: str
    created: str
    job: str = ""
    swaps: tuple[SwapRecord, ...] = ()
    liveness: Liveness | None = None

    def dead(self, now: datetime) -> bool | None:
        """Whether its agent has gone; None where no Lease tells."""
        return self.liveness.dead(now) if self.liveness else None


def find(api: Api, *, owner: str = "", session: str = "", namespace: str = "") -> list[Seen]:
    """The sessions of an owner, or the one named, whoever owns it; two requests.

    Where all namespaces may not be listed, only `namespace` or the context's own is. Raises ClusterError, but not where
    only Leases may not be listed.
    """
    selector = f"{names.SESSION}={session}" if session else f"{names.OWNER}={names.owner_label(owner)},{names.SESSION}"
    found: dict[tuple[str, str], Seen] = {}
    for item in _list(api, JOBS, selector, namespace):
        _seen(found, item).job = item["metadata"]["name"]
    leases: list[dict[str, Any]] = []
    with contextlib.suppress(ForbiddenError):
        leases = _list(api, LEASES, selector, namespace)
    for item in leases:
        with contextlib.suppress(ClusterError):  # a Lease that cannot be read says nothing
            seen = _seen(found, item)
            if item["metadata"]["labels"][names.ROLE] == names.Role.SWAP:
                seen.swaps += (SwapRecord.read(item),)
            else:
                seen.liveness = Liveness.read(item)
    return list(found.values())


def _seen(found: dict[tuple[str, str], Seen], item: dict[str, Any]) -> Seen:
    metadata = item["metadata"]
    session, namespace = metadata["labels"][names.SESSION], metadata["namespace"]
    owner = (metadata.get("annotations") or {}).get(names.OWNER, "")
    return found.setdefault(
        (namespace, session), Seen(session, namespace, owner, metadata.get("creationTimestamp", ""))
    )


def _list(api: Api, what: tuple[str, str, str], selector: str, namespace: str) -> list[dict[str, Any]]:
    version, resource, role = what
    both = f"{selector},{role}"
    try:
        return api.items(f"/apis/{version}/{resource}", labelSelector=both)
    except ForbiddenError:
        return api.items(f"/apis/{version}/namespaces/{namespace or api.namespace}/{resource}", labelSelector=both)
