"""What the proxy pod takes from a workload: pure functions over pod templates.

    NEW                                # nothing
    like(template, ref)                # --like: env, volumes and account of one container
    Swapped.of(ref, workload).clone    # --swap: the whole pod, but for what runs in that container

tpbox.plan.proxy_pod puts the agent into the container, and the pod into a Job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tpbox.errors import ClusterError
from tpbox.plan.inbound import not_carried
from tpbox.plan.request import WorkloadRef
from tpbox.plan.volumes import TOKEN_PATH
from tpbox.plan.workload import TOKEN_VOLUME, container_of, pod_template

CONTAINER = "tpbox"  # where it is no workload's
IMAGE_USER = 65532  # images/proxy-pod/Dockerfile
FILLED = ("secret", "configMap", "downwardAPI", "projected")  # what the kubelet writes from the API
EPHEMERAL = (*FILLED, "emptyDir")

# What Pod Security `restricted` asks for, of a container alone and of either. A new pod says the latter for all of its
# containers; in a clone that would bind sidecars that were not meant to be bound.
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
RESTRICTED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
# What sshd separates its privileges with when it is root (sshd(8)); not every runtime gives SYS_CHROOT by itself.
SSHD_CAPABILITIES = ("SETGID", "SETUID", "SYS_CHROOT")

# Whose pod it is: with these a ReplicaSet, a StatefulSet or a Job would take it for its own.
CONTROLLER_LABELS = frozenset({
    "pod-template-hash",
    "controller-revision-hash",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/job-completion-index",
})  # fmt: skip
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # of a bare Pod: it says what this pod is not
OURS = "tpbox.dev/"

# Of a pod's spec. The rest is kept, also what a later Kubernetes adds.
DROPPED = frozenset({
    # Made anew, here or in tpbox.plan.proxy_pod.
    "containers", "initContainers", "volumes", "affinity", "securityContext", "restartPolicy",
    "terminationGracePeriodSeconds",
    # What the API server, admission and the scheduler write into a Pod.
    "nodeName", "priority", "preemptionPolicy", "overhead", "ephemeralContainers",
    # What keeps a second pod from being where the first one is, from starting, from staying, or small.
    "topologySpreadConstraints", "schedulingGates", "activeDeadlineSeconds", "resources",
})  # fmt: skip
REFUSED = {
    "hostNetwork": "it has its node's network, in which each port can be had only once",
    "hostPID": "it has its node's processes, which the local process cannot see",
}

LIKE = ("env", "envFrom", "volumeMounts")
REPLACED = (*LIKE, "ports", "securityContext")


@dataclass(frozen=True)
class Clone:
    """A pod template whose one container has nothing to run yet: `spec` is the pod's, less `containers`."""

    container: Mapping[str, Any]
    spec: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def hostname(self) -> str:
        """Empty where the pod's own name will be chosen."""
        return str(self.spec.get("hostname", ""))

    def mount_paths(self) -> list[str]:
        """As the manifest has them, and the one that admission adds: the pod itself only knows where its links
        lead. What the API fills (Secrets, ConfigMaps) comes first: it is small, and a program reads it first."""
        filled = {v["name"] for v in self.spec.get("volumes", ()) if any(kind in v for kind in FILLED)}
        mounts = sorted(self.container.get("volumeMounts", ()), key=lambda mount: mount["name"] not in filled)
        return list(dict.fromkeys([TOKEN_PATH, *(mount["mountPath"] for mount in mounts)]))


@dataclass(frozen=True)
class Swapped:
    """A workload whose place is taken: `manifest` as the API has it, `ref` with its container."""

    ref: WorkloadRef
    manifest: Mapping[str, Any] = field(repr=False)
    clone: Clone = field(repr=False)

    @classmethod
    def of(cls, ref: WorkloadRef, manifest: dict[str, Any]) -> Swapped:
        """Raises NotFoundError when it has no such container, ClusterError when no pod can take its place."""
        template = pod_template(manifest)
        spec = template["spec"]
        for name, reason in REFUSED.items():
            if spec.get(name):
                raise ClusterError(
                    f"{ref.kind}/{ref.name} cannot be swapped: {name}: {reason}",
                    hint=f"Take a new pod that is like it: --like {ref}",
                )
        if ref.kind == "statefulsets":
            template = {**template, "spec": {**spec, **_first_of_set(manifest)}}
        container = container_of(template, ref)
        return cls(replace(ref, container=container["name"]), manifest, whole(template, container))

    @property
    def workload(self) -> str:
        return f"{self.ref.kind}/{self.ref.name}"

    @property
    def replicas(self) -> int:
        """As many as it should have; a Pod is one."""
        return int(self.manifest["spec"].get("replicas", 1))

    @property
    def ports(self) -> list[dict[str, Any]]:
        """Those that the manifest declares for the container."""
        return list(self.clone.container.get("ports", ()))

    def words(self, at_once: bool) -> list[str]:
        """What happens to it, and what its pods have that the local process will not."""
        moment = "at once" if at_once else "when the proxy pod is Ready"
        change = f"goes from {self.replicas} to 0 replicas" if self.ref.kind != "pods" else "is deleted"
        return [f"{self.workload} {change} {moment}, and is back at the end", *self.remarks()]

    def remarks(self) -> list[str]:
        """What the user is to know before it begins."""
        found = []
        if self.replicas > 1:
            found.append(f"all {self.replicas} replicas of {self.workload} go; one process takes their place")
        if dropped := not_carried(self.ports):
            found.append(f"{', '.join(dropped)} of {self.ref}: only TCP is carried to the process")
        return found


def like(template: dict[str, Any], ref: WorkloadRef) -> Clone:
    """Env, volumes and service account of the container that `ref` names, for a pod that is none of the workload's.

    Raises NotFoundError when there is no such container.
    """
    container, spec = container_of(template, ref), template["spec"]
    used = {mount["name"] for mount in container.get("volumeMounts") or ()}
    kept = {name: spec[name] for name in ("serviceAccountName", "enableServiceLinks") if spec.get(name) is not None}
    volumes = [volume for volume in _volumes(spec) if volume["name"] in used]
    return _clone(container, LIKE, {**kept, "securityContext": RESTRICTED_POD, "volumes": volumes})


def whole(template: dict[str, Any], container: dict[str, Any]) -> Clone:
    """All of the pod but what `container` runs. Its other containers become native sidecars, so that the pod ends when
    the agent does."""
    spec, metadata = template["spec"], template.get("metadata") or {}
    volumes = _volumes(spec)
    sidecars = [{**c, "restartPolicy": "Always"} for c in spec["containers"] if c["name"] != container["name"]]
    before = [_placed(c, volumes) for c in (*(spec.get("initContainers") or ()), *sidecars)]
    node_affinity = (spec.get("affinity") or {}).get("nodeAffinity")
    made = {
        **{name: value for name, value in spec.items() if name not in DROPPED},
        **({"affinity": {"nodeAffinity": node_affinity}} if node_affinity else {}),
        **({"initContainers": before} if before else {}),
        "securityContext": spec.get("securityContext") or {},
        "volumes": volumes,
    }
    return _clone(container, REPLACED, made, _labels(metadata), _annotations(metadata))


def _clone(
    container: Mapping[str, Any],
    fields: Iterable[str],
    spec: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Clone:
    """A Clone that keeps `fields` of the container, and secures what the pod leaves open."""
    volumes, secured = spec["volumes"], spec["securityContext"]
    taken = {name: container[name] for name in fields if container.get(name)}
    kept = {"name": container["name"], **_placed(taken, volumes)}
    kept["securityContext"] = _secured(kept.get("securityContext", {}), secured)
    if "volumeMounts" in kept:  # only privileged containers may mount back into the node, and this one is none
        kept["volumeMounts"] = [_unshared(mount) for mount in kept["volumeMounts"]]
    mounted = {mount["name"] for mount in kept.get("volumeMounts", ())}
    pod = {**_read_by_group(volumes, mounted), **secured}
    return Clone(kept, {**spec, "securityContext": pod}, labels or {}, annotations or {})


def _first_of_set(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a StatefulSet gives its first pod beyond the template: a name of its own, and its claims."""
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    pod = f"{name}-{(spec.get('ordinals') or {}).get('start', 0)}"
    claims = [claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates") or ()]
    others = [v for v in spec["template"]["spec"].get("volumes") or () if v["name"] not in claims]
    claimed = [{"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{pod}"}} for claim in claims]
    subdomain = {"subdomain": spec["serviceName"]} if spec.get("serviceName") else {}
    return {"hostname": pod, **subdomain, "volumes": [*others, *claimed]}


def _labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    found: Mapping[str, str] = metadata.get("labels") or {}
    return {n: v for n, v in found.items() if n not in CONTROLLER_LABELS and not n.startswith(OURS)}


def _annotations(metadata: Mapping[str, Any]) -> dict[str, str]:
    found: Mapping[str, str] = metadata.get("annotations") or {}
    return {n: v for n, v in found.items() if n != LAST_APPLIED and not n.startswith(OURS)}


def _volumes(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without the token that admission mounted into a running Pod: the new pod gets one of its own."""
    return [volume for volume in spec.get("volumes") or () if not volume["name"].startswith(TOKEN_VOLUME)]


def _placed(container: Mapping[str, Any], volumes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A container in the new pod: it mounts the volumes that are there, and takes no port of its node."""
    made, there = dict(container), {volume["name"] for volume in volumes}
    if container.get("volumeMounts"):
        made["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] in there]
    if container.get("ports"):
        made["ports"] = [_without(port, "hostPort", "hostIP") for port in container["ports"]]
    return made


def _unshared(mount: Mapping[str, Any]) -> dict[str, Any]:
    return _without(mount, "mountPropagation") if mount.get("mountPropagation") == "Bidirectional" else dict(mount)


def _without(found: Mapping[str, Any], *fields: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in fields}


def _secured(own: Mapping[str, Any], pod: Mapping[str, Any]) -> dict[str, Any]:
    """The container's own security context, and ours where it and its pod leave something open. It is never
    privileged; as root it has its capabilities and sshd's, as anyone else none, which then have no effect anyway."""
    said = _without(own, "privileged")
    open_to_us = {name: value for name, value in RESTRICTED_POD.items() if name not in pod}
    if own.get("runAsUser", pod.get("runAsUser")) != 0:
        return {**RESTRICTED, **open_to_us, **said, "capabilities": RESTRICTED["capabilities"]}
    capabilities = own.get("capabilities") or {}
    added = sorted({*(capabilities.get("add") or ()), *SSHD_CAPABILITIES})
    return {
        "readOnlyRootFilesystem": True,
        **_without(open_to_us, "runAsNonRoot"),
        **said,
        "capabilities": {**capabilities, "add": added},
    }


def _read_by_group(volumes: Iterable[Mapping[str, Any]], mounted: Iterable[str]) -> dict[str, int]:
    """`fsGroup` where a mode such as 0400 would keep the pod's user, who is not root, from the files of a mounted
    volume; but never where Kubernetes would give the group files that last."""
    modes = []
    for volume in volumes:
        kind = next((k for k in volume if k in EPHEMERAL), "")
        if not kind:
            return {}
        if volume["name"] not in mounted:
            continue
        source = volume[kind] or {}
        parts = [source, *(part for entry in source.get("sources", ()) for part in entry.values())]
        items = [item for part in parts for item in part.get("items") or ()]
        modes += [source.get("defaultMode", 0o644), *(item["mode"] for item in items if "mode" in item)]
    return {} if all(mode & 0o004 for mode in modes) else {"fsGroup": IMAGE_USER}


NEW = _clone({"name": CONTAINER}, (), {"securityContext": RESTRICTED_POD, "volumes": []})
