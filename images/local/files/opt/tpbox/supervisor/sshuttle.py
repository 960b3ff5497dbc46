"""The engine sshuttle: TCP and DNS of the namespace, redirected by iptables and carried over ssh.

    async with sshuttle.running(argv, timeout=15) as engine:
        raise EngineError(await engine.ended())

Pinned to 1.3.1, whose order of rules decides what must be excluded, with patches/sshuttle-1.3.1.patch for large frames,
bounded memory and bursts of connections.
"""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from supervisor import children, link
from supervisor.carried import Carried
from supervisor.children import Child, EngineError
from supervisor.protocol import Endpoint

NAME = "sshuttle"


def argv(
    bypass: Iterable[Endpoint], gateway: str, nameservers: Iterable[str], local: Iterable[str], carried: Carried
) -> list[str]:
    """The command line. `local` are the namespace's own addresses."""
    # 1.3.1 lets local addresses through only after 0.0.0.0/0 has been redirected, in PREROUTING too: without
    # these a connection to a published port or to the Pod's own address would go to the far end.
    excluded = ["127.0.0.0/8", *(address for address in local if not address.startswith("127."))]
    if gateway:
        excluded.append(gateway)
    excluded += [str(end) for end in bypass if end.address.version == 4]
    excluded += [f"{resolver}:53" for resolver in carried.resolvers if resolver.version == 4]
    # Of carried and excluded networks the smaller wins, whatever their order here: sshuttle sorts its rules so.
    excluded += [str(network) for network in carried.local(4)]
    names = ",".join(nameservers)
    return [
        "sshuttle",
        "--method=nat",
        "--disable-ipv6",  # there is none on Docker's default bridge; netns closes it where there is
        *([f"--ns-hosts={names}"] if names else []),
        "--python=/usr/bin/python3",
        f"--ssh-cmd={shlex.join(link.ssh_argv())}",
        f"--remote={link.HOST}",
        *(f"--exclude={subnet}" for subnet in excluded),
        *(str(network) for network in carried.networks(4)),
    ]


@asynccontextmanager
async def running(argv: list[str], timeout: float) -> AsyncIterator[Child]:
    """sshuttle with its rules in place, within `timeout` seconds; stopped when the block is left.

    Raises EngineError.
    """
    path = link.RUN / "engine.sock"
    with _notify_socket(path) as notified:
        # It says "Connected to server." before it sets its rules, and tells systemd when they are set.
        env = link.environment() | {"NOTIFY_SOCKET": str(path)}
        async with children.running(NAME, argv, env) as engine:
            try:
                async with asyncio.timeout(timeout):
                    failed = await children.first_of(_ready(notified), engine.ended())
            except TimeoutError:
                failed = engine.words() or f"not ready after {timeout:.0f} s"
            if failed:
                raise EngineError(failed)
            yield engine


def _notify_socket(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.setblocking(False)
    notified.bind(str(path))
    return notified


async def _ready(notified: socket.socket) -> str:
    while b"READY=1" not in await asyncio.get_running_loop().sock_recv(notified, 4096):
        pass
    return ""
