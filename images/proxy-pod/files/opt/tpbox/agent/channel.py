"""The client's line to the agent: info first, then an answer to each thing it says.

    async with channel.listening(path, info, beat, take):      # in the agent
        ...
    sys.exit(channel.attach(path))                             # in an ssh session

A session has a clean environment and knows nothing of the Pod; the agent knows, so the two talk over a unix socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.guard import Guard

SOCKET = "agent.sock"
LINE = 2**20  # bytes; a guard carries certificates


@dataclass(frozen=True)
class Beat:
    """A client is there; `ready` is whether the Pod is."""

    number: int
    ready: bool


def parse(line: bytes) -> Beat | Guard | None:
    """What a client says with a line; None when it is nothing that the agent knows."""
    try:
        said = json.loads(line)
        if "guard" in said:
            return Guard.parse(said["guard"])
        if isinstance(said["ready"], bool):
            return Beat(said["beat"], said["ready"])
    except (ValueError, KeyError, TypeError):
        pass
    return None


@asynccontextmanager
async def listening(
    path: Path,
    info: Callable[[], dict[str, Any]],
    beat: Callable[[bool], None],
    take: Callable[[Guard], Awaitable[str]],
) -> AsyncIterator[None]:
    """Serves clients at `path`, until the block is left: `info()` to each, `beat(ready)` for each beat, and `take` for
    each guard, which returns what is wrong with it. A client that says else is hung up on.
    """
    clients: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.create_task(converse(reader, writer))
        clients.add(client)
        client.add_done_callback(clients.discard)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(_line(info=info()))
            # A guard is answered when the API server has answered; beats are meanwhile.
            async with asyncio.TaskGroup() as guards:
                while said := parse(await reader.readline()):
                    if isinstance(said, Guard):
                        guards.create_task(_take(said, take, writer))
                    else:
                        beat(said.ready)
                        writer.write(_line(beat=said.number))
                    await writer.drain()
        except* (ConnectionError, ValueError):
            pass  # gone, or a line without end; the clock tells whether it matters
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(connected, path, limit=LINE)
    try:
        yield
    finally:
        server.close()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _take(guard: Guard, take: Callable[[Guard], Awaitable[str]], writer: asyncio.StreamWriter) -> None:
    reason = await take(guard)
    writer.write(_line(guard="failed", reason=reason) if reason else _line(guard="up"))


def _line(**message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def attach(path: Path, stdin: int = 0, stdout: int = 1) -> int:
    """Joins the descriptors to the agent until it hangs up; returns 0, or 1 when there is no agent."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        try:
            agent.connect(str(path))
        except OSError as error:
            sys.stderr.write(f"tpbox: no agent at {path}: {error.strerror}\n")
            return 1
        with suppress(ConnectionError):
            _relay(agent, stdin, stdout)
        return 0


def _relay(agent: socket.socket, stdin: int, stdout: int) -> None:
    sources = [agent.fileno(), stdin]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if agent.fileno() in ready:
            data = agent.recv(65536)
            if not data:
                return
            _write_all(stdout, data)
        if stdin in ready:
            data = os.read(stdin, 65536)
            if data:
                agent.sendall(data)
            else:
                # The agent answers what it has read, then hangs up.
                agent.shutdown(socket.SHUT_WR)
                sources.remove(stdin)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
