"""The proxy pod's Job, as a manifest.

A Job with `ttlSecondsAfterFinished: 0` needs no rights to vanish: when the agent exits 0, Kubernetes removes Job and
pod; an evicted pod is replaced without the launcher; and no ReplicaSet adopts a pod that a Job controls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tpbox import names
from tpbox.plan.volumes import TOKEN_PATH

STATE_PATH = "/.tpbox"  # never /tmp, which may be a volume of the workload
STATE_VOLUME = "tpbox-state"
SSH_PORT = 20022
AGENT_COMMAND = ["/usr/bin/python3", "-I", "/opt/tpbox"]
CONTAINER = "tpbox"
IMAGE_USER = 65532  # images/proxy-pod/Dockerfile
EPHEMERAL = ("secret", "configMap", "downwardAPI", "projected", "emptyDir")
RETRIES = 20  # a pod that is evicted again and again is not replaced for ever


@dataclass(frozen=True)
class Copied:
    """What a new pod takes from the container of a workload (`--like`)."""

    container: str = CONTAINER
    env: tuple[dict[str, Any], ...] = ()
    env_from: tuple[dict[str, Any], ...] = ()
    volume_mounts: tuple[dict[str, Any], ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    service_account: str = ""
    service_links: bool = True


@dataclass(frozen=True)
class ProxyPod:
    """What the Job is made from."""

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
    copied: Copied = Copied()


def job(pod: ProxyPod) -> dict[str, Any]:
    """A batch/v1 Job whose pod meets Pod Security `restricted` and runs under any uid."""
    labels = names.labels(names.Role.PROXY_POD, pod.session, pod.owner)
    metadata = {"labels": labels, "annotations": {names.OWNER: pod.owner}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": names.of(pod.session), "namespace": pod.namespace, **metadata},
        "spec": {
            "ttlSecondsAfterFinished": 0,
            "backoffLimit": RETRIES,
            "template": {"metadata": metadata, "spec": _pod_spec(pod)},
        },
    }


def _pod_spec(pod: ProxyPod) -> dict[str, Any]:
    account = pod.service_account or pod.copied.service_account
    return {
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 2,
        "hostname": names.of(pod.session),  # known before the pod is, so that the helper can be made beside it
        **({"serviceAccountName": account} if account else {}),
        **({"imagePullSecrets": [{"name": pod.pull_secret}]} if pod.pull_secret else {}),
        **({} if pod.service_links and pod.copied.service_links else {"enableServiceLinks": False}),
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **_read_by_group(pod.copied.volumes),
        },
        "containers": [_container(pod)],
        "volumes": [
            {"name": STATE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
            *pod.copied.volumes,
        ],
    }


def mount_paths(copied: Copied) -> list[str]:
    """As the manifest has them, and the one that admission adds: the pod itself only knows where its links lead."""
    return [TOKEN_PATH, *(mount["mountPath"] for mount in copied.volume_mounts)]


def _read_by_group(volumes: tuple[dict[str, Any], ...]) -> dict[str, int]:
    """`fsGroup` where a mode such as 0400 would keep the pod's user, who is not root, from the volumes' files; but
    never where Kubernetes would give the group files that last."""
    modes = []
    for volume in volumes:
        kind = next((k for k in volume if k in EPHEMERAL), "")
        if not kind:
            return {}
        source = volume[kind] or {}
        parts = [source, *(part for entry in source.get("sources", ()) for part in entry.values())]
        items = [item for part in parts for item in part.get("items", ())]
        modes += [source.get("defaultMode", 0o644), *(item["mode"] for item in items if "mode" in item)]
    return {} if all(mode & 0o004 for mode in modes) else {"fsGroup": IMAGE_USER}


def _container(pod: ProxyPod) -> dict[str, Any]:
    # Ours come last: of two entries of one name Kubernetes takes the later.
    own = [
        {"name": "TPBOX_SESSION", "value": pod.session},
        {"name": "TPBOX_AUTHORIZED_KEY", "value": pod.authorized_key},
        {"name": "TPBOX_GRACE", "value": str(pod.grace)},
        {"name": "TPBOX_SSH_PORT", "value": str(SSH_PORT)},
        {"name": "TPBOX_MOUNT_PATHS", "value": ":".join(mount_paths(pod.copied))},
        {"name": "TPBOX_POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    return {
        "name": pod.copied.container,
        "image": pod.image,
        "imagePullPolicy": "IfNotPresent",
        "command": AGENT_COMMAND,
        "env": [*pod.copied.env, *own],
        **({"envFrom": list(pod.copied.env_from)} if pod.copied.env_from else {}),
        "volumeMounts": [{"name": STATE_VOLUME, "mountPath": STATE_PATH}, *pod.copied.volume_mounts],
        "resources": {"requests": {"cpu": pod.cpu, "memory": pod.memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
