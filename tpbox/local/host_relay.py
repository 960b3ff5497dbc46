"""--container-to-host: connections of the helper's namespace to ports of this machine's loopback.

    with HostRelay(docker_host, helper, warn=console.warn) as relay:
        relay.connect("7", 5678)       # for an event `host`; returns at once

The helper listens and tells (images/local, `supervisor.host`); here a `docker exec` of its `joiner` is joined to a new
connection to 127.0.0.1:PORT. Nothing listens on this machine, and what waits on a slow end are pipes, not our memory.
`joiner` says how a direction's end and a broken connection differ: both are passed on as what they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable

log = logging.getLogger(__name__)

DIAL_TIMEOUT = 5.0  # seconds
END_PATIENCE = 5.0  # seconds in which a `docker exec` ends by itself
LENGTH = 4  # bytes before each chunk
CHUNK = 64 * 1024  # bytes
LINGER_NONE = struct.pack("ii", 1, 0)  # struct linger: close(2) resets the connection, tcp(7)


def exec_argv(docker_host: str, helper: str, number: str) -> list[str]:
    """The other end of a connection, on its stdin and stdout."""
    return [
        "docker", "-H", docker_host, "exec", "-i", helper, "/usr/bin/python3", "-I", "/opt/tpbox", "host", number,
    ]  # fmt: skip


async def dial(port: int) -> tuple[StreamReader, StreamWriter]:
    """Raises OSError."""
    async with asyncio.timeout(DIAL_TIMEOUT):
        return await asyncio.open_connection("127.0.0.1", port)


class HostRelay:
    """All of a session's connections, in a thread of its own; they end when the block is left."""

    def __init__(self, docker_host: str, helper: str, warn: Callable[[str], None]) -> None:
        """`warn` is called from that thread, once for each port that refuses."""
        self._docker_host = docker_host
        self._helper = helper
        self._warn = warn
        self._ending = False
        self._refused: set[int] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="host-relay", daemon=True)

    def __enter__(self) -> HostRelay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def connect(self, number: str, port: int) -> None:
        """Joins the connection that waits as `number` in the helper to this machine's `port`, in the background."""
        with contextlib.suppress(RuntimeError):  # the relay has ended
            self._loop.call_soon_threadsafe(self._start, number, port)

    def _start(self, number: str, port: int) -> None:
        if not self._ending:
            task = self._loop.create_task(self._serve(number, port))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _end(self) -> None:
        self._ending = True
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, number: str, port: int) -> None:
        argv = exec_argv(self._docker_host, self._helper, number)
        log.debug("run: %s", shlex.join(argv))
        try:
            # A session of its own: the terminal's Ctrl-C is the user's program's.
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
            )
        except OSError as error:
            self._tell(port, f"docker exec: {error}")
            return
        try:
            await self._join(process, port)
            async with asyncio.timeout(END_PATIENCE):
                await _ended(process)
        except TimeoutError:
            log.debug("host relay: `docker exec` of connection %s does not end", number)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await _ended(process)

    async def _join(self, process: Process, port: int) -> None:
        """Passes on until both directions have ended. What breaks one end is a reset at the other."""
        assert process.stdin and process.stdout
        try:
            reader, writer = await dial(port)
        except OSError as error:
            # asyncio has words of its own for it; a time-out has none.
            self._tell(port, os.strerror(error.errno) if error.errno else "no answer")
            process.stdin.close()
            return
        for sink in (process.stdin, writer):
            sink.transport.set_write_buffer_limits(0)  # `drain` waits until all has been written
        in_order = False
        try:
            async with asyncio.TaskGroup() as group:
                leaving = group.create_task(_outward(reader, process.stdin))
                await _inward(process.stdout, writer)
                hung_up = group.create_task(process.stdout.read(1))
                await asyncio.wait([leaving, hung_up], return_when=asyncio.FIRST_COMPLETED)
                if not leaving.done():
                    raise EOFError("it broke in the helper, after the program had said all")
                hung_up.cancel()
            in_order = True
        except* (OSError, EOFError) as broken:
            log.debug("host relay: port %d: %s", port, broken.exceptions[0])
        finally:
            if not in_order:
                _set_reset(writer)
            writer.transport.abort()  # all that was to be sent has been
            process.stdin.close()

    def _tell(self, port: int, why: str) -> None:
        if port not in self._refused:
            self._refused.add(port)
            self._warn(f"--container-to-host: a connection to 127.0.0.1:{port} of this machine failed: {why}")


async def _inward(source: StreamReader, writer: StreamWriter) -> None:
    """Chunks to the connection. Raises EOFError when they break off."""
    while length := int.from_bytes(await source.readexactly(LENGTH), "big"):
        writer.write(await source.readexactly(length))
        await writer.drain()
    writer.write_eof()


async def _outward(reader: StreamReader, sink: StreamWriter) -> None:
    """The connection to chunks. Raises OSError when it is reset."""
    more = True
    while more:
        data = await reader.read(CHUNK)
        sink.write(len(data).to_bytes(LENGTH, "big") + data)
        await sink.drain()
        more = bool(data)


async def _ended(process: Process) -> None:
    """Waits for the end; asyncio's own wait does not return before the pipes are read to theirs."""
    assert process.stdout
    while await process.stdout.read(CHUNK):
        pass
    await process.wait()


def _set_reset(writer: StreamWriter) -> None:
    with contextlib.suppress(OSError):  # it may have been reset already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
