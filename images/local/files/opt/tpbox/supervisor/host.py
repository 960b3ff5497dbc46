"""--container-to-host: a port of the namespace's loopback leads to one of the launcher's machine.

    host = Host(emit)
    host.configured(configure.inbound.host)      # once
    await host.work()                            # for ever

Nothing listens on that machine for us. An accepted connection is told to the launcher, which runs `joiner` in this
container, with the connection's id. That program asks for it at the socket of this module and is handed its descriptor:
so no byte passes here.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from supervisor import children, link
from supervisor.protocol import Emit, HostPort

SOCKET = "host.sock"
PATIENCE = 10.0  # seconds for which a connection waits to be fetched
RETRY = 0.2  # seconds
BACKLOG = 128
ID_LENGTH = 32  # bytes
LINGER_NONE = struct.pack("ii", 1, 0)  # struct linger: close(2) resets the connection, tcp(7)


class Host:
    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._first: asyncio.Future[tuple[HostPort, ...]] = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, socket.socket] = {}

    def configured(self, ports: tuple[HostPort, ...]) -> None:
        """What is wanted, before `work` does anything; the first time counts."""
        if not self._first.done():
            self._first.set_result(ports)

    async def work(self) -> NoReturn:
        """Serves the ports: they do not need the link."""
        ports = await self._first
        pairs = [(listener, port.host) for port in ports if (listener := self._listen(port))]
        if pairs:
            with _fetching() as fetching:
                served = [self._accept(listener, port) for listener, port in pairs]
                await children.first_of(self._hand_out(fetching), *served)
        while True:
            await asyncio.Event().wait()

    def _listen(self, port: HostPort) -> socket.socket | None:
        try:
            return listen(port.container)
        except OSError as error:
            why = f"127.0.0.1:{port.container} cannot be listened on in the helper: {error.strerror}"
            self._emit("expose", state="failed", port=port.container, reason=why)
            return None

    async def _accept(self, listener: socket.socket, port: int) -> NoReturn:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    connection, _ = await loop.sock_accept(listener)
                except OSError:  # accept(2) also gives what befell a connection before, and a want of descriptors
                    await asyncio.sleep(RETRY)
                    continue
                number = str(next(self._numbers))
                self._waiting[number] = connection
                loop.call_later(PATIENCE, self._give_up, number)
                self._emit("host", id=number, port=port)

    def _give_up(self, number: str) -> None:
        if connection := self._waiting.pop(number, None):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
            connection.close()

    async def _hand_out(self, fetching: socket.socket) -> NoReturn:
        """Answers each id with the descriptor of its connection, or hangs up when nothing waits under it."""
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(fetching)
            with client, suppress(OSError):  # whoever asks may end at any moment
                number = (await loop.sock_recv(client, ID_LENGTH)).decode(errors="replace")
                if connection := self._waiting.pop(number, None):
                    with connection:
                        socket.send_fds(client, [b"+"], [connection.fileno()])


def listen(port: int) -> socket.socket:
    """A listener on a port of the loopback. Raises OSError."""
    listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
    listener.setblocking(False)
    return listener


def path() -> Path:
    return link.RUN / SOCKET


def _fetching() -> socket.socket:
    # SOCK_SEQPACKET keeps the boundaries of messages: one is one id.
    fetching = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    path().unlink(missing_ok=True)
    fetching.bind(str(path()))
    fetching.listen(BACKLOG)
    fetching.setblocking(False)
    return fetching


def fetch(number: str) -> socket.socket | None:
    """The connection that waits as `number`, for a program that is not this one; None when there is none.

    Raises OSError.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server:
        server.connect(str(path()))
        server.send(number.encode())
        _, descriptors, _, _ = socket.recv_fds(server, 1, maxfds=1)
    return socket.socket(fileno=descriptors[0]) if descriptors else None
