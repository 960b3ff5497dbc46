"""The cluster's own address ranges, with whatever rights the user has.

found = ranges.find(api, "shop")
found.services, found.pods          # empty where they cannot be found

There is no one place that tells them. Services: ServiceCIDR objects (Kubernetes 1.33), else the API server's words for
a Service with an address that cannot be, which is never made. Pods: what the nodes were given, and where the pods are
that may be seen; network plugins may give pods addresses that no node tells.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, ForbiddenError, NotFoundError
from tpbox.plan.outside import Network, Ranges

SERVICE_CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
IMPOSSIBLE = "192.0.2.0"  # of TEST-NET-1 (RFC 5737): no cluster's
# "…the provided IP (192.0.2.0) is not in the valid range. The range of valid IPs is 10.96.0.0/16" (1.34)
VALID_RANGE = re.compile(r"range of valid IPs is ([0-9a-fA-F:.]+/\d+)")
# What is taken around the address of a pod where no node tells: as many as a node usually has.
AROUND = {4: 24, 6: 64}


def find(api: Api, namespace: str) -> Ranges:
    """Raises ClusterError when the API server is away."""
    services = _service_cidrs(api) or _valid_range(api, namespace)
    told = _node_cidrs(api)
    seen = around(_pod_ips(api, namespace), told)
    return Ranges(tuple(services), (*told, *seen), guessed=bool(seen) and not told)


def around(addresses: Iterable[str], told: Iterable[Network]) -> list[Network]:
    """Networks for the addresses that are in none of `told`, each once."""
    known = list(told)
    for text in addresses:
        address = ipaddress.ip_address(text)
        if not any(address in network for network in known):
            known.append(ipaddress.ip_network(f"{text}/{AROUND[address.version]}", strict=False))
    return known[len(list(told)) :]


def _service_cidrs(api: Api) -> list[Network]:
    try:
        found = api.items(SERVICE_CIDRS)
    except (ForbiddenError, NotFoundError):
        return []
    return [ipaddress.ip_network(cidr) for one in found for cidr in one.get("spec", {}).get("cidrs", ())]


def _valid_range(api: Api, namespace: str) -> list[Network]:
    try:
        api.create(f"/api/v1/namespaces/{namespace}/services", impossible(namespace), dryRun="All")
    except ClusterError as error:
        return [ipaddress.ip_network(cidr) for cidr in VALID_RANGE.findall(error.message)]
    return []


def impossible(namespace: str) -> dict[str, Any]:
    """A Service that no API server makes."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"generateName": "tpbox-", "namespace": namespace},
        "spec": {"clusterIP": IMPOSSIBLE, "ports": [{"port": 1}]},
    }


def _node_cidrs(api: Api) -> list[Network]:
    try:
        nodes = api.items("/api/v1/nodes")
    except (ForbiddenError, NotFoundError):
        return []
    cidrs = (cidr for node in nodes for cidr in node.get("spec", {}).get("podCIDRs", ()))
    return [ipaddress.ip_network(cidr) for cidr in dict.fromkeys(cidrs)]


def _pod_ips(api: Api, namespace: str) -> list[str]:
    """Of all namespaces, if they may be seen. A pod in its node's network has the node's address, which is no pod's."""
    running = {"fieldSelector": "status.phase=Running", "limit": "500"}
    try:
        pods = api.items("/api/v1/pods", **running)
    except (ForbiddenError, NotFoundError):
        pods = api.items(f"/api/v1/namespaces/{namespace}/pods", **running)
    return [ip for pod in pods if not pod.get("spec", {}).get("hostNetwork") for ip in _ips(pod.get("status", {}))]


def _ips(status: Mapping[str, Any]) -> list[str]:
    return [str(found["ip"]) for found in status.get("podIPs", ()) if found.get("ip")]
