"""What a workload's pod template says about one of its containers: pure functions over manifests."""

from __future__ import annotations

import difflib
from typing import Any

from tpbox.errors import NotFoundError
from tpbox.plan.request import WorkloadRef

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
TOKEN_VOLUME = "kube-api-access-"


def pod_template(workload: dict[str, Any]) -> dict[str, Any]:
    """The pod template of a Deployment, StatefulSet or ReplicaSet; of a Pod, the pod itself."""
    template = workload["spec"].get("template")
    return dict(template) if template else {"metadata": workload.get("metadata", {}), "spec": workload["spec"]}


def container_of(template: dict[str, Any], ref: WorkloadRef) -> dict[str, Any]:
    """The container that `ref` names, else the workload's default one, else its first.

    Raises NotFoundError with the names that there are.
    """
    containers = {c["name"]: c for c in template["spec"]["containers"]}
    default = (template.get("metadata", {}).get("annotations") or {}).get(DEFAULT_CONTAINER, "")
    wanted = ref.container or (default if default in containers else next(iter(containers)))
    if wanted not in containers:
        close = difflib.get_close_matches(wanted, containers, n=1)
        raise NotFoundError(
            f"{ref.kind}/{ref.name} has no container '{wanted}'",
            hint=f"It has {', '.join(containers)}." + (f" Did you mean '{close[0]}'?" if close else ""),
        )
    return dict(containers[wanted])
