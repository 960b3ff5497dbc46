"""The engine: what carries the namespace's traffic to the Pod. Which one is the launcher's choice.

async with engine.running(configure, info, timeout=15) as carrying:
    raise EngineError(await carrying.ended())
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from supervisor import netns, netstack, routing, sshuttle
from supervisor.children import Child, EngineError
from supervisor.protocol import Configure

__all__ = ["EngineError", "running"]


@asynccontextmanager
async def running(configure: Configure, info: Mapping[str, Any], timeout: float) -> AsyncIterator[Child]:
    """The engine, carrying, within `timeout` seconds; stopped when the block is left.

    Raises EngineError when it does not start, CommandError or OSError when the namespace cannot be made ready for it.
    """
    if configure.engine.name == netstack.NAME:
        await routing.lead(configure.engine.bypass, info)
        started = netstack.running(netstack.argv(configure), timeout)
    else:
        argv = sshuttle.argv(
            configure.engine.bypass,
            await netns.gateway(),
            netns.nameservers(info["resolvConf"]),
            await netns.addresses(),
        )
        started = sshuttle.running(argv, timeout)
    async with started as child:
        yield child
