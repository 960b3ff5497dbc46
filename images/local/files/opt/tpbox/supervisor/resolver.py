"""A small DNS forwarder: each query goes on, unchanged, to one of the resolvers that are chosen for its name.

    await resolver.serve(answer)          # answer(query, ask), made of
    await resolver.answered(query, choose, ask)       # choose("web.shop.svc.cluster.local") -> ["10.96.0.10"]

It runs where some names are a local resolver's: with --only-cluster, and in a Compose project, whose names `localnames`
answers. It keeps nothing: no cache, no answer of its own but SERVFAIL when no resolver has answered. UDP stays UDP and
TCP stays TCP, so an answer that is cut off is asked for again by the client, as always.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from typing import NoReturn

from supervisor import children, questions

# An address of the loopback that a program's own resolver, on 127.0.0.1:53 or 127.0.0.53:53, does not want.
ADDRESS = "127.0.53.1"
PORT = 53
IN_FLIGHT = 512  # queries, and connections; a Go or Java program asks for all its names at once
ANSWER_WITHIN = 2.0  # seconds, each resolver; clients ask again after 5
TRIED = 2  # resolvers for one query
IDLE = 10.0  # seconds until a connection that asks nothing is closed
LONGEST = 65535  # bytes of a message

Choose = Callable[[str], Sequence[str]]
Ask = Callable[[str, bytes], Awaitable[bytes]]
Answer = Callable[[bytes, Ask], Awaitable[bytes]]


class Bound:
    """How much may be under way; what is above is dropped, and the client asks again."""

    def __init__(self, limit: int = IN_FLIGHT) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        return len(self._tasks) >= self._limit

    def start(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Begins `work`, unless there is too much."""
        if self.full:
            return False

        async def run() -> None:
            with suppress(OSError):  # the client has gone
                await work()

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def cancel(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()


async def serve(answer: Answer) -> NoReturn:
    """Answers on ADDRESS until it is cancelled. Raises OSError when that cannot be listened on."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setblocking(False)
    with closing(datagrams):
        datagrams.bind((ADDRESS, PORT))
        with socket.create_server((ADDRESS, PORT), backlog=IN_FLIGHT) as listener:
            listener.setblocking(False)
            await children.first_of(_datagrams(datagrams, answer), _connections(listener, answer))
    raise AssertionError("both go on for ever")


async def _datagrams(served: socket.socket, answer: Answer) -> NoReturn:
    loop, bound = asyncio.get_running_loop(), Bound()
    try:
        while True:
            query, client = await loop.sock_recvfrom(served, LONGEST)

            async def reply(query: bytes = query, client: object = client) -> None:
                if found := await answer(query, ask_datagram):
                    await loop.sock_sendto(served, found, client)  # type: ignore[arg-type]

            bound.start(reply)
    finally:
        bound.cancel()


async def _connections(listener: socket.socket, answer: Answer) -> NoReturn:
    loop, bound = asyncio.get_running_loop(), Bound()
    try:
        while True:
            connection, _ = await loop.sock_accept(listener)

            async def converse(connection: socket.socket = connection) -> None:
                reader, writer = await asyncio.open_connection(sock=connection)
                with closing(writer):
                    while (query := await _message(reader, IDLE)) and (found := await answer(query, ask_connection)):
                        writer.write(_framed(found))
                        await writer.drain()

            if not bound.start(converse):
                connection.close()
    finally:
        bound.cancel()


async def answered(query: bytes, choose: Choose, ask: Ask) -> bytes:
    """The first resolver's answer, or SERVFAIL; nothing for what is no query."""
    try:
        name = questions.name(query)
    except ValueError:
        return b""
    for resolver in choose(name)[:TRIED]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await ask(resolver, query)
        except (OSError, EOFError, TimeoutError) as error:
            sys.stderr.write(f"names: {resolver} does not answer for {name!r}: {error or type(error).__name__}\n")
    return questions.failure(query)


async def ask_datagram(resolver: str, query: bytes) -> bytes:
    """From a socket, and so a port, of its own: the kernel lets only this resolver's answers in. Raises OSError."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((resolver, PORT))
        await loop.sock_sendall(asking, query)
        while True:
            answer = await loop.sock_recv(asking, LONGEST)
            if answer[:2] == query[:2]:  # else one that came too late for whoever had this port before
                return answer


async def ask_connection(resolver: str, query: bytes) -> bytes:
    """Raises OSError or EOFError."""
    reader, writer = await asyncio.open_connection(resolver, PORT)
    with closing(writer):
        writer.write(_framed(query))
        await writer.drain()
        if answer := await _message(reader, ANSWER_WITHIN):
            return answer
    raise EOFError("it closed the connection")


async def _message(reader: asyncio.StreamReader, timeout: float) -> bytes:
    """A message behind its length (RFC 1035, 4.2.2); empty at the end, or when none comes in time."""
    try:
        async with asyncio.timeout(timeout):
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    except (EOFError, TimeoutError):  # IncompleteReadError is an EOFError
        return b""


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message
