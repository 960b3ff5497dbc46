"""The engine netstack: all of the namespace's packets, by a TUN device, to our own program in the Pod.

    async with netstack.running(netstack.argv(configure), timeout=15) as engine:
        raise EngineError(await engine.ended())

`tpbox-near` (netstack/ in the repository) answers a SYN only when the dial in the Pod has ended. It has a port-forward
and TLS of its own: neither ssh nor kubectl is between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from supervisor import children, link, routing
from supervisor.children import Child, EngineError
from supervisor.protocol import Configure

NAME = "netstack"
PROGRAM = "/opt/netstack/tpbox-near"
UP = b"up\n"


def argv(configure: Configure) -> list[str]:
    """The command line."""
    return [
        PROGRAM,
        f"-tun={routing.DEVICE}",
        f"-kubeconfig={link.RUN}/kubeconfig",
        f"-namespace={configure.namespace}",
        f"-pod={configure.pod}",
        f"-port={configure.engine.port}",
        f"-key={link.RUN}/id_ed25519",
        f"-known-hosts={link.RUN}/known_hosts",
    ]


@asynccontextmanager
async def running(argv: Sequence[str], timeout: float) -> AsyncIterator[Child]:
    """The program, answering packets, within `timeout` seconds; stopped when the block is left, whereupon the
    connections that it carried are reset. Raises EngineError.
    """
    async with children.running(NAME, argv, link.environment()) as engine:
        try:
            async with asyncio.timeout(timeout):
                up = await engine.stdout.readline() == UP
        except TimeoutError:
            raise EngineError(engine.words() or f"not ready after {timeout:.0f} s") from None
        if not up:
            raise EngineError(await engine.ended())
        yield engine
