"""The client's line to the agent: info first, then an answer to each heartbeat.

    async with channel.listening(path, info, clock.beat):      # in the agent
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
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

SOCKET = "agent.sock"


def answer(line: bytes) -> bytes | None:
    """The answer to a client's line: its beat again; None when the line is no beat."""
    try:
        beat = json.loads(line)["beat"]
    except (ValueError, KeyError, TypeError):
        return None
    return json.dumps({"beat": beat}).encode() + b"\n"


@asynccontextmanager
async def listening(path: Path, info: Callable[[], dict[str, Any]], beat: Callable[[], None]) -> AsyncIterator[None]:
    """Serves clients at `path`: `info()` to each, and `beat()` for each beat. A client that says else is hung up on."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(json.dumps({"info": info()}).encode() + b"\n")
            while (answered := answer(await reader.readline())) is not None:
                beat()
                writer.write(answered)
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # gone, or a line without end; the clock tells whether it matters
        finally:
            writer.close()

    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()


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
