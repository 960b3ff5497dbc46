"""The proxy pod's Job, as a manifest, and the Service of a new pod.

A Job with `ttlSecondsAfterFinished: 0` needs no rights to vanish: when the agent exits 0, Kubernetes removes Job and
pod; an evicted pod is replaced without the launcher; and no ReplicaSet adopts a pod that a Job controls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tpbox import names
from tpbox.plan.clone import NEW, Clone
from tpbox.plan.inbound import SSH_PORT, Inbound

STATE_PATH = "/.tpbox"  # never /tmp, which may be a volume of the workload
STATE_VOLUME = "tpbox-state"
AGENT_COMMAND = ["/usr/bin/python3", "-I", "/opt/tpbox"]
RETRIES = 20  # a pod that is evicted again and again is not replaced for ever

# The agent keeps the file while the process listens. Kubernetes' own look follows within a second; `test` may take
# its time on a busy node.
READY_PROBE = {
    "exec": {"command": ["/usr/bin/test", "-e", f"{STATE_PATH}/ready"]},
    "periodSeconds": 1,
    "timeoutSeconds": 5,
    "failureThreshold": 1,
}
# Safe: it counts for the pod's network namespace only, and is allowed by Pod Security `restricted`.
# https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/
UNPRIVILEGED_PORTS = "net.ipv4.ip_unprivileged_port_start"
# Another one: who may send ICMP echoes without a capability.
PING_GROUPS, EVERY_GROUP = "net.ipv4.ping_group_range", "0 2147483647"


@dataclass(frozen=True)
class ProxyPod:
    """What the Job is made from. `probed`: the pod is Ready when the process is, not as soon as it runs."""

    session: str
    owner: str
    namespace: str
    image: str
    authorized_key: str
    grace: int
    cpu: str
    memory: str
    service_account: str = ""
    pull_secret: str = ""
    service_links: bool = True
    clone: Clone = NEW
    inbound: Inbound = field(default_factory=Inbound)
    probed: bool = False
    engine_port: int = 0  # of the engine netstack's far end; 0: it is not wanted


def job(pod: ProxyPod) -> dict[str, Any]:
    """A batch/v1 Job whose pod, if it is a new one, meets Pod Security `restricted` and runs under any uid."""
    metadata = _metadata(pod.session, pod.owner)
    # The workload's labels win: it is they by which Services find the pod.
    labels = {**metadata["labels"], **pod.clone.labels}
    annotations = {**pod.clone.annotations, **metadata["annotations"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": names.of(pod.session), "namespace": pod.namespace, **metadata},
        "spec": {
            "ttlSecondsAfterFinished": 0,
            "backoffLimit": RETRIES,
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod_spec(pod)},
        },
    }


def service_of(name: str, session: str, owner: str, namespace: str, inbound: Inbound, job_uid: str) -> dict[str, Any]:
    """A Service that leads to the session's pod. It belongs to the Job, and goes with it."""
    owned_by = {"apiVersion": "batch/v1", "kind": "Job", "name": names.of(session), "uid": job_uid}
    ports = [
        {"name": str(expose.remote), "port": expose.remote, "targetPort": expose.remote, "protocol": "TCP"}
        for expose in inbound.exposed
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": namespace,
            **_metadata(session, owner),
            "ownerReferences": [owned_by],
        },
        "spec": {"selector": {names.SESSION: session}, "ports": ports},
    }


def _metadata(session: str, owner: str) -> dict[str, Any]:
    return {
        "labels": names.labels(names.Role.PROXY_POD, session, owner),
        "annotations": {names.OWNER: owner},
    }


def _pod_spec(pod: ProxyPod) -> dict[str, Any]:
    kept = pod.clone.spec
    secrets = [*kept.get("imagePullSecrets", ()), *([{"name": pod.pull_secret}] if pod.pull_secret else [])]
    return {
        **kept,
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 2,
        # Known before the pod is, so that the helper can be made beside it.
        "hostname": pod.clone.hostname or names.of(pod.session),
        **({"serviceAccountName": pod.service_account} if pod.service_account else {}),
        **({"imagePullSecrets": secrets} if secrets else {}),
        **({} if pod.service_links else {"enableServiceLinks": False}),
        "securityContext": {**kept["securityContext"], **_sysctls(pod)},
        "containers": [_container(pod)],
        "volumes": [
            {"name": STATE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            *kept["volumes"],
        ],
    }


def _sysctls(pod: ProxyPod) -> dict[str, Any]:
    """The pod's own, and what lets any user listen below 1024 and send echoes, where that is asked for."""
    asked = {
        **({UNPRIVILEGED_PORTS: "0"} if pod.inbound.low_ports() else {}),
        **({PING_GROUPS: EVERY_GROUP} if pod.engine_port else {}),
    }
    own = [s for s in pod.clone.spec["securityContext"].get("sysctls", ()) if s["name"] not in asked]
    ours = [{"name": name, "value": value} for name, value in asked.items()]
    return {"sysctls": [*own, *ours]} if asked else {}


def _container(pod: ProxyPod) -> dict[str, Any]:
    # Ours come last: of two entries of one name Kubernetes takes the later.
    own = [
        {"name": "TPBOX_SESSION", "value": pod.session},
        {"name": "TPBOX_AUTHORIZED_KEY", "value": pod.authorized_key},
        {"name": "TPBOX_GRACE", "value": str(pod.grace)},
        {"name": "TPBOX_SSH_PORT", "value": str(SSH_PORT)},
        {"name": "TPBOX_MOUNT_PATHS", "value": ":".join(pod.clone.mount_paths())},
        {"name": "TPBOX_LISTEN", "value": pod.inbound.listen()},
        {"name": "TPBOX_OPEN", "value": pod.inbound.opens()},
        *([{"name": "TPBOX_ENGINE_PORT", "value": str(pod.engine_port)}] if pod.engine_port else []),
        {"name": "TPBOX_POD_IPS", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
    ]
    kept = pod.clone.container
    return {
        **kept,
        "image": pod.image,
        "imagePullPolicy": "IfNotPresent",
        "command": AGENT_COMMAND,
        "env": [*kept.get("env", ()), *own],
        "volumeMounts": [{"name": STATE_VOLUME, "mountPath": STATE_PATH}, *kept.get("volumeMounts", ())],
        "resources": {"requests": {"cpu": pod.cpu, "memory": pod.memory}},
        **({"readinessProbe": READY_PROBE} if pod.probed else {}),
    }
