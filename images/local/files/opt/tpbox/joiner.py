"""Joins a connection of the namespace to stdin and stdout: `python3 -I /opt/tpbox host 7`, run by the launcher.

What passes is cut into chunks, each behind its length in four bytes (big-endian). The empty one is the end of its
direction, as shutdown(2) has it; stdin or stdout that end without it are a connection that broke, and the other end is
reset. So the program here sees what it would see were it connected to the host's port itself.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress

from supervisor import host

LENGTH = 4  # bytes before each chunk
CHUNK = 64 * 1024  # bytes


def main(number: str) -> int:
    """Returns 0 after both directions have ended in order, 1 when the connection was broken or waits no more."""
    connection = host.fetch(number)
    if connection is None:
        sys.stderr.write(f"tpbox: no connection {number} waits\n")
        return 1
    return asyncio.run(join(connection))


async def join(connection: socket.socket) -> int:
    """Joins it to this program's stdin and stdout, as `main` says."""
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    stdout = asyncio.StreamWriter(
        *await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout), reader=None, loop=loop
    )
    reader, writer = await asyncio.open_connection(sock=connection)
    for sink in (stdout, writer):
        sink.transport.set_write_buffer_limits(0)  # `drain` waits until all has been written
    code = 0
    try:
        async with asyncio.TaskGroup() as group:
            leaving = group.create_task(outward(reader, stdout))
            await inward(stdin, writer)
            hung_up = group.create_task(stdin.read(1))
            await asyncio.wait([leaving, hung_up], return_when=asyncio.FIRST_COMPLETED)
            if not leaving.done():
                raise EOFError("it broke at the launcher's end, after the launcher had said all")
            hung_up.cancel()
    except* (OSError, EOFError):
        with suppress(OSError):  # the reset may have come from this side
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, host.LINGER_NONE)
        writer.transport.abort()
        code = 1
    return code


async def inward(source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Chunks to the connection. Raises EOFError when they break off."""
    while length := int.from_bytes(await source.readexactly(LENGTH), "big"):
        writer.write(await source.readexactly(length))
        await writer.drain()
    writer.write_eof()


async def outward(reader: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """The connection to chunks. Raises OSError when it is reset."""
    more = True
    while more:
        data = await reader.read(CHUNK)
        sink.write(len(data).to_bytes(LENGTH, "big") + data)
        await sink.drain()
        more = bool(data)
