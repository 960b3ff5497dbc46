"""--container-to-host in the helper: sockets of the file system in the place of the namespace's ports."""

from __future__ import annotations

import asyncio
import errno
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from supervisor import host, link
from supervisor.host import Host
from supervisor.protocol import HostPort

OPT = Path(__file__).parents[4] / "images/local/files/opt/tpbox"
END = b"\0\0\0\0"


def chunk(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class Namespace:
    """A helper's end, in a loop of the test's own; the program's and the launcher's ends are the test's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events: list[dict[str, Any]] = []

    def listen(self, port: int) -> socket.socket:
        if port == 1:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.directory / str(port)))
        listener.listen()
        listener.setblocking(False)
        return listener

    def connect(self, port: int) -> socket.socket:
        program = socket.socket(socket.AF_UNIX)
        program.settimeout(5)
        program.connect(str(self.directory / str(port)))
        return program

    def serve(self, play: Callable[[], Awaitable[None]], *ports: HostPort) -> None:
        async def use() -> None:
            served = Host(lambda event, **fields: self.events.append({"event": event, **fields}))
            served.configured(ports)
            served.configured(())
            working = asyncio.create_task(served.work())
            await play()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

        asyncio.run(use())

    async def until(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.events) < number:
                await asyncio.sleep(0.01)


@pytest.fixture
def namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    made = Namespace(tmp_path)
    monkeypatch.setattr(link, "RUN", tmp_path)
    monkeypatch.setattr(host, "listen", made.listen)
    return made


def test_a_connection_is_told_and_handed_to_whoever_fetches_it(namespace: Namespace) -> None:
    async def play() -> None:
        await asyncio.sleep(0.1)
        programs = [namespace.connect(5678), namespace.connect(9000)]
        await namespace.until(2)
        for event, program in zip(namespace.events, programs, strict=True):
            fetched = await asyncio.to_thread(host.fetch, event["id"])
            assert fetched is not None
            fetched.sendall(event["id"].encode())
            assert program.recv(10) == event["id"].encode()
            assert await asyncio.to_thread(host.fetch, event["id"]) is None
            fetched.close()
            program.close()

    namespace.serve(play, HostPort(5678, 5679), HostPort(9000, 9000))
    assert namespace.events == [
        {"event": "host", "id": "1", "port": 5679},
        {"event": "host", "id": "2", "port": 9000},
    ]


def test_a_connection_that_nobody_fetches_is_closed(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        await asyncio.sleep(0.1)
        program = namespace.connect(5678)
        assert await asyncio.to_thread(program.recv, 1) == b""
        assert await asyncio.to_thread(host.fetch, "1") is None
        program.close()

    monkeypatch.setattr(host, "PATIENCE", 0.2)
    namespace.serve(play, HostPort(5678, 5678))


def test_a_port_that_is_taken_is_told_and_the_others_are_served(namespace: Namespace) -> None:
    async def play() -> None:
        await namespace.until(1)
        program = namespace.connect(5678)
        await namespace.until(2)
        program.close()

    namespace.serve(play, HostPort(1, 1), HostPort(5678, 5678))
    assert namespace.events[0] == {
        "event": "expose",
        "state": "failed",
        "port": 1,
        "reason": "127.0.0.1:1 cannot be listened on in the helper: Address already in use",
    }


def test_nothing_asked_for_makes_no_socket(namespace: Namespace) -> None:
    namespace.serve(lambda: asyncio.sleep(0.1))
    assert not host.path().exists()


def test_a_reset_is_what_closing_then_means() -> None:
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, host.LINGER_NONE)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == host.LINGER_NONE


class Joined:
    """`joiner` as a program of its own: its stdin and stdout, and the end of the connection that it was given."""

    def __init__(self) -> None:
        self.program, given = socket.socketpair()
        self.program.settimeout(10)
        code = (
            f"import asyncio, socket, sys; sys.path[:0] = [{str(OPT)!r}]; import joiner\n"
            f"sys.exit(asyncio.run(joiner.join(socket.socket(fileno={given.fileno()}))))"
        )
        self.joiner = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[given.fileno()]
        )
        given.close()

    def send(self, data: bytes) -> None:
        assert self.joiner.stdin
        self.joiner.stdin.write(data)
        self.joiner.stdin.flush()

    def said(self) -> bytes:
        assert self.joiner.stdout
        return self.joiner.stdout.read()


@pytest.fixture
def joined() -> Iterator[Joined]:
    made = Joined()
    yield made
    made.program.close()
    assert made.joiner.stdin and made.joiner.stdout
    made.joiner.stdin.close()
    made.joiner.wait(10)
    made.joiner.stdout.close()


def test_each_direction_ends_by_itself(joined: Joined) -> None:
    joined.send(chunk(b"request") + END)
    assert joined.program.recv(100) == b"request"
    assert joined.program.recv(100) == b""
    joined.program.sendall(b"answer")
    joined.program.shutdown(socket.SHUT_WR)
    assert joined.said() == chunk(b"answer") + END
    assert joined.joiner.wait(10) == 0


def test_much_passes_whole(joined: Joined) -> None:
    data = bytes(range(256)) * 8192

    def answer() -> None:
        joined.program.sendall(data)
        joined.program.shutdown(socket.SHUT_WR)

    joined.send(END)
    program = threading.Thread(target=answer)
    program.start()
    said, found = joined.said(), b""
    program.join()
    while said:
        length = int.from_bytes(said[:4], "big")
        found, said = found + said[4 : 4 + length], said[4 + length :]
    assert found == data


@pytest.mark.parametrize("half", [b"", chunk(b"request"), b"\0\0", chunk(b"request")[:6], END])
def test_a_launchers_end_that_breaks_off_is_no_orderly_end(joined: Joined, half: bytes) -> None:
    joined.send(half)
    assert joined.joiner.stdin
    joined.joiner.stdin.close()
    assert joined.joiner.wait(10) == 1
    assert END not in joined.said()


def test_a_connection_that_waits_no_more_is_said(namespace: Namespace, capsys: pytest.CaptureFixture[str]) -> None:
    import joiner

    async def play() -> None:
        await asyncio.sleep(0.1)
        assert await asyncio.to_thread(joiner.main, "7") == 1

    namespace.serve(play, HostPort(5678, 5678))
    assert capsys.readouterr().err == "tpbox: no connection 7 waits\n"
