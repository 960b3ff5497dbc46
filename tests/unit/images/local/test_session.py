from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from supervisor import inbound, listeners, resolver, session
from supervisor.host import Host
from supervisor.volumes import Volumes

from tests.unit.images.local.test_questions import query

SetProgram = Callable[[str, str], Path]
ENGINES = ("netstack", "sshuttle")


class Launcher:
    """The other end of the control channel: it hands in lines and sees the events."""

    def __init__(self) -> None:
        self.commands = asyncio.StreamReader()
        self.events: list[dict[str, Any]] = []
        self.session = session.Session(self._emit, Volumes(self._emit), Host(self._emit))

    def send(self, command: object) -> None:
        self.commands.feed_data(json.dumps(command).encode() + b"\n")

    async def until(self, event: str, state: str, times: int = 1) -> None:
        async with asyncio.timeout(10):
            while self.seen().count(f"{event} {state}") < times:
                await asyncio.sleep(0.01)

    async def ready(self, times: int) -> None:
        async with asyncio.timeout(10):
            while sum(event.get("ready", False) for event in self.events) < times:
                await asyncio.sleep(0.01)

    def seen(self) -> list[str]:
        return [f"{event['event']} {event.get('state', '')}".strip() for event in self.events]

    def _emit(self, event: str, **fields: object) -> None:
        self.events.append({"event": event, **fields})


def kill(tmp_path: Path, name: str) -> None:
    """Kills the stand-in that runs as `name`, by the pid that it wrote."""
    os.kill(int((tmp_path / f"{name}.pid").read_text()), signal.SIGKILL)


async def stop(launcher: Launcher, work: asyncio.Task[Any]) -> None:
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_link_remote_and_engine_come_up_in_order_and_go_down_in_reverse(
    program: SetProgram, configure: dict[str, Any], tmp_path: Path, engine: str
) -> None:
    configure["engine"]["name"] = engine

    async def use() -> Launcher:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        work = asyncio.create_task(launcher.session.work())
        await launcher.until("engine", "up")
        launcher.send({"command": "stop"})
        await asyncio.wait_for(listening, 5)
        await stop(launcher, work)
        return launcher

    launcher = asyncio.run(use())
    up, down = ["link up", "remote", "expose changed", "engine up"], ["engine down", "expose changed", "link down"]
    assert sorted(launcher.seen()) == sorted(up + down)
    assert launcher.seen()[:2] + launcher.seen()[-1:] == ["link up", "remote", "link down"]
    assert launcher.events[0] == {"event": "link", "state": "up", "reconnects": 0}
    assert launcher.events[1]["info"]["environment"] == {"GREETING": "hi"}
    assert (tmp_path / "resolv.conf").read_text().endswith("nameserver 10.96.0.10\n")


def test_what_cannot_be_kept_outside_ends_the_session_with_the_reason(
    program: SetProgram, configure: dict[str, Any]
) -> None:
    configure["engine"]["never"] = ["10.96.0.0/16"]

    async def use() -> None:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        try:
            await launcher.session.work()
        finally:
            listening.cancel()

    with pytest.raises(session.Failed, match="covers the pod's name server") as failed:
        asyncio.run(asyncio.wait_for(use(), 10))
    assert failed.value.step == "outside"


def test_with_only_cluster_names_are_split_and_what_the_pod_knows_is_closed_off(
    program: SetProgram, configure: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure["engine"] |= {"only": ["10.96.0.0/16"], "splitNames": True}
    serving = asyncio.Event()

    async def serve(answer: resolver.Answer) -> None:
        async def ask(server: str, _: bytes) -> bytes:
            return server.encode()

        assert await answer(query("web.shop.svc.cluster.local"), ask) == b"10.96.0.10"
        serving.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(resolver, "serve", serve)

    async def use() -> None:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        work = asyncio.create_task(launcher.session.work())
        await launcher.until("engine", "up")
        await asyncio.wait_for(serving.wait(), 5)
        await stop(launcher, work)
        listening.cancel()

    asyncio.run(use())
    assert (tmp_path / "resolv.conf").read_text() == "nameserver 127.0.53.1\nsearch shop.svc.cluster.local\n"
    before, after = (tmp_path / "iptables-restore.log").read_text().split("COMMIT\n")[:2]
    assert "-d 10.244.0.7/32 -j REJECT" not in before
    assert "-d 10.244.0.7/32 -j REJECT" in after


@pytest.mark.parametrize("name", ["kubectl", "ssh", *ENGINES])
def test_whichever_dies_all_is_made_anew(
    program: SetProgram, configure: dict[str, Any], tmp_path: Path, name: str
) -> None:
    configure["engine"]["name"] = name if name in ENGINES else "sshuttle"
    path = tmp_path / f"fake-{name}"
    program(name, f"echo $$ > {tmp_path}/{name}.pid\n" + path.read_text().partition("\n")[2])

    async def use() -> Launcher:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        work = asyncio.create_task(launcher.session.work())
        await launcher.until("engine", "up")
        kill(tmp_path, name)
        await launcher.until("engine", "up", times=2)
        await stop(launcher, work)
        listening.cancel()
        return launcher

    launcher = asyncio.run(use())
    seen = [event for event in launcher.events if event["event"] != "expose"]
    states = [f"{event['event']} {event.get('state', '')}".strip() for event in seen]
    assert states[3:8] == ["engine down", "link down", "link up", "remote", "engine up"]
    assert f"{name} ended with -9" in seen[4]["reason"]
    assert seen[5]["reconnects"] == 1


def test_configure_anew_makes_the_link_anew(program: SetProgram, configure: dict[str, Any], tmp_path: Path) -> None:
    async def use() -> Launcher:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        work = asyncio.create_task(launcher.session.work())
        await launcher.until("engine", "up")
        launcher.send(configure | {"kubeconfig": {"kind": "Other"}})
        await launcher.until("engine", "up", times=2)
        await stop(launcher, work)
        listening.cancel()
        return launcher

    launcher = asyncio.run(use())
    assert [event["reconnects"] for event in launcher.events if event.get("reconnects") is not None] == [0, 1]
    assert json.loads((tmp_path / "kubeconfig").read_text()) == {"kind": "Other"}


@pytest.mark.parametrize(
    ("name", "script", "step", "detail"),
    [
        (
            "kubectl",
            "echo 'Error from server (Forbidden): no' >&2; exit 1",
            "link",
            "Error from server (Forbidden): no",
        ),
        ("kubectl", "echo 'connection refused' >&2; exit 1", "link", "connection refused"),
        ("iptables-restore", "echo 'no permission' >&2; exit 4", "network", "no permission"),
        ("sshuttle", "echo 'fatal: no' >&2; exit 99", "engine", "fatal: no"),
        ("netstack", "echo 'no such device' >&2; exit 1", "engine", "no such device"),
        ("netstack", "echo 'no such device' >&2; echo else", "engine", "no such device"),
    ],
)
def test_a_first_start_that_fails_is_given_up(
    program: SetProgram,
    configure: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    script: str,
    step: str,
    detail: str,
) -> None:
    monkeypatch.setattr(session, "FIRST_LINK_TIMEOUT", 1.0)
    program(name, script)
    if name in ENGINES:
        configure["engine"]["name"] = name

    async def use() -> None:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        try:
            await launcher.session.work()
        finally:
            listening.cancel()

    with pytest.raises(session.Failed) as failed:
        asyncio.run(asyncio.wait_for(use(), 10))
    assert failed.value.step == step
    assert detail in failed.value.detail


def test_a_later_loss_is_retried_whatever_the_words(
    program: SetProgram, configure: dict[str, Any], tmp_path: Path
) -> None:
    whole = (tmp_path / "fake-kubectl").read_text().partition("\n")[2]
    program("kubectl", f"echo $$ > {tmp_path}/kubectl.pid\n{whole}")

    async def use() -> Launcher:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        work = asyncio.create_task(launcher.session.work())
        await launcher.until("engine", "up")
        program("kubectl", "echo 'Error from server (Forbidden): no' >&2; exit 1")
        kill(tmp_path, "kubectl")
        await launcher.until("link", "down")
        await asyncio.sleep(0.8)
        program("kubectl", whole)
        await launcher.until("engine", "up", times=2)
        await stop(launcher, work)
        listening.cancel()
        return launcher

    assert "link up" in asyncio.run(use()).seen()[4:]


def test_a_forwarding_connection_that_dies_alone_is_a_lost_link_and_all_is_made_anew(
    program: SetProgram, configure: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (tmp_path / "fake-forwarder").read_text().partition("\n")[2]
    program("forwarder", whole.replace("exec sleep 60", f"echo $$ > {tmp_path}/forwarder.pid; exec sleep 60"))
    monkeypatch.setattr(listeners, "read", lambda ports: {8080: {ip_address("0.0.0.0")}})
    monkeypatch.setattr(inbound, "POLL", 0.02)
    configure["inbound"]["expose"] = [{"local": 8080, "remote": 80, "required": True}]

    async def use() -> Launcher:
        launcher = Launcher()
        launcher.send(configure)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        work = asyncio.create_task(launcher.session.work())
        await launcher.ready(times=1)
        kill(tmp_path, "forwarder")
        await launcher.ready(times=2)
        await stop(launcher, work)
        listening.cancel()
        return launcher

    launcher = asyncio.run(use())
    changes = [event["ready"] for event in launcher.events if event["event"] == "expose"]
    assert changes == [False, True, False, True, False]
    lost = next(event for event in launcher.events if event["event"] == "link" and event["state"] == "down")
    assert lost["reason"] == "ssh ended with -9"


def test_guard_and_withdraw_reach_the_agent(program: SetProgram, configure: dict[str, Any], tmp_path: Path) -> None:
    whole = (tmp_path / "fake-ssh").read_text().partition("\n")[2]
    program("ssh", whole.replace("exec cat", f"exec tee {tmp_path}/asked"))

    async def use() -> Launcher:
        launcher = Launcher()
        for command in (configure, {"command": "guard", "guard": {"token": "T"}}, {"command": "withdraw"}):
            launcher.send(command)
        listening = asyncio.create_task(launcher.session.listen(launcher.commands))
        work = asyncio.create_task(launcher.session.work())
        await launcher.until("guard", "failed")  # `tee` is no agent
        await stop(launcher, work)
        listening.cancel()
        return launcher

    launcher = asyncio.run(use())
    assert "withdrawn" in launcher.seen()
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert asked[:2] == [{"beat": 1, "ready": False}, {"guard": {"token": "T"}}]


def test_what_means_nothing_is_refused_and_changes_nothing(program: SetProgram) -> None:
    async def use() -> list[dict[str, Any]]:
        launcher = Launcher()
        launcher.send({"command": "reboot"})
        launcher.commands.feed_eof()
        await launcher.session.listen(launcher.commands)
        return launcher.events

    assert asyncio.run(use()) == [{"event": "refused", "message": "unknown command 'reboot'"}]
