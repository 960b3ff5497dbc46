"""The exact engine's two programs with the helper's own routing, on a Docker network that has IPv6, as the embedded
cluster has not: a container in the pod's place, another in the helper's, a third that is asked."""

from __future__ import annotations

import json
import secrets
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

FAR_PORT = 20023
POD_IPS = ["10.244.99.7", "fd99::7"]
SERVER = """
import socket, threading
def udp():
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind(("::", 9000))
    while True:
        server.sendto(*server.recvfrom(65535))
threading.Thread(target=udp, daemon=True).start()
server = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    connection = server.accept()[0]
    connection.sendall(b"hello")
    connection.close()
"""
# In the helper's place: its own routing, then the engine.
LEAD = """
import asyncio, os, sys
sys.path.insert(0, "/opt/tpbox")
from supervisor import routing
asyncio.run(routing.lead((), {{"podIP": {ips[0]!r}, "podIPs": {ips!r}}}))
os.execv("/opt/netstack/tpbox-near", ["tpbox-near", "-direct={far}", "-key=/keys/near", "-known-hosts=/keys/known"])
"""
ASK = """
import errno, json, socket, struct, sys
address = sys.argv[1]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
found = {}
with socket.create_connection((address, 8000), timeout=5) as connection:
    found["open"], found["from"] = connection.recv(5).decode(), connection.getsockname()[0]
try:
    socket.create_connection((address, 81), timeout=5)
except OSError as error:
    found["closed"] = errno.errorcode.get(error.errno, str(error))
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.connect((address, 9000))
    client.send(b"x" * 8000)
    found["udp"] = len(client.recv(65535))
with socket.socket(family, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.connect((address, 81))
    client.send(b"x")
    try:
        client.recv(10)
    except OSError as error:
        found["udp closed"] = errno.errorcode.get(error.errno, str(error))
protocol, request = (socket.IPPROTO_ICMPV6, 128) if ":" in address else (socket.IPPROTO_ICMP, 8)
with socket.socket(family, socket.SOCK_DGRAM, protocol) as client:
    client.settimeout(5)
    client.sendto(struct.pack("!BBHHH", request, 0, 0, 1, 7) + b"data", (address, 0))
    found["echo"] = client.recv(4096)[6:].hex()
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Machines:
    near: str
    server: dict[int, str]  # its address, by IP version


def docker(*argv: str) -> str:
    done = subprocess.run(["docker", *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def keygen(folder: Path) -> None:
    for name in ("near", "far"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "known").write_text(f"pod {(folder / 'far.pub').read_text()}")


def run(network: str, name: str, image: str, *options: str, command: tuple[str, ...]) -> dict[int, str]:
    """Starts a container; returns its addresses."""
    entrypoint, *rest = command
    argv = ("run", "--detach", f"--name={name}", f"--network={network}", f"--entrypoint={entrypoint}")
    docker(*argv, *options, image, *rest)
    settings = json.loads(docker("inspect", name))[0]["NetworkSettings"]["Networks"][network]
    return {4: settings["IPAddress"], 6: settings["GlobalIPv6Address"]}


@pytest.fixture(scope="module")
def machines(image: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    keys = tmp_path_factory.mktemp("keys")
    keygen(keys)
    local, pod = image("local"), image("proxy-pod")
    base = f"tpbox-test-{secrets.token_hex(4)}"
    names = [f"{base}-{role}" for role in ("server", "far", "near")]
    subnet = f"fd99:{secrets.token_hex(2)}::/64"
    docker("network", "create", "--ipv6", f"--subnet={subnet}", base)
    try:
        server = run(base, names[0], pod, "--user=0", command=("/usr/bin/python3", "-c", SERVER))
        far_argv = ("sleep 60 | exec /opt/netstack/tpbox-far -listen=0.0.0.0:20023 -key=/keys/far "
                    "-client=\"$(cat /keys/near.pub)\"")  # fmt: skip
        shared = f"--volume={keys}:/keys:ro"
        ping = "--sysctl=net.ipv4.ping_group_range=0 2147483647"
        far = run(base, names[1], pod, "--user=0", shared, ping, command=("sh", "-c", far_argv))
        lead = LEAD.format(ips=POD_IPS, far=f"{far[4]}:{FAR_PORT}")
        # The way to far is not through itself: in a session that is the API server's.
        script = (
            f"ip address add {POD_IPS[0]}/32 dev lo && ip rule add to {far[4]} lookup main pref 99 "
            f"&& exec python3 -c {shlex.quote(lead)}"
        )
        options = ["--cap-drop=ALL", "--cap-add=NET_ADMIN", "--device=/dev/net/tun", "--user=0", ping]
        options += ["--sysctl=net.ipv6.conf.default.disable_ipv6=0", shared]
        run(base, names[2], local, *options, command=("sh", "-c", script))
        deadline = time.monotonic() + 10
        while "up" not in docker("logs", names[2]).splitlines() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield Machines(names[2], server)
    finally:
        subprocess.run(["docker", "rm", "--force", *names], capture_output=True, check=False)
        docker("network", "rm", base)


@pytest.mark.parametrize("version", [4, 6])
def test_both_versions_of_ip_are_carried_exactly(machines: Machines, version: int) -> None:
    found = json.loads(docker("exec", machines.near, "python3", "-c", ASK, machines.server[version]))
    assert found == {
        "open": "hello",
        "from": POD_IPS[version == 6],
        "closed": "ECONNREFUSED",
        "udp": 8000,
        "udp closed": "ECONNREFUSED",
        "echo": "0007" + b"data".hex(),
    }
