"""A helper that is adopted, as in a Compose project, on networks with other containers; without a cluster."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

RUN = ["--rm", "--log-driver=none", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
SUPERVISOR = ["/usr/bin/python3", "-I", "/opt/tpbox"]
SUBNETS = ("192.168.238.0/24", "192.168.239.0/24")  # not among those that Docker gives by itself here

# What the supervisor does when a link is up, to a pod whose name server does not answer; nobody serves the TUN device.
SERVE = f"""
import asyncio, sys
sys.path[:0] = ["/opt/tpbox"]
from supervisor import netns, protocol, routing
from supervisor.carried import Wanted, networks
from supervisor.outside import Outside

INFO = {{"podIP": "10.244.0.7", "podIPs": ["10.244.0.7"], "hosts": open("/etc/hosts").read(),
        "resolvConf": "search shop.svc.cluster.local\\nnameserver 192.0.2.10\\noptions ndots:5\\n"}}
wanted = Wanted(never=networks(*{SUBNETS}), local_names=frozenset(["cache", "gone"]))
engine = protocol.Engine("netstack", 0, (), wanted)

async def main():
    outside = Outside()
    outside.configured(wanted)
    await netns.close_off((), outside.carried)
    configure = protocol.Configure("s", "n", "p", None, {{}}, engine, protocol.Volumes(), protocol.Inbound())
    await outside.linked(configure, INFO)
    await netns.resemble(outside.resembled(INFO))
    await routing.lead((), INFO, outside.carried)
    await outside.work()

asyncio.run(main())
"""
KILL = f"""
import os, pathlib, signal
wanted = "\\0".join({SUPERVISOR} + [""]).encode()
[supervisor] = [path.parent for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if path.read_bytes() == wanted]
os.kill(int(supervisor.name), signal.SIGKILL)
"""
# What each name is: an address, or the error's number.
LOOK_UP = """
import socket, sys
for name in sys.argv[1:]:
    try:
        print(socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)[0][4][0])
    except socket.gaierror as error:
        print(error.errno)
"""
EAI_AGAIN = "-3"
ANSWER = """
import socket
listener = socket.create_server(("0.0.0.0", 8080))
print("listening", flush=True)
while True:
    connection, (address, _) = listener.accept()
    connection.sendall(address.encode())
    connection.close()
"""
ASK = """
import socket, sys
with socket.create_connection((sys.argv[1], 8080), timeout=5) as connection:
    print(connection.recv(100).decode())
"""


def docker(*argv: str, check: bool = True) -> str:
    return subprocess.run(["docker", *argv], check=check, capture_output=True, text=True, timeout=60).stdout.strip()


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def helper(image: Callable[[str], str]) -> Iterator[str]:
    """The name of one that waits for its supervisor."""
    name = f"tpbox-test-{secrets.token_hex(4)}"
    options = [*RUN, "--cap-add=NET_ADMIN", "--tmpfs=/run/tpbox:mode=0700"]
    docker("run", "-d", f"--name={name}", *options, image("local"), "stand")
    wait_for(lambda: "supervisor" in docker("exec", name, "ls", "/run/tpbox"))
    yield name
    docker("rm", "-f", name, check=False)


def adopt(helper: str) -> subprocess.Popen[str]:
    """A supervisor that runs, by `docker exec`."""
    argv = ["docker", "exec", "-i", helper, *SUPERVISOR]
    pipe = subprocess.PIPE
    supervisor = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert supervisor.stdout is not None
    assert json.loads(supervisor.stdout.readline())["event"] == "hello"
    return supervisor


def test_it_ends_with_the_supervisor_that_was_killed(helper: str) -> None:
    with adopt(helper) as supervisor:
        waiting = subprocess.Popen(["docker", "wait", helper], stdout=subprocess.PIPE, text=True)
        docker("exec", helper, "python3", "-c", KILL, check=False)  # it may end under it
        assert waiting.communicate(timeout=10)[0].strip() == "1"
        supervisor.wait(10)


def test_it_ends_when_its_launcher_is_gone(helper: str) -> None:
    with adopt(helper) as supervisor:
        waiting = subprocess.Popen(["docker", "wait", helper], stdout=subprocess.PIPE, text=True)
        supervisor.kill()  # docker's own program: the engine closes the supervisor's stdin
        assert waiting.communicate(timeout=10)[0].strip() == "1"


def test_a_second_supervisor_is_refused(helper: str) -> None:
    with adopt(helper) as supervisor:
        second = subprocess.run(
            ["docker", "exec", "-i", helper, *SUPERVISOR], input="", capture_output=True, text=True, timeout=20
        )
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == "tpbox: another supervisor holds this helper\n"
        assert supervisor.poll() is None
        assert supervisor.stdin is not None
        supervisor.stdin.close()
        assert supervisor.wait(10) == 0


@pytest.mark.parametrize("adopted", [False, True])
def test_a_stop_does_not_wait(helper: str, adopted: bool) -> None:
    supervisor = adopt(helper) if adopted else None
    began = time.monotonic()
    docker("stop", "-t", "10", helper)
    assert time.monotonic() - began < 5
    if supervisor:
        supervisor.communicate(timeout=10)


@pytest.fixture
def networks() -> Iterator[list[str]]:
    made = {f"tpbox-test-{secrets.token_hex(4)}": subnet for subnet in SUBNETS}
    for name, subnet in made.items():
        docker("network", "create", f"--subnet={subnet}", name)
    yield list(made)
    docker("network", "rm", *made, check=False)


@pytest.fixture(params=[0, 1])
def project(
    image: Callable[[str], str], networks: list[str], request: pytest.FixtureRequest
) -> Iterator[tuple[str, str]]:
    """A helper on both networks, with the pod's resolver and the routes of netstack, and `cache` on one of them: their
    names. In both a program listens on port 8080."""
    helper, cache = f"{networks[0]}-helper", f"{networks[0]}-cache"
    python = ["--entrypoint=python3", image("local"), "-c"]
    try:
        network = f"--network={networks[request.param]}"
        docker("run", "-d", f"--name={cache}", network, "--network-alias=cache", *RUN, *python, ANSWER)
        options = ["--cap-add=NET_ADMIN", "--device=/dev/net/tun", "--tmpfs=/run/tpbox:mode=0700"]
        docker("create", f"--name={helper}", f"--network={networks[0]}", *options, *RUN, *python, SERVE)
        docker("network", "connect", networks[1], helper)
        docker("start", helper)
        docker("exec", "-d", helper, "python3", "-c", ANSWER)
        wait_for(lambda: "lookup 2020" in docker("exec", helper, "ip", "rule"))
        yield helper, cache
    finally:
        docker("rm", "-f", helper, cache, check=False)


def test_a_project_reaches_its_services_by_name_and_they_reach_it(
    project: tuple[str, str], image: Callable[[str], str]
) -> None:
    helper, cache = project
    address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", cache)
    shares = ["run", *RUN, f"--network=container:{helper}", "--entrypoint=python3", image("local"), "-c"]
    assert docker(*shares, LOOK_UP, "cache", "cache.").split() == [address, address]
    assert docker(*shares, LOOK_UP, "gone") == EAI_AGAIN, "the cluster is not asked for it"
    own = docker("exec", cache, "python3", "-c", LOOK_UP, helper)
    assert docker(*shares, ASK, "cache") == own, "it comes from the bridge's address"
    assert docker("exec", cache, "python3", "-c", ASK, helper) == address
