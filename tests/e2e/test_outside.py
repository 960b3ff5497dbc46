"""Row 21: what is outside the cluster goes out through the pod, unless --only-cluster or --never-proxy keep it local.

The embedded cluster lets its pods out to the node's Docker network, where the helper is too. A server there sees which
way a connection came: from the node, which stands for its pods, or from the helper itself. Its name is Docker's alone.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, MYAPP, Launcher
from tests.e2e.probe import Answer, ask

ENGINES = ["netstack", "sshuttle"]
NETWORK = "tpbox-cluster"
IN_CLUSTER = "outside"  # a name that the cluster alone knows, of an address that is not the cluster's
ON_MACHINE = "wiki.example"  # a name that the launcher alone knows
GET = "curl -sS --max-time 5"
DIG = "dig +tries=1 +time=3"

pytestmark = [pytest.mark.row(21), pytest.mark.parametrize("engine", ENGINES)]


@dataclass(frozen=True)
class Server:
    """A program outside the cluster, and the address that the cluster's pods have for it."""

    name: str
    address: str
    node: str

    def way(self, answers: Mapping[str, Answer], name: str) -> str:
        """How the connection of a question to this server came to it."""
        client: str = json.loads(answers[name].ok)["client"]
        return {self.node: "pod", answers["own address"].ok: "local"}.get(client, client)


@pytest.fixture(scope="module")
def server(tpbox: Launcher) -> Iterator[Server]:
    name = f"tpbox-e2e-outside-{secrets.token_hex(2)}"
    shop.docker("run", "-d", "--rm", "--name", name, "--network", NETWORK, MYAPP)
    try:
        found = Server(name, _address(name), _address(shop.node()))
        _name_in_cluster(tpbox.namespace, found.address)
        yield found
    finally:
        shop.docker("rm", "-f", name)


def _address(container: str) -> str:
    networks = json.loads(shop.docker("inspect", container))[0]["NetworkSettings"]["Networks"]
    return str(networks[NETWORK]["IPAddress"])


def _name_in_cluster(namespace: str, address: str) -> None:
    """A headless Service of an address that is no pod's."""
    metadata = {"name": IN_CLUSTER, "namespace": namespace}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "None"}}
    slices = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": IN_CLUSTER}},
        "endpoints": [{"addresses": [address]}],
    }  # fmt: skip
    shop.kubectl("apply", "-f", "-", stdin=f"{json.dumps(service)}\n---\n{json.dumps(slices)}")


def _questions(server: Server) -> dict[str, str]:
    return {
        "by address": f"{GET} http://{server.address}:8080/",
        "by docker's name": f"{GET} http://{server.name}:8080/",
        "by the cluster's name": f"{GET} http://{IN_CLUSTER}:8080/",
        "own address": "ip -4 -o address show dev eth0 | sed 's|.* inet ||; s|/.*||'",
        "pod's address": "ip -4 -o address show dev lo scope global | sed 's|.* inet ||; s|/.*||'",
        "seen in the cluster": f"{GET} http://web/client",
        "a": f"{DIG} +short {server.name} A",
        "a tcp": f"{DIG} +short +tcp {server.name} A",
        "a of the cluster": f"{DIG} +search +short web A",
        "a of the cluster tcp": f"{DIG} +search +short +tcp web A",
        "ptr": f"{DIG} +short -x {server.address}",
        "ptr of the cluster": f"{DIG} +short -x $({DIG} +search +short web A)",
    }


def _ask(tpbox: Launcher, server: Server, engine: str, *options: str) -> dict[str, Answer]:
    answers = ask(tpbox, _questions(server), "--engine", engine, *options)
    # Whatever stays local, the cluster is reached as the pod, and by its names.
    cluster_ip = shop.cluster_ip("web", tpbox.namespace)
    assert answers["seen in the cluster"].ok == answers["pod's address"].ok
    assert [answers[name].ok for name in ("a of the cluster", "a of the cluster tcp")] == [cluster_ip, cluster_ip]
    assert answers["ptr of the cluster"].ok == f"web.{tpbox.namespace}.svc.cluster.local."
    return answers


def test_names_and_addresses_outside_go_out_through_the_pod(tpbox: Launcher, server: Server, engine: str) -> None:
    answers = _ask(tpbox, server, engine)
    assert server.way(answers, "by address") == "pod"
    assert server.way(answers, "by the cluster's name") == "pod"
    assert answers["by docker's name"].code == 6, "the pod's resolver is asked, which does not know it"
    assert answers["a"].ok == answers["a tcp"].ok == ""


def test_with_only_cluster_they_stay_local(tpbox: Launcher, server: Server, engine: str) -> None:
    answers = _ask(tpbox, server, engine, "--only-cluster")
    assert server.way(answers, "by address") == "local"
    assert server.way(answers, "by docker's name") == "local"
    assert server.way(answers, "by the cluster's name") == "local", "its address is not the cluster's"
    assert answers["a"].ok == answers["a tcp"].ok == server.address
    assert answers["ptr"].ok == f"{server.name}.{NETWORK}."


def test_also_proxy_goes_through_the_pod_too(tpbox: Launcher, server: Server, engine: str) -> None:
    answers = _ask(tpbox, server, engine, "--only-cluster", "--also-proxy", server.address)
    assert server.way(answers, "by address") == "pod"
    assert server.way(answers, "by docker's name") == "pod"


def test_a_name_of_also_proxy_is_what_the_pod_knows_it_as(tpbox: Launcher, server: Server, engine: str) -> None:
    answers = _ask(tpbox, server, engine, "--only-cluster", "--also-proxy", IN_CLUSTER)
    assert server.way(answers, "by the cluster's name") == "pod"
    assert server.way(answers, "by address") == "pod"


@pytest.mark.parametrize("only", [(), ("--only-cluster",)], ids=["everything", "only-cluster"])
def test_never_proxy_stays_local(tpbox: Launcher, server: Server, engine: str, only: tuple[str, ...]) -> None:
    answers = _ask(tpbox, server, engine, *only, "--never-proxy", server.address)
    assert server.way(answers, "by address") == "local"
    assert server.way(answers, "by the cluster's name") == "local"


def test_never_proxy_wins_over_also_proxy_and_says_so_once(tpbox: Launcher, server: Server, engine: str) -> None:
    command = f"{GET} http://{server.address}:8080/; {_questions(server)['own address']}"
    options = ("--engine", engine, "--only-cluster", "--also-proxy", server.address, "--never-proxy", server.address)
    done = tpbox.run(*options, "--image", CLIENTS, "--", "sh", "-c", command).ok()
    seen, own = done.text.splitlines()
    assert json.loads(seen)["client"] == own
    assert done.stderr.count("--never-proxy") == 1
    assert f"--never-proxy {server.address}/32 wins over --also-proxy {server.address}/32" in done.stderr


def test_a_name_of_never_proxy_is_what_this_machine_knows_it_as(
    tpbox: Launcher, server: Server, engine: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_RESOLVES.format(name=ON_MACHINE, address=server.address))
    command = f"{GET} http://{ON_MACHINE}:8080/; {_questions(server)['own address']}"
    options = ("--engine", engine, "--never-proxy", ON_MACHINE, "--image", CLIENTS, "--", "sh", "-c", command)
    done = tpbox.run(*options, env={"PYTHONPATH": str(tmp_path)}).ok()
    seen, own = done.text.splitlines()
    assert json.loads(seen)["client"] == own


# A resolver for the launcher alone: this machine's own must not be touched.
_RESOLVES = """
import socket
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **named: real("{address}" if host == "{name}" else host, *rest, **named)
"""
