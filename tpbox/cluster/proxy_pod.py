"""The proxy pod in the cluster: created, watched until its agent speaks, removed.

with proxy_pod(api, manifest) as pod:      # the Job is created on entry and deleted on exit
    ready = pod.wait_ready(timeout=60)      # ReadyPod(name="tpbox-qhwzkbtd-x2x4z", host_key="ssh-ed25519 …")
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from tpbox import names
from tpbox.cluster import workloads
from tpbox.cluster.api import Api, ConflictError
from tpbox.errors import ClusterError, ForbiddenError, NotFoundError, PodError

POLL = 0.15  # seconds
GONE_TIMEOUT = 10  # seconds until a deleted pod's object has to be gone
UNSCHEDULABLE_AFTER = 6  # seconds that the scheduler gets to find, or an autoscaler to begin to make, a node

# Reasons of a waiting container that no waiting mends: pkg/kubelet/images/types.go and
# pkg/kubelet/kuberuntime/kuberuntime_container.go of Kubernetes 1.34.
IMAGE_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
CREATE_REASONS = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff"}

PULL_HINT = (
    "Name one that it can pull: --pod-image or TPBOX_POD_IMAGE (`tpbox images push` makes one), with --pull-secret "
    "where the registry wants a password."
)


class NoRoomError(PodError):
    """There may be room for the pod once another one has gone."""


@dataclass(frozen=True)
class ReadyPod:
    """A proxy pod whose agent has said its host key, and the port of the engine's far end (0: there is none)."""

    name: str
    host_key: str
    engine_port: int = 0


def jobs_path(namespace: str, name: str = "") -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs" + (f"/{name}" if name else "")


def pods_path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


def services_path(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/services" + (f"/{name}" if name else "")


def create(api: Api, manifest: dict[str, Any]) -> str:
    """Creates the Job and returns its uid. Raises PodError with the words of whoever refused it."""
    try:
        return str(api.create(jobs_path(manifest["metadata"]["namespace"]), manifest)["metadata"]["uid"])
    except ClusterError as error:
        raise PodError("the cluster refused the proxy pod's Job", detail=error.message, hint=error.hint) from error


def wait_ready(api: Api, namespace: str, session: str, *, timeout: float, cancelled: threading.Event) -> ReadyPod:
    """Waits until the agent has written its host key, at most `timeout` seconds.

    Raises PodError as soon as the cluster says that the pod cannot run, or when `cancelled` is set.
    """
    began = time.monotonic()
    state = "no pod yet"
    while time.monotonic() - began < timeout:
        if cancelled.is_set():
            raise PodError("given up, since the session has ended")
        pod = _newest(api, namespace, session)
        if pod is None:
            if not exists(api, namespace, names.of(session)):  # its agent has just ended
                raise PodError("the proxy pod's Job has gone")
            _check_job_events(api, namespace, session)
        else:
            state = _check(api, pod, time.monotonic() - began)
            if _running(pod):
                name = pod["metadata"]["name"]
                if said := _ready_words(api, namespace, name):
                    return ReadyPod(name, said["hostKey"], said.get("enginePort", 0))
        cancelled.wait(POLL)
    raise PodError(f"the proxy pod was not ready after {timeout:.0f} s", detail=state, hint=_look(namespace, session))


def exists(api: Api, namespace: str, name: str) -> bool:
    """Whether the session's Job is there: it goes when the agent has ended by itself. Raises ClusterError."""
    try:
        return "deletionTimestamp" not in api.get(jobs_path(namespace, name))["metadata"]
    except NotFoundError:
        return False
    except ForbiddenError:  # no session needs to look at Jobs; such a one ends with its Job
        return True


def is_ready(api: Api, namespace: str, name: str) -> bool:
    """Whether Services lead to the pod. Raises ClusterError."""
    found = workloads.get(api, namespace, "pods", name)
    return found is not None and workloads.is_ready("pods", found)


def wait_unready(api: Api, namespace: str, name: str, timeout: float) -> None:
    """Returns when no Service leads to the pod any more, or after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while is_ready(api, namespace, name) and time.monotonic() < deadline:
        time.sleep(POLL)


def create_service(api: Api, manifest: dict[str, Any]) -> None:
    """Raises ClusterError when there is one of that name, or when it is refused."""
    metadata = manifest["metadata"]
    try:
        api.create(services_path(metadata["namespace"]), manifest)
    except ConflictError as error:
        raise ClusterError(
            f"there is a Service '{metadata['name']}' in namespace '{metadata['namespace']}' already",
            hint="Choose another name: --as NAME",
        ) from error


def delete(api: Api, namespace: str, name: str) -> None:
    """Deletes a session's Job and its pods, and returns when their objects are gone.

    Raises ClusterError when they are still there after GONE_TIMEOUT seconds.
    """
    selector = f"{names.SESSION}={name.removeprefix('tpbox-')}"
    api.delete(jobs_path(namespace, name))
    with contextlib.suppress(ForbiddenError):  # who may not delete pods waits for the Job's end to end them
        for pod in api.get(pods_path(namespace), labelSelector=selector)["items"]:
            api.delete(pods_path(namespace, pod["metadata"]["name"]), grace=1)
    deadline = time.monotonic() + GONE_TIMEOUT
    while api.get(pods_path(namespace), labelSelector=selector)["items"]:
        if time.monotonic() > deadline:
            raise ClusterError(f"pods of Job {name} in namespace {namespace} are still ending")
        time.sleep(POLL)


def _newest(api: Api, namespace: str, session: str) -> dict[str, Any] | None:
    pods = api.get(pods_path(namespace), labelSelector=f"{names.SESSION}={session}")["items"]
    live = [p for p in pods if "deletionTimestamp" not in p["metadata"]]
    return max(live, key=lambda p: p["metadata"]["creationTimestamp"], default=None)


def _check(api: Api, pod: dict[str, Any], waited: float) -> str:
    """Raises PodError when the pod cannot run; otherwise says in words how far it is."""
    status = pod.get("status", {})
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    image = pod["spec"]["containers"][0]["image"]
    for container in status.get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting") or {}
        reason, words = waiting.get("reason", ""), waiting.get("message", "")
        if reason in IMAGE_REASONS:
            raise PodError(
                f"the cluster cannot pull the proxy pod's image {image} ({reason})",
                detail=words,
                hint=PULL_HINT,
            )
        if reason in CREATE_REASONS:
            raise _cannot_start(namespace, name, reason, _log(api, namespace, name) or words)
    for condition in status.get("conditions", []):
        if condition.get("reason") == "Unschedulable" and waited > UNSCHEDULABLE_AFTER:
            words = condition.get("message", "")
            raise NoRoomError("no node takes the proxy pod", detail=words, hint=_look(namespace, name))
    failed = _mount_failure(api, pod) if status.get("phase") == "Pending" and waited > UNSCHEDULABLE_AFTER else ""
    if failed:
        raise NoRoomError("the proxy pod's volumes cannot be mounted", detail=failed)
    return f"{name} is {status.get('phase', 'Pending')}"


def _cannot_start(namespace: str, name: str, reason: str, words: str) -> PodError:
    hint = _look(namespace, name)
    if "argument list too long" in words:  # the kernel's 2 MiB, and then no pod of the namespace that has links starts
        hint = "The namespace's Services are too many variables for a process. Leave them out: --no-service-links"
    return PodError(f"the proxy pod {name} cannot start ({reason})", detail=words, hint=hint)


def _mount_failure(api: Api, pod: dict[str, Any]) -> str:
    selector = f"involvedObject.uid={pod['metadata']['uid']},reason=FailedMount"
    return _last_event(api, pod["metadata"]["namespace"], selector)


def _check_job_events(api: Api, namespace: str, session: str) -> None:
    """Quota, LimitRange, Pod Security and admission webhooks refuse the pod, not the Job: the Job's events say so."""
    said = _last_event(api, namespace, f"involvedObject.name={names.of(session)},reason=FailedCreate")
    if said:
        raise NoRoomError("the cluster refused the proxy pod", detail=said)


def _last_event(api: Api, namespace: str, selector: str) -> str:
    """The text of the newest event, "" where there is none or events may not be read."""
    try:
        events = api.get(f"/api/v1/namespaces/{namespace}/events", fieldSelector=selector)["items"]
    except ForbiddenError:
        return ""
    return str(events[-1]["message"]) if events else ""


def _running(pod: dict[str, Any]) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses", [])
    return any("running" in status.get("state", {}) for status in statuses)


def _ready_words(api: Api, namespace: str, name: str) -> dict[str, Any]:
    """What the agent says once sshd listens; empty before."""
    for line in _log(api, namespace, name).splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("event") == "ready":
            return said
    return {}


def _log(api: Api, namespace: str, name: str) -> str:
    try:
        return api.text(f"{pods_path(namespace, name)}/log", tailLines="20").strip()
    except ClusterError:  # the container's log is there a moment after the container
        return ""


def _look(namespace: str, name: str) -> str:
    return f"See: kubectl -n {namespace} describe pod -l {names.SESSION}={name.removeprefix('tpbox-')[:8]}"
