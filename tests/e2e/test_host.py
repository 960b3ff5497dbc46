"""Rows 31, 32, 38 and the host's half of 22: the host reaches the process, and is otherwise as it was."""

from __future__ import annotations

import json
import socket
import urllib.request
from dataclasses import dataclass

import pytest
from kubernetes import client, config

from tests.e2e import host, shop
from tests.e2e.launcher import MYAPP, Launcher
from tests.e2e.shop import docker

EACH_ENGINE = True


@dataclass(frozen=True)
class Look:
    """What the host saw while myapp ran in a session with two published ports."""

    bindings: list[dict[str, str]]
    identity: dict[str, str]
    by_second_port: dict[str, str]
    page: bytes
    api_version: str
    host: dict[str, list[str]]


@dataclass(frozen=True)
class Served:
    """One session, from before its start to after its end."""

    session: str
    before: dict[str, list[str]]
    during: Look
    after: dict[str, list[str]]
    workloads_before: dict[str, object]
    workloads_after: dict[str, object]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return bytes(answer.read())


def _workloads(namespace: str) -> dict[str, object]:
    """The objects of the namespace as their owners know them; their status is the controllers' own."""
    found = shop.items("deployments,statefulsets,services,configmaps,secrets,serviceaccounts", "-n", namespace)
    for one in found:
        one.pop("status", None)
        one["metadata"].pop("resourceVersion")
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def _api_version(tpbox: Launcher) -> str:
    """As the official client on the host gets it."""
    path = tpbox("cluster", "kubeconfig").ok().text.strip()
    settings = client.Configuration()
    config.load_kube_config(path, client_configuration=settings)  # type: ignore[no-untyped-call]
    return str(client.VersionApi(client.ApiClient(settings)).get_code().git_version)


def _look(tpbox: Launcher, session: str, first: int, second: int) -> Look:
    helper = json.loads(docker("inspect", f"tpbox-{session}"))[0]
    return Look(
        bindings=[one for found in helper["NetworkSettings"]["Ports"].values() for one in found or []],
        identity=json.loads(_get(f"http://127.0.0.1:{first}/")),
        by_second_port=json.loads(_get(f"http://127.0.0.1:{second}/")),
        page=_get(f"http://127.0.0.1:{first}/shop"),
        api_version=_api_version(tpbox),
        host=host.snapshot(),
    )


@pytest.fixture(scope="module")
def served(tpbox: Launcher) -> Served:
    first, second = _free_ports(2)
    before, workloads = host.snapshot(), _workloads(tpbox.namespace)
    ports = ["-p", f"127.0.0.1:{first}:8080", "-p", f"{second}:8080"]
    with tpbox.start(*ports, "--image", MYAPP, "--", "python", "app.py") as running:
        running.wait_output(b"answers on port 8080")
        during = _look(tpbox, running.session, first, second)
        running.interrupt()
        done = running.finish(20)
    assert done.code == 0, done.stderr  # app.py ends with 0 at Ctrl-C
    return Served(done.session, before, during, host.snapshot(), workloads, _workloads(tpbox.namespace))


def test_row_31_the_host_reaches_the_process(served: Served, tpbox: Launcher) -> None:
    assert served.during.identity["hostname"] == f"tpbox-{served.session}"
    assert served.during.identity["namespace"] == tpbox.namespace
    assert served.during.identity["pod"].startswith(f"tpbox-{served.session}-")


def test_row_31_all_else_goes_to_the_cluster_meanwhile(served: Served) -> None:
    assert served.during.page == shop.PAGE


def test_row_31_a_port_without_an_address_is_on_the_loopback_only(served: Served) -> None:
    assert served.during.by_second_port["hostname"] == served.during.identity["hostname"]
    assert [binding["HostIp"] for binding in served.during.bindings] == ["127.0.0.1", "127.0.0.1"]


def test_row_22_the_hosts_own_access_to_the_api_is_untouched(served: Served) -> None:
    assert served.during.api_version.startswith("v1.34.")


PARTS = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "routes", "rules", "iptables", "mounts"]


@pytest.mark.parametrize("part", PARTS)
def test_row_38_the_host_is_the_same_during_a_session(served: Served, part: str) -> None:
    assert served.during.host[part] == served.before[part]


@pytest.mark.parametrize("part", PARTS)
def test_row_38_the_host_is_the_same_after_a_session(served: Served, part: str) -> None:
    assert served.after[part] == served.before[part]


def test_row_32_the_namespace_is_as_before(served: Served) -> None:
    assert served.workloads_after == served.workloads_before
