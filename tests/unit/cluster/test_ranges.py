from __future__ import annotations

from ipaddress import ip_network
from typing import Any, cast

import pytest

from tpbox.cluster import ranges
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, ForbiddenError, NotFoundError
from tpbox.plan.outside import Ranges

NODES, PODS, SHOP = "/api/v1/nodes", "/api/v1/pods", "/api/v1/namespaces/shop/pods"
WORDS = (
    'Service "tpbox-x" is invalid: spec.clusterIPs: Invalid value: ["192.0.2.0"]: failed to allocate IP 192.0.2.0: the '
    "provided IP (192.0.2.0) is not in the valid range. The range of valid IPs is 10.96.0.0/16"
)


class FakeApi:
    """What may be listed, and what is said to a Service that cannot be."""

    def __init__(self, refusal: ClusterError | None = None, **listed: list[dict[str, Any]]) -> None:
        paths = {"cidrs": ranges.SERVICE_CIDRS, "nodes": NODES, "pods": PODS, "shop": SHOP}
        self.listed = {paths[name]: found for name, found in listed.items()}
        self.refusal = refusal or ForbiddenError("services is forbidden")
        self.made: list[tuple[str, dict[str, Any], dict[str, str]]] = []

    def items(self, path: str, **_: str) -> list[dict[str, Any]]:
        if path in self.listed:
            return self.listed[path]
        raise NotFoundError(path) if path == ranges.SERVICE_CIDRS else ForbiddenError(path)

    def create(self, path: str, manifest: dict[str, Any], **query: str) -> dict[str, Any]:
        self.made.append((path, manifest, query))
        raise self.refusal


def find(api: FakeApi) -> Ranges:
    return ranges.find(cast(Api, api), "shop")


def pod(*ips: str, host: bool = False) -> dict[str, Any]:
    return {"spec": {"hostNetwork": host}, "status": {"podIPs": [{"ip": ip} for ip in ips]}}


def node(*cidrs: str) -> dict[str, Any]:
    return {"spec": {"podCIDRs": list(cidrs)} if cidrs else {}}


def test_what_the_cluster_tells() -> None:
    cidrs = [{"spec": {"cidrs": ["10.96.0.0/16", "fd00::/108"]}}, {"spec": {"cidrs": ["10.97.0.0/16"]}}]
    api = FakeApi(cidrs=cidrs, nodes=[node("10.244.0.0/24"), node("10.244.1.0/24")], pods=[pod("10.244.1.9")])
    assert find(api) == Ranges(
        tuple(map(ip_network, ("10.96.0.0/16", "fd00::/108", "10.97.0.0/16"))),
        tuple(map(ip_network, ("10.244.0.0/24", "10.244.1.0/24"))),
    )
    assert not api.made


def test_a_service_that_cannot_be_tells_the_range() -> None:
    api = FakeApi(ClusterError(WORDS), shop=[pod("10.244.0.9")])
    assert find(api).services == (ip_network("10.96.0.0/16"),)
    [(path, manifest, query)] = api.made
    assert (path, query) == ("/api/v1/namespaces/shop/services", {"dryRun": "All"})
    assert manifest == ranges.impossible("shop")


@pytest.mark.parametrize("refusal", [ForbiddenError("services is forbidden"), ClusterError("no allocator")])
def test_without_either_the_services_range_is_unknown(refusal: ClusterError) -> None:
    assert find(FakeApi(refusal, shop=[])) == Ranges()


def test_where_no_node_tells_the_pods_do() -> None:
    seen = [pod("10.244.0.9", "fd00:2::9"), pod("10.244.0.7"), pod("10.244.3.1"), pod("172.30.0.2", host=True), {}]
    expected = tuple(map(ip_network, ("10.244.0.0/24", "fd00:2::/64", "10.244.3.0/24")))
    assert find(FakeApi(nodes=[node()], pods=seen)) == Ranges((), expected, guessed=True)
    assert find(FakeApi(shop=seen)) == Ranges((), expected, guessed=True)


def test_pods_beside_what_the_nodes_tell_count_too() -> None:
    api = FakeApi(nodes=[node("10.244.0.0/24")], pods=[pod("10.244.0.9"), pod("10.245.0.9")])
    assert find(api).pods == tuple(map(ip_network, ("10.244.0.0/24", "10.245.0.0/24")))
    assert not find(api).guessed
