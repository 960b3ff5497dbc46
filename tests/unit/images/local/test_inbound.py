"""Inbound with a shell script in the place of ssh, and sockets that the test says are there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from supervisor import forwards, inbound, listeners
from supervisor.forwards import Forward
from supervisor.inbound import Inbound
from supervisor.link import LinkError
from supervisor.listeners import Address
from supervisor.protocol import Expose
from supervisor.protocol import Inbound as Wanted
from supervisor.standing import Standing

SetProgram = Callable[[str, str], Path]

NAMED, NAMED_TOO = Expose(8080, 80, required=True), Expose(8081, 81, required=True)
OWN, OWN_TOO = Expose(3000, 3000, required=False), Expose(3001, 3001, required=False)


@pytest.mark.parametrize(
    ("expose", "there", "ready"),
    [
        ([], [], True),
        ([NAMED], [], False),
        ([NAMED], [80], True),
        ([NAMED, NAMED_TOO], [80], False),
        ([NAMED, NAMED_TOO], [80, 81], True),
        ([OWN, OWN_TOO], [], False),
        ([OWN, OWN_TOO], [3001], True),
        ([NAMED, OWN], [3000], False),
        ([NAMED, OWN], [80], True),
    ],
)
def test_the_rule_of_readiness(expose: list[Expose], there: list[int], ready: bool) -> None:
    assert inbound.ready(expose, there) is ready


def test_forwards_are_asked_for_where_the_process_listens() -> None:
    wanted = Wanted((NAMED, OWN), to_pod=(5432,), from_pod=(9000, 9001))
    listening = {8080: {ip_address("::")}, 9000: {ip_address("0.0.0.0")}}
    assert inbound.asked(wanted, listening) == {
        Forward("-R", "0.0.0.0", 80, "localhost", 8080),
        Forward("-R", "127.0.0.1", 9000, "127.0.0.1", 9000),
        Forward("-L", "127.0.0.1", 5432, "127.0.0.1", 5432),
    }


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (
            Forward("-R", "0.0.0.0", 80, "127.0.0.1", 1),
            "listen on port 80: probably taken there, or not allowed below 1024 (",
        ),
        (
            Forward("-R", "0.0.0.0", 8080, "127.0.0.1", 1),
            "refused to listen on port 8080: probably taken there (ssh's words)",
        ),
        (Forward("-L", "127.0.0.1", 5432, "127.0.0.1", 5432), "127.0.0.1:5432 is taken in the helper's"),
    ],
)
def test_a_refusal_is_told_with_its_likely_cause(forward: Forward, words: str) -> None:
    assert words in inbound.reason(forward, "ssh's words")


class Namespace:
    """Its listeners, as the test sets them, and the events that follow."""

    def __init__(self) -> None:
        self.listening: dict[int, set[Address]] = {}
        self.reads = 0
        self.events: list[dict[str, Any]] = []
        self.standing = Standing(self._emit)
        self.inbound = Inbound(self._emit, self.standing)

    def listen(self, *ports: int) -> None:
        self.listening = {port: {ip_address("0.0.0.0")} for port in ports}

    def read(self, ports: set[int]) -> dict[int, set[Address]]:
        self.reads += 1
        return {port: found for port, found in self.listening.items() if port in ports}

    async def until(self, wanted: dict[str, Any]) -> None:
        async with asyncio.timeout(5):
            while wanted not in self.events:
                await asyncio.sleep(0.01)

    def _emit(self, event: str, **fields: Any) -> None:
        self.events.append({"event": event, **fields})


@pytest.fixture
def namespace(program: SetProgram, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    made = Namespace()
    monkeypatch.setattr(listeners, "read", made.read)
    monkeypatch.setattr(inbound, "POLL", 0.02)
    monkeypatch.setattr(forwards, "RETRY", 0.05)
    return made


def changed(listening: list[int], ready: bool) -> dict[str, Any]:
    return {"event": "expose", "state": "changed", "listening": listening, "ready": ready}


def keep(namespace: Namespace, wanted: Wanted, play: Callable[[], Awaitable[None]]) -> None:
    """Keeps `wanted` while `play` does its part."""

    async def use() -> None:
        keeping = asyncio.create_task(namespace.inbound.keep(wanted))
        await play()
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(use())


def test_nothing_asked_for_is_ready_without_a_connection_or_a_look(namespace: Namespace, tmp_path: Path) -> None:
    keep(namespace, Wanted(), lambda: asyncio.sleep(0.1))
    assert namespace.events == [changed([], True), changed([], False)]
    assert namespace.reads == 0
    assert not (tmp_path / forwards.SOCKET).exists()


def test_the_forward_is_there_while_the_process_listens(namespace: Namespace, tmp_path: Path) -> None:
    async def play() -> None:
        await namespace.until(changed([], False))
        namespace.listen(8080)
        await namespace.until(changed([80], True))
        assert namespace.standing.ready
        namespace.events.clear()
        namespace.listen()
        await namespace.until(changed([], False))
        assert not namespace.standing.ready

    keep(namespace, Wanted((NAMED,)), play)
    log = (tmp_path / "fake-forwarder.log").read_text().splitlines()
    assert log == ["forward -R 0.0.0.0:80:127.0.0.1:8080", "cancel -R 0.0.0.0:80:127.0.0.1:8080"]
    assert namespace.events == [changed([], False)]


def test_ports_to_the_pod_alone_need_no_look(namespace: Namespace, tmp_path: Path) -> None:
    async def play() -> None:
        async with asyncio.timeout(5):
            while not (tmp_path / "fake-forwarder.log").exists():
                await asyncio.sleep(0.01)

    keep(namespace, Wanted(to_pod=(5432,)), play)
    assert namespace.reads == 0
    assert namespace.events == [changed([], True), changed([], False)]


def test_a_refused_port_is_told_once_and_is_there_when_the_cause_is_gone(namespace: Namespace, tmp_path: Path) -> None:
    (tmp_path / "refused").write_text("80")
    namespace.listen(8080, 3000)

    async def play() -> None:
        await namespace.until(changed([3000], False))
        await asyncio.sleep(0.3)
        (tmp_path / "refused").unlink()
        await namespace.until(changed([80, 3000], True))

    keep(namespace, Wanted((NAMED, OWN)), play)
    failed = [event for event in namespace.events if event["state"] == "failed"]
    assert [event["port"] for event in failed] == [80]
    assert "remote port forwarding failed for listen port 80" in failed[0]["reason"]


def test_after_a_lost_link_the_pod_may_still_hold_the_port_for_a_while(
    namespace: Namespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbound, "STALE", 0.5)
    keep(namespace, Wanted((NAMED,)), lambda: asyncio.sleep(0.05))
    (tmp_path / "refused").write_text("80")
    namespace.listen(8080)
    told: list[bool] = []

    async def play() -> None:
        for pause in (0.25, 1.0):
            await asyncio.sleep(pause)
            told.append(any(event["state"] == "failed" for event in namespace.events))

    keep(namespace, Wanted((NAMED,)), play)
    assert told == [False, True]


def test_a_connection_that_is_lost_is_a_lost_link(namespace: Namespace, program: SetProgram, tmp_path: Path) -> None:
    whole = (tmp_path / "fake-forwarder").read_text().partition("\n")[2]
    program("forwarder", whole.replace("exec sleep 60", "sleep 0.1; echo 'Broken pipe' >&2; exit 255"))
    with pytest.raises(LinkError, match="Broken pipe"):
        asyncio.run(asyncio.wait_for(namespace.inbound.keep(Wanted((NAMED,))), 5))
    assert not namespace.standing.ready
