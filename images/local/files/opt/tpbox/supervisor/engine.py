"""The engine: what carries the namespace's traffic to the Pod. Which one is the launcher's choice.

async with engine.running(configure, info, carried, timeout=15) as carrying:
    raise EngineError(await carrying.ended())
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from supervisor import netns, netstack, routing, sshuttle
from supervisor.carried import Carried
from supervisor.children import Child
from supervisor.protocol import Configure


@asynccontextmanager
async def running(
    configure: Configure, info: Mapping[str, Any], carried: Carried, timeout: float
) -> AsyncIterator[Child]:
    """The engine, carrying, within `timeout` seconds; stopped when the block is left.

    Raises EngineError when it does not start, CommandError or OSError when the namespace cannot be made ready for it.
    """
    if configure.engine.name == netstack.NAME:
        await routing.lead(configure.engine.bypass, info, carried)
        started = netstack.running(netstack.argv(configure), timeout)
    else:
        argv = sshuttle.argv(
            configure.engine.bypass,
            await netns.gateway(),
            netns.nameservers(info["resolvConf"]),
            await netns.addresses(),
            carried,
        )
        started = sshuttle.running(argv, timeout)
    async with started as child:
        yield child
