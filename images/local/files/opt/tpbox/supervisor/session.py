"""The loop: link, remote info, engine, inbound; whichever ends, all of it is made anew after a back-off.

    sys.exit(asyncio.run(session.serve()))

The first link must come up in time; later ones are tried for ever, since the user's process lives on.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from typing import NoReturn

from supervisor import children, engine, link, netns, protocol
from supervisor.children import CommandError, EngineError
from supervisor.health import Health
from supervisor.host import Host
from supervisor.inbound import Inbound
from supervisor.link import Link, LinkError
from supervisor.outside import Outside, OutsideError
from supervisor.protocol import Configure, Emit, Guard, Refused, Stop, Withdraw
from supervisor.standing import Standing
from supervisor.volumes import Volumes

FIRST_LINK_TIMEOUT = 20.0  # seconds, all attempts together
SHORTEST_ATTEMPT = 1.0  # seconds; a shorter one would be cut off before its tools have said what is wrong
LINK_TIMEOUT = 10.0  # seconds, one attempt of those that follow
ENGINE_TIMEOUT = 15.0  # seconds
BACKOFF_FIRST, BACKOFF_LAST = 0.2, 2.0  # seconds; new connections are to work 5 s after the cause is gone


class Failed(Exception):
    """Given up; told to the launcher as a `failed` event."""

    def __init__(self, step: str, message: str, detail: str) -> None:
        super().__init__(message)
        self.step, self.message, self.detail = step, message, detail


class Session:
    """What outlives a link: how often it came up, whether the engine ever did, and what the agent is to be told."""

    def __init__(self, emit: Emit, volumes: Volumes, host: Host) -> None:
        self._emit = emit
        self._volumes = volumes
        self._host = host
        self._standing = Standing(emit)
        self._inbound = Inbound(emit, self._standing)
        self._outside = Outside()
        self._links = 0
        self._engines = 0
        self._configured: asyncio.Queue[Configure] = asyncio.Queue()

    async def listen(self, commands: asyncio.StreamReader) -> None:
        """Reads commands until `stop` or the end of the channel."""
        async for line in commands:
            try:
                command = protocol.parse(line)
            except Refused as refused:
                self._emit("refused", message=str(refused))
                continue
            match command:
                case Configure():
                    self._configured.put_nowait(command)
                case Guard():
                    self._standing.guard = command.payload
                case Withdraw():
                    self._standing.withdraw()
                case Stop():
                    return

    async def work(self) -> NoReturn:
        """Keeps the latest configuration's link and engine up. Raises Failed."""
        configure = await self._configured.get()
        self._host.configured(configure.inbound.host)
        try:
            await children.first_of(self._outside.work(), self._follow(configure))
        except OutsideError as error:
            raise Failed("outside", str(error), error.detail) from error
        raise AssertionError("both go on for ever")

    async def _follow(self, configure: Configure) -> NoReturn:
        while True:
            configure = await children.first_of(self._configured.get(), self._keep(configure))

    async def _keep(self, configure: Configure) -> NoReturn:
        self._outside.configured(configure.engine.outside)
        try:
            await netns.close_off(configure.engine.bypass, self._outside.carried)
        except CommandError as error:
            raise Failed("network", "the helper's network cannot be closed off", str(error)) from error
        loop = asyncio.get_running_loop()
        give_up = loop.time() + FIRST_LINK_TIMEOUT
        delay = BACKOFF_FIRST / 2
        while True:
            links = self._links
            delay = min(delay * 2, BACKOFF_LAST)
            timeout = LINK_TIMEOUT if links else give_up - loop.time()
            try:
                await self._link(configure, timeout)
            except LinkError as error:
                if not self._links and (error.final or loop.time() + delay + SHORTEST_ATTEMPT > give_up):
                    raise Failed("link", "no link to the proxy pod", str(error)) from error
            except EngineError as error:
                if not self._engines:
                    raise Failed("engine", f"the engine {configure.engine.name} does not start", str(error)) from error
            if self._links > links:
                delay = BACKOFF_FIRST
            await asyncio.sleep(delay)

    async def _link(self, configure: Configure, timeout: float) -> NoReturn:
        async with link.connect(configure, timeout) as connected:
            self._emit("link", state="up", reconnects=self._links)
            self._links += 1
            reason = "stopped or configured anew"
            try:
                self._emit("remote", info=connected.info)
                self._volumes.linked(configure, connected.info)
                reason = await children.first_of(
                    connected.lost(self._standing),
                    self._engine(configure, connected),
                    self._inbound.keep(configure.inbound),
                )
                raise LinkError(reason)
            except (EngineError, LinkError) as error:
                reason = str(error)
                raise
            except Failed:
                reason = ""  # it is not made anew, and `failed` says why
                raise
            finally:
                if reason:
                    self._emit("link", state="down", reason=reason)

    async def _engine(self, configure: Configure, connected: Link) -> NoReturn:
        async with AsyncExitStack() as stack:
            try:
                carried = await self._outside.linked(configure, connected.info)
                await netns.resemble(self._outside.resembled(connected.info))
                if not carried.everything:  # the pod's own addresses count as the cluster's
                    await netns.close_off(configure.engine.bypass, carried)
                running = engine.running(configure, connected.info, carried, ENGINE_TIMEOUT)
                carrying = await stack.enter_async_context(running)
            except OutsideError as error:
                raise Failed("outside", str(error), error.detail) from error
            except (CommandError, OSError) as error:
                raise Failed("network", "the namespace cannot be made like the Pod's", str(error)) from error
            self._engines += 1
            name = configure.engine.name
            self._emit("engine", state="up", name=name)
            reason = "the link is down"
            try:
                reason = await carrying.ended()
                raise EngineError(reason)
            finally:
                self._emit("engine", state="down", name=name, reason=reason)


async def serve(emit: Emit = protocol.emit) -> int:
    """Supervises until stdin ends, `stop` or SIGTERM (returns 0), or until it has given up (returns 1)."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(signum, stopped.set)
    commands = asyncio.StreamReader(limit=children.LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    emit = Health(emit).emit
    volumes, host = Volumes(emit), Host(emit)
    session = Session(emit, volumes, host)
    emit("hello", protocol=protocol.PROTOCOL)
    try:
        await children.first_of(session.listen(commands), stopped.wait(), session.work(), volumes.work(), host.work())
    except Failed as failed:
        emit("failed", step=failed.step, message=failed.message, detail=failed.detail)
        return 1
    return 0
