from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import Any, cast

import pytest

from tpbox import preflight
from tpbox.cluster import ranges
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, DockerError, ForbiddenError, NotFoundError, TpboxError, UsageError
from tpbox.local import resolve
from tpbox.local.docker import Docker
from tpbox.plan.kubeconfig import ApiServer, Credential
from tpbox.plan.outside import Found, Ranges
from tpbox.plan.outside import parse as parse_outside
from tpbox.plan.request import ProcessOptions, SessionRequest, WorkloadRef, parse_ports
from tpbox.plan.session import Facts


class FakeApi:
    """An API server that knows these paths, and allows all but these verbs."""

    context, namespace = "dev", "shop"

    def __init__(self, server: str = "https://10.0.0.1:6443") -> None:
        self.objects: dict[str, dict[str, Any]] = {"/api/v1/namespaces/shop": {}}
        self.denied: set[str] = set()
        self.hidden: set[str] = set()
        self.server = server

    def get(self, path: str, **_: str) -> dict[str, Any]:
        if path in self.hidden:
            raise ForbiddenError(f"may not get {path}")
        if path not in self.objects:
            raise NotFoundError(f"{path} not found")
        return self.objects[path]

    def items(self, path: str) -> list[dict[str, Any]]:
        return list(self.get(path)["items"])

    def create(self, _: str, review: dict[str, Any]) -> dict[str, Any]:
        asked = review["spec"]["resourceAttributes"]
        return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" not in self.denied}}

    def credential(self) -> Credential:
        return Credential(server=self.server)


class FakeDocker:
    host = "unix:///docker.sock"

    def __init__(self, published: dict[str, Any] | None = None) -> None:
        self._published = published

    def info(self) -> dict[str, Any]:
        return {"KernelVersion": "6.1", "OperatingSystem": "Docker Desktop"}

    def published(self, port: int) -> dict[str, Any] | None:
        return self._published


def check(api: FakeApi, docker: FakeDocker | None = None, **fields: Any) -> Facts:
    process = ProcessOptions(image="myapp", ports=fields.pop("ports", ()))
    request = SessionRequest(process, **{"pod_image": "registry/pod", **fields})
    return preflight.check(request, cast(Docker, docker or FakeDocker()), cast(Api, api), "/kubeconfig")


def listed(*names: str) -> dict[str, Any]:
    return {"items": [{"metadata": {"name": name}} for name in names]}


def test_the_facts_of_a_cluster_by_address() -> None:
    facts = check(FakeApi())
    assert (facts.context, facts.namespace, facts.kubeconfig, facts.embedded) == ("dev", "shop", "/kubeconfig", False)
    assert facts.server == ApiServer("10.0.0.1", 6443, "10.0.0.1")


def test_what_stays_outside_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "here", lambda name: ("192.0.2.9",))
    found = Ranges((ip_network("10.96.0.0/16"),), (ip_network("10.244.0.0/24"),), guessed=True)
    monkeypatch.setattr(ranges, "find", lambda api, namespace: found)
    assert check(FakeApi()).outside == Found()
    local = check(FakeApi(), outside=parse_outside((), ("wiki",), only_cluster=False))
    assert (local.outside, local.remarks) == (Found(hosts={"wiki": ("192.0.2.9",)}), ())
    only = check(FakeApi(), outside=parse_outside((), (), only_cluster=True))
    assert only.outside == Found(found)
    assert "10.244.0.0/24 is taken" in only.remarks[0]
    with pytest.raises(TpboxError, match=r"--also-proxy 10\.0\.0\.0/8 covers the API server's address 10\.0\.0\.1"):
        check(FakeApi(), outside=parse_outside(("10.0.0.0/8",), (), only_cluster=True))


def test_a_namespace_that_is_not_there_suggests_the_nearest() -> None:
    api = FakeApi()
    api.objects["/api/v1/namespaces"] = listed("shop", "default")
    with pytest.raises(NotFoundError) as raised:
        check(api, namespace="shopp")
    assert raised.value.lines() == ["there is no namespace 'shopp' in context 'dev'", "Did you mean -n shop?"]


def test_a_namespace_that_one_may_not_look_at_may_still_be_worked_in() -> None:
    api = FakeApi()
    api.hidden.add("/api/v1/namespaces/shop")
    assert check(api).namespace == "shop"


def test_a_right_that_is_missing_is_named() -> None:
    api = FakeApi()
    api.denied.add("create pods")
    with pytest.raises(ForbiddenError, match="may not create pods/portforward in namespace 'shop'") as raised:
        check(api)
    assert "kubectl auth can-i create pods/portforward -n shop" in raised.value.hint


def test_a_service_account_and_a_workload_must_exist() -> None:
    api = FakeApi()
    api.objects["/api/v1/namespaces/shop/serviceaccounts"] = listed("builder")
    api.objects["/apis/apps/v1/namespaces/shop/deployments"] = listed("web")
    with pytest.raises(NotFoundError, match="no service account 'bilder'") as raised:
        check(api, service_account="bilder")
    assert raised.value.hint == "Did you mean 'builder'?"
    with pytest.raises(NotFoundError, match="no deployments/wep") as raised:
        check(api, like=WorkloadRef("deployments", "wep"))
    assert raised.value.hint == "Did you mean 'web'?"


def test_a_cluster_that_is_not_ours_needs_a_pod_image() -> None:
    with pytest.raises(UsageError, match="has to pull the proxy pod's image") as raised:
        check(FakeApi(), pod_image="")
    assert "--pod-image" in raised.value.hint


def test_an_api_server_on_loopback_is_looked_for_among_containers() -> None:
    networks = {"kind": {"IPAddress": "172.18.0.2"}}
    ports = {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "40123"}], "80/tcp": None}
    docker = FakeDocker({"NetworkSettings": {"Ports": ports, "Networks": networks}})
    facts = check(FakeApi("https://127.0.0.1:40123"), docker)
    assert facts.server == ApiServer("172.18.0.2", 6443, "127.0.0.1", "kind")


def test_an_api_server_on_loopback_that_no_container_publishes_is_one_clear_error() -> None:
    with pytest.raises(ClusterError, match=r"listens on 127\.0\.0\.1:6443 of this machine only"):
        check(FakeApi("https://127.0.0.1:6443"))


def test_a_port_that_is_taken_is_seen_before_anything_is_made() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(DockerError, match=f"127.0.0.1:{number} of this machine cannot be had"):
            check(FakeApi(), ports=parse_ports(f"{number}:80"))
    check(FakeApi(), ports=parse_ports("80"))
