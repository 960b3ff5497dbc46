"""What a program sees of the network: one probe, run in a pod of the cluster and in a session, outcomes compared.

with peer(namespace) as found:                       # a pod that answers, resets, echoes
    outcomes = in_pod(found, targets(found))         # {"closed port": Outcome("refused", 0.001)}
    outcomes = in_session(launcher, targets(found), "--engine", "netstack")
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.e2e import shop
from tests.e2e.launcher import CLIENTS, Launcher, wait_for
from tpbox.local import images
from tpbox.local.docker import Docker
from tpbox.local.embedded import Embedded

FILTERED = "192.0.2.1"  # the node drops what pods send there (cluster/node)
UDP, RESETTING, LISTENING, CLOSED = 9000, 8001, 8000, 81
PATIENCE = 5.0  # seconds; an address that nobody has is told by ARP, after 3

SERVER = f"""
import socket, struct, threading
def udp():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", {UDP}))
    while True:
        data, client = server.recvfrom(65535)
        server.sendto(client[0].encode() if data == b"who" else data, client)
def tcp(port, act):
    server = socket.create_server(("", port), backlog=128)
    while True:
        act(server.accept()[0])
def reset(connection):
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
def hello(connection):
    connection.sendall(b"hello")
    connection.close()
threading.Thread(target=udp, daemon=True).start()
threading.Thread(target=tcp, args=({RESETTING}, reset), daemon=True).start()
tcp({LISTENING}, hello)
"""

# Reads the targets, a JSON list of [name, kind, address, port or size], and prints {{name: [outcome, seconds]}}.
PROBE = f"""
import concurrent.futures, errno, json, os, socket, struct, sys, time
WORDS = {{errno.ECONNREFUSED: "refused", errno.EHOSTUNREACH: "no route to host", errno.ENETUNREACH: "unreachable",
         errno.ECONNRESET: "reset", errno.EPERM: "not permitted", errno.EPIPE: "closed"}}
def tcp(address, port):
    with socket.create_connection((address, port), timeout={PATIENCE}) as connection:
        connection.sendall(b"x")
        try:
            return connection.recv(5).decode() or "accepted, then closed"
        except TimeoutError:
            return "accepted, then no answer"
        except ConnectionResetError:
            return "reset" if port == {RESETTING} else "accepted, then closed"
def udp(address, size, connected):
    data = os.urandom(size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout({PATIENCE})
        if connected:
            client.connect((address, {UDP}))
            client.send(data)
            found = client.recv(65535)
        else:
            client.sendto(data, (address, {UDP}))
            found, server = client.recvfrom(65535)
            if server != (address, {UDP}):
                return f"from {{server}}"
        return "echoed" if found == data else "changed"
def closed(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout({PATIENCE})
        client.connect((address, port))
        client.send(b"x")
        return client.recv(10).decode()
def echo(address, identifier):
    body = struct.pack("!BBHHH", 8, 0, 0, identifier, 7) + b"tpbox" * 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as client:
        client.settimeout({PATIENCE})
        client.sendto(body, (address, 0))
        reply = client.recv(4096)
        return "echoed" if reply[:1] == b"\\0" and reply[6:] == body[6:] else "changed"
KINDS = {{"tcp": tcp, "udp": lambda a, n: udp(a, n, True), "udp unconnected": lambda a, n: udp(a, n, False),
         "udp closed": closed, "echo": echo}}
def ask(target):
    name, kind, address, number = target
    began = time.monotonic()
    try:
        said = KINDS[kind](address, number)
    except TimeoutError as error:
        said = "no answer"
    except OSError as error:
        said = WORDS.get(error.errno, str(error))
    return name, [said, round(time.monotonic() - began, 3)]
targets = json.loads(sys.argv[1])
with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
    print(json.dumps(dict(pool.map(ask, targets))))
"""

Target = tuple[str, str, str, int]


@dataclass(frozen=True)
class Outcome:
    said: str
    seconds: float


@dataclass(frozen=True)
class Peer:
    """A pod that serves the probe, and its Service's address."""

    namespace: str
    name: str
    address: str
    service: str


@contextlib.contextmanager
def peer(namespace: str) -> Iterator[Peer]:
    """The pod, answering, with a Service of its name."""
    name = f"peer-{secrets.token_hex(2)}"
    for manifest in _manifests(namespace, name):
        shop.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        shop.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s", timeout=70)
        address = str(shop.get("pod", name, "-n", namespace)["status"]["podIP"])
        found = Peer(namespace, name, address, shop.cluster_ip(name, namespace))
        service: Target = ("service", "udp", found.service, 1)
        wait_for("the peer's Service", lambda: in_pod(found, [service])["service"].said == "echoed", 20)
        yield found
    finally:
        shop.kubectl("-n", namespace, "delete", f"pod/{name}", f"service/{name}", "--wait=false")


def _manifests(namespace: str, name: str) -> list[dict[str, object]]:
    image = _python_in_the_cluster()
    metadata = {"name": name, "namespace": namespace, "labels": {"peer": name}}
    # The probe sends echoes, as a session's pod may.
    sysctls = [{"name": "net.ipv4.ping_group_range", "value": "0 2147483647"}]
    container = {
        "name": "peer", "image": image, "imagePullPolicy": "Never", "command": ["/usr/bin/python3", "-c", SERVER],
        "readinessProbe": {"tcpSocket": {"port": LISTENING}, "periodSeconds": 1},
    }  # fmt: skip
    spec = {
        "containers": [container],
        "securityContext": {"sysctls": sysctls},
        "terminationGracePeriodSeconds": 0,
    }
    ports = [{"name": "udp", "port": UDP, "protocol": "UDP"}, {"name": "tcp", "port": LISTENING}]
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": {"peer": name}, "ports": ports},
        },
    ]


def _python_in_the_cluster() -> str:
    """The proxy pod's image, which a session before may have brought there."""
    docker = Docker.connect()
    image = images.ensure(docker, images.find("images/proxy-pod", "tpbox-proxy-pod"), progress=lambda _: None)
    Embedded(docker).ensure_loaded(image, progress=lambda _: None)
    return image


def in_pod(found: Peer, targets: list[Target]) -> dict[str, Outcome]:
    """As the peer itself sees them."""
    argv = ("python3", "-c", PROBE, json.dumps(targets))
    return _outcomes(json.loads(shop.kubectl("-n", found.namespace, "exec", found.name, "--", *argv)))


def in_session(launcher: Launcher, targets: list[Target], *options: str) -> dict[str, Outcome]:
    done = launcher.run(*options, "--image", CLIENTS, "--", "python3", "-c", PROBE, json.dumps(targets))
    return _outcomes(json.loads(done.ok().text))


def _outcomes(found: Mapping[str, tuple[str, float]]) -> dict[str, Outcome]:
    return {name: Outcome(said, seconds) for name, (said, seconds) in found.items()}
