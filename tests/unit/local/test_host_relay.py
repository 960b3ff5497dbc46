"""The launcher's end of --container-to-host: a Python program in the place of `docker exec`, a unix socket in that of
the host's port."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tpbox.local import host_relay
from tpbox.local.host_relay import HostRelay

REFUSED_PORT = 9
END = b"\0\0\0\0"

# Says what the test wants, then listens until its stdin ends or an empty chunk comes, and writes down what it heard;
# or breaks off, or stays.
EXEC = """
import os, sys, time
said, log, then = sys.argv[1:]
sys.stdout.buffer.write(bytes.fromhex(said))
sys.stdout.flush()
heard = b""
while then == "listens" and not heard.endswith(bytes(4)) and (data := os.read(0, 65536)):
    heard += data
with open(log + ".part", "wb") as file:
    file.write(heard)
os.rename(log + ".part", log)
if then == "stays":
    time.sleep(60)
"""


def chunk(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class Machine:
    """The host: a service on a port, notes, and what the other end in the helper says and hears."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.warned: list[str] = []
        self.says = END
        self.then = "listens"
        self.service = socket.socket(socket.AF_UNIX)
        self.service.settimeout(10)
        self.service.bind(str(directory / "service"))
        self.service.listen()

    def exec_argv(self, docker_host: str, helper: str, number: str) -> list[str]:
        log = str(self.directory / f"heard.{number}")
        return [sys.executable, "-c", EXEC, self.says.hex(), log, self.then]

    async def dial(self, port: int) -> tuple[StreamReader, StreamWriter]:
        if port == REFUSED_PORT:
            raise ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")
        return await asyncio.open_unix_connection(str(self.directory / "service"))

    def accept(self) -> socket.socket:
        connection, _ = self.service.accept()
        connection.settimeout(10)
        return connection

    def heard(self, number: str) -> bytes:
        path = self.directory / f"heard.{number}"
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        return path.read_bytes()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    monkeypatch.setattr(host_relay, "exec_argv", made.exec_argv)
    monkeypatch.setattr(host_relay, "dial", made.dial)
    yield made
    made.service.close()


@pytest.fixture
def relay(machine: Machine) -> Iterator[HostRelay]:
    with HostRelay("unix:///docker.sock", "tpbox-abcdefgh", machine.warned.append) as made:
        yield made


def test_the_other_end_is_run_in_the_helper() -> None:
    assert host_relay.exec_argv("unix:///docker.sock", "tpbox-abcdefgh", "7") == [
        "docker", "-H", "unix:///docker.sock", "exec", "-i", "tpbox-abcdefgh",
        "/usr/bin/python3", "-I", "/opt/tpbox", "host", "7",
    ]  # fmt: skip


def test_each_direction_ends_by_itself(machine: Machine, relay: HostRelay) -> None:
    machine.says = chunk(b"request") + chunk(b", whole") + END
    relay.connect("1", 5678)
    with machine.accept() as service:
        received = b""
        while data := service.recv(100):
            received += data
        assert received == b"request, whole"
        service.sendall(b"answer")  # after the other direction has ended
    assert machine.heard("1") == chunk(b"answer") + END


@pytest.mark.parametrize("says", [chunk(b"request"), chunk(b"request") + END, chunk(b"request") + b"\0\0"])
def test_a_program_that_broke_off_is_no_orderly_end_for_the_service(
    machine: Machine, relay: HostRelay, monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    reset = threading.Event()
    monkeypatch.setattr(host_relay, "_set_reset", lambda writer: reset.set())
    machine.says, machine.then = says, "breaks"
    relay.connect("1", 5678)
    with machine.accept() as service:
        assert service.recv(100) == b"request"
        assert reset.wait(5)
        assert service.recv(100) == b""


def test_many_connections_at_once(machine: Machine, relay: HostRelay) -> None:
    for number in range(8):
        relay.connect(str(number), 5678)
    services = [machine.accept() for _ in range(8)]
    for service in reversed(services):
        service.sendall(b"hello")
        service.close()
    assert [machine.heard(str(number)) for number in range(8)] == [chunk(b"hello") + END] * 8


def test_a_port_that_refuses_is_told_once_and_the_program_hears_no_orderly_end(
    machine: Machine, relay: HostRelay
) -> None:
    for number in ("1", "2"):
        relay.connect(number, REFUSED_PORT)
        assert machine.heard(number) == b""
    assert machine.warned == [
        "--container-to-host: a connection to 127.0.0.1:9 of this machine failed: Connection refused"
    ]


def test_the_end_of_the_session_ends_what_is_open(machine: Machine) -> None:
    machine.says, machine.then = b"", "stays"
    with HostRelay("unix:///docker.sock", "tpbox-abcdefgh", machine.warned.append) as relay:
        relay.connect("1", 5678)
        service = machine.accept()
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert service.recv(1) == b""
    service.close()
    relay.connect("2", 5678)  # comes too late, and is nothing
    assert machine.warned == []


def test_a_docker_that_cannot_be_run_is_told(
    machine: Machine, relay: HostRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = threading.Event()

    def warn(_: str) -> None:
        warned.set()

    monkeypatch.setattr(relay, "_warn", warn)
    monkeypatch.setattr(host_relay, "exec_argv", lambda *_: ["/not/there"])
    relay.connect("1", 5678)
    assert warned.wait(5)
