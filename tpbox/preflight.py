"""Looks before anything is changed: is Docker there, is the cluster, and can what was asked for work in it?

facts = preflight.check(request, docker, api)
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tpbox import names
from tpbox.cluster import api as kube
from tpbox.cluster import ranges, rivals, workloads
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, DockerError, ForbiddenError, NotFoundError, UsageError
from tpbox.local import resolve
from tpbox.local.docker import Docker
from tpbox.local.embedded import kubeconfig_path
from tpbox.plan import clone, engine, swap, volumes, workload
from tpbox.plan.clone import Clone, Swapped
from tpbox.plan.containers import PortBinding
from tpbox.plan.kubeconfig import ApiServer, Credential
from tpbox.plan.node import CONTEXT
from tpbox.plan.outside import Found, Outside, Ranges
from tpbox.plan.request import SessionRequest, WorkloadRef
from tpbox.plan.session import Facts

Right = tuple[str, str, str, str]  # verb, API group, resource, subresource

# What every session does in the namespace.
RIGHTS: tuple[Right, ...] = (
    ("create", "batch", "jobs", ""),
    ("delete", "batch", "jobs", ""),
    ("get", "", "pods", ""),
    ("list", "", "pods", ""),
    ("get", "", "pods", "log"),
    ("create", "", "pods", "portforward"),
)


def choose_kubeconfig(kubeconfig: str, context: str) -> tuple[str, str]:
    """The kubeconfig and context to use: --kubeconfig, $KUBECONFIG, ~/.kube/config, then the embedded cluster's.

    Raises ClusterError when there is none at all.
    """
    if kubeconfig:
        return kubeconfig, context
    embedded = kubeconfig_path()
    own = kube.user_kubeconfig()
    if context == CONTEXT or not own:
        if not embedded.exists():
            raise ClusterError(
                "there is no cluster to use: neither $KUBECONFIG nor ~/.kube/config exists",
                hint="Name a kubeconfig with --kubeconfig, or start the embedded cluster: tpbox cluster up",
            )
        return str(embedded), context or CONTEXT
    return own, context


def check(request: SessionRequest, docker: Docker, api: Api, kubeconfig: str) -> Facts:
    """Asks Docker and the API server; changes nothing. Raises the first thing that is wrong, with what mends it."""
    if docker.host.startswith("unix://"):
        _check_ports(request.process.ports)
    namespace = request.namespace or api.namespace
    check_namespace(api, namespace)
    _check_rights(api, namespace, _rights(request))
    _check_named(api, namespace, request)
    credential = api.credential()
    embedded = kubeconfig == str(kubeconfig_path())
    if not embedded and not request.pod_image:
        raise UsageError(
            f"cluster '{api.context}' has to pull the proxy pod's image from somewhere",
            hint="Push it: tpbox images push REPOSITORY, or load it (kind, k3d, minikube): tpbox images load; both say "
            "the --pod-image to use.",
        )
    server = server_for_helper(credential, docker)
    about = docker.info()  # it takes Docker tens of milliseconds
    not_exact = _not_exact(request, docker.host, about)
    request.outside.check_carried(engine.choose(request.engine, not_exact))
    outside, outside_remarks = _outside(api, namespace, request.outside, server)
    swapped, remarks = _swap(api, namespace, request.swap) if request.swap else (None, [])
    return Facts(
        owner=names.owner(),
        docker_host=docker.host,
        context=api.context,
        namespace=namespace,
        kubeconfig=kubeconfig,
        credential=credential,
        server=server,
        embedded=embedded,
        like=_like(api, namespace, request.like) if request.like else None,
        swap=swapped,
        remarks=(*remarks, *outside_remarks),
        outside=outside,
        not_live=_not_live(request, docker.host, about),
        not_exact=not_exact,
        ipv6=docker.host.startswith("unix://") and Path("/proc/sys/net/ipv6").is_dir(),
    )


def _not_live(request: SessionRequest, host: str, about: Mapping[str, Any]) -> str:
    """Why volumes cannot be live. Raises DockerError when they were to be."""
    wanted = {request.volumes.mode, *request.volumes.paths.values()}
    if request.looks_only or not wanted & {"auto", "live"}:
        return ""
    reason = volumes.cannot_be_live(about, host, Path("/dev/fuse").exists())
    volumes.check_live(request.volumes, reason)
    return reason


def _not_exact(request: SessionRequest, host: str, about: Mapping[str, Any]) -> str:
    """Why the engine netstack cannot work here. Raises TunnelError when it was to be that one."""
    reason = engine.cannot_be_exact(about, host, Path(engine.TUN_DEVICE).exists())
    engine.check(request.engine, reason)
    return reason


def _check_ports(ports: tuple[PortBinding, ...]) -> None:
    """Docker would say it too, when the pod is half made."""
    for port in ports:
        if port.host_port is None:
            continue
        kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
        family = socket.AF_INET6 if ":" in port.host_ip else socket.AF_INET
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((port.host_ip, port.host_port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                    raise DockerError(
                        f"-p: {port.host_ip}:{port.host_port} of this machine cannot be had",
                        detail=error.strerror or "",
                        hint="Choose another: -p HOSTPORT:PORT; without HOSTPORT Docker finds a free one.",
                    ) from error
                # Others, as EACCES below 1024, are no word on what the Docker engine may do.


def check_namespace(api: Api, namespace: str) -> None:
    try:
        api.get(f"/api/v1/namespaces/{namespace}")
    except NotFoundError as error:
        near = difflib.get_close_matches(namespace, workloads.names_in(api, "/api/v1/namespaces"), n=1)
        raise NotFoundError(
            f"there is no namespace '{namespace}' in context '{api.context}'",
            hint=f"Did you mean -n {near[0]}?" if near else f"Make it: kubectl create namespace {namespace}",
        ) from error
    except ForbiddenError as error:
        if "credential" in error.message:
            raise
        # Many may work in a namespace and not look at it.


def _rights(request: SessionRequest) -> tuple[Right, ...]:
    """What this session does in the namespace."""
    service = (("create", "", "services", ""), ("delete", "", "services", ""))
    return (
        *RIGHTS,
        *(swap.rights(request.swap.kind) if request.swap else service if request.inbound.exposed else ()),
    )


def _check_rights(api: Api, namespace: str, rights: tuple[Right, ...]) -> None:
    for right in rights:
        if not allowed(api, namespace, right):
            verb, what = right_words(right)
            raise ForbiddenError(
                f"the credential of context '{api.context}' may not {verb} {what} in namespace '{namespace}'",
                hint=f"A session needs it. See: kubectl auth can-i {verb} {what} -n {namespace}",
            )


def allowed(api: Api, namespace: str, right: Right) -> bool:
    """Whether the API server lets this credential do it. Raises ClusterError."""
    verb, group, resource, subresource = right
    attributes = {
        "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource
    }  # fmt: skip
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = api.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer.get("status", {}).get("allowed"))


def right_words(right: Right) -> tuple[str, str]:
    """The verb, and the resource as kubectl writes it: ("get", "pods/log")."""
    verb, _, resource, subresource = right
    return verb, f"{resource}/{subresource}" if subresource else resource


def _check_named(api: Api, namespace: str, request: SessionRequest) -> None:
    """What the request names is there, and the name that it gives is free."""
    if request.service_account:
        _check_exists(api, namespace, "serviceaccounts", request.service_account, "service account")
    if request.pull_secret:
        _check_exists(api, namespace, "secrets", request.pull_secret, "pull secret")
    if request.as_name:
        _check_free(api, namespace, request.as_name)


def _check_exists(api: Api, namespace: str, resource: str, name: str, called: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/{resource}"
    try:
        api.get(f"{path}/{name}")
    except NotFoundError as error:
        near = difflib.get_close_matches(name, workloads.names_in(api, path), n=1)
        raise NotFoundError(
            f"there is no {called} '{name}' in namespace '{namespace}'",
            hint=f"Did you mean '{near[0]}'?" if near else "",
        ) from error
    except ForbiddenError:
        return  # admission says it, if it is not there


def _like(api: Api, namespace: str, ref: WorkloadRef) -> Clone:
    return clone.like(workload.pod_template(workloads.find(api, namespace, ref)), ref)


def _check_free(api: Api, namespace: str, service: str) -> None:
    """The cluster would say it too, when the pod is made."""
    with contextlib.suppress(NotFoundError, ForbiddenError):
        api.get(f"/api/v1/namespaces/{namespace}/services/{service}")
        raise UsageError(
            f"there is a Service '{service}' in namespace '{namespace}' already", hint="Choose another name: --as NAME"
        )


def _swap(api: Api, namespace: str, ref: WorkloadRef) -> tuple[Swapped, list[str]]:
    """The workload whose place is taken, and what the user is to know of it."""
    target = workloads.resolve(api, namespace, ref)
    taken = Swapped.of(target.ref, target.manifest)
    redirected = [target.redirected] if target.redirected else []
    return taken, [*redirected, *taken.remarks(), *rivals.warnings(api, namespace, target.ref, target.manifest)]


def _outside(api: Api, namespace: str, asked: Outside, server: ApiServer) -> tuple[Found, list[str]]:
    """What the names and the cluster's ranges are, and what the user is to know of it. Raises TpboxError."""
    asked.check_server(server.address)
    hosts = {name: resolve.here(name) for name in asked.never_names}
    if not asked.only_cluster:
        return Found(Ranges(), hosts), asked.remarks()
    found = ranges.find(api, namespace)
    return Found(found, hosts), [*asked.check_ranges(found), *asked.remarks()]


def server_for_helper(credential: Credential, docker: Docker) -> ApiServer:
    """The API server as the helper, a container, will reach it. Raises ClusterError when it cannot be."""
    url = urlsplit(credential.server)
    host, port = url.hostname or "", url.port or 443
    if credential.proxy:
        raise ClusterError(
            "the kubeconfig reaches the API server through a proxy (proxy-url), which the helper cannot use yet",
            hint="Use a context without proxy-url.",
        )
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ClusterError(f"the API server's name {host} does not resolve", detail=str(error)) from error
    address = min((str(entry[4][0]) for entry in found), key=lambda text: ":" in text)  # IPv4 before IPv6
    name = credential.tls_server_name or host
    if not ipaddress.ip_address(address).is_loopback:
        return ApiServer(address, port, name)
    return _published_server(docker, address, port, name)


def _published_server(docker: Docker, address: str, port: int, name: str) -> ApiServer:
    """An API server on the host's loopback is a container's (kind, k3d, minikube, our own): join its network."""
    container = docker.published(port)
    if container is None:
        raise ClusterError(
            f"the API server listens on {address}:{port} of this machine only, where the helper cannot reach it",
            hint="Use a kubeconfig whose server is an address that containers reach.",
        )
    settings: dict[str, Any] = container["NetworkSettings"]
    inside = next(
        int(inner.partition("/")[0])
        for inner, outer in settings["Ports"].items()
        for binding in outer or []
        if binding["HostPort"] == str(port)
    )
    network, endpoint = next(iter(settings["Networks"].items()))
    return ApiServer(endpoint["IPAddress"], inside, name, network)
