from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import agent
import pytest
from agent import guard, liveness, pod, serve, settings
from agent.kubernetes import Api, ApiError
from agent.sshd import Sshd

from tests.unit.images.proxy_pod.cluster import GUARD, RECORD, SCALE, SESSION, Cluster

ENVIRONMENT = {
    "TPBOX_SESSION": SESSION,
    "TPBOX_AUTHORIZED_KEY": "ssh-ed25519 KEY",
    "TPBOX_GRACE": "1",
    "TPBOX_POD_IPS": "10.244.0.7",
}


@pytest.fixture(autouse=True)
def _no_sshd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    async def forever(self: Sshd) -> None:
        await asyncio.sleep(60)

    async def at_once(self: Sshd) -> None:
        pass

    monkeypatch.setattr(settings, "DIRECTORY", tmp_path)
    monkeypatch.setattr(pod, "initial_environment", lambda: ENVIRONMENT)
    monkeypatch.setattr(Sshd, "prepare", lambda self, key: None)
    monkeypatch.setattr(Sshd, "host_key", lambda self: "ssh-ed25519 AAAA")
    monkeypatch.setattr(Sshd, "run", forever)
    monkeypatch.setattr(Sshd, "listening", at_once)
    yield


async def beating(path: Path, beats: int) -> float:
    """Beats, hangs up and returns when the last beat was."""
    reader, writer = await asyncio.open_unix_connection(path)
    await reader.readline()
    for _ in range(beats):
        writer.write(b'{"beat": 1, "ready": true}\n')
        await reader.readline()
        last = asyncio.get_running_loop().time()
        assert (path.parent / "ready").exists()
        await asyncio.sleep(0.4)
    writer.close()
    return last


def test_it_announces_the_host_key_and_ends_when_the_client_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def use() -> float:
        serving = asyncio.create_task(serve.serve())
        await asyncio.sleep(0.1)
        last = await beating(tmp_path / "agent.sock", beats=4)
        assert not serving.done()
        assert await asyncio.wait_for(serving, 5) == 0
        return asyncio.get_running_loop().time() - last

    assert 1 <= asyncio.run(use()) < 2.5
    assert not (tmp_path / "ready").exists()
    said = capsys.readouterr()
    ready = {"event": "ready", "hostKey": "ssh-ed25519 AAAA", "port": 20022, "enginePort": 0}
    assert json.loads(said.out) == ready
    assert said.err == "tpbox: the client is gone\n"


def test_without_any_client_it_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "FIRST_CLIENT", 0)
    assert asyncio.run(asyncio.wait_for(serve.serve(), 5)) == 0


def test_sigterm_ends_it_at_once() -> None:
    async def use() -> float:
        serving = asyncio.create_task(serve.serve())
        await asyncio.sleep(0.1)
        started = asyncio.get_running_loop().time()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(serving, 5) == serve.TERMINATED
        return asyncio.get_running_loop().time() - started

    assert asyncio.run(use()) < 0.5


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Deployment web was swapped."""
    cluster = Cluster()
    cluster.swapped(RECORD, "deployments/web")
    cluster.put(SCALE, spec={})
    monkeypatch.setattr(Api, "of_pod", lambda environment, ca, token: cluster)
    return cluster


async def guarding(path: Path) -> asyncio.Task[int]:
    """An agent that has heard one client, with its guard."""
    serving = asyncio.create_task(serve.serve())
    await asyncio.sleep(0.1)
    reader, writer = await asyncio.open_unix_connection(path)
    await reader.readline()
    writer.write(b'{"beat": 1, "ready": true}\n' + json.dumps({"guard": asdict(GUARD)}).encode() + b"\n")
    assert [json.loads(await reader.readline()) for _ in range(2)] == [{"beat": 1}, {"guard": "up"}]
    writer.close()
    return serving


def test_what_was_swapped_is_restored_when_the_client_is_gone(cluster: Cluster, tmp_path: Path) -> None:
    async def use() -> int:
        return await asyncio.wait_for(await guarding(tmp_path / "agent.sock"), 5)

    assert asyncio.run(use()) == 0
    assert cluster.objects[SCALE]["spec"] == {"replicas": 2}
    assert RECORD not in cluster.objects


def test_sigterm_restores_nothing(cluster: Cluster, tmp_path: Path) -> None:
    async def use() -> int:
        serving = await guarding(tmp_path / "agent.sock")
        os.kill(os.getpid(), signal.SIGTERM)
        return await asyncio.wait_for(serving, 5)

    assert asyncio.run(use()) == serve.TERMINATED
    assert RECORD in cluster.objects
    assert not (tmp_path / "ready").exists()


def away(method: str, path: str) -> None:
    if method != "PATCH":
        raise ApiError("the API server cannot be reached")


def test_sigterm_ends_a_restore_that_waits(cluster: Cluster, tmp_path: Path) -> None:
    cluster.before = away

    async def use() -> int:
        serving = await guarding(tmp_path / "agent.sock")
        async with asyncio.timeout(5):
            while len(cluster.requests) < 2:
                await asyncio.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)
        return await asyncio.wait_for(serving, 0.5)

    assert asyncio.run(use()) == serve.TERMINATED


def test_a_restore_that_never_succeeds_is_given_up(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.before = away
    monkeypatch.setattr(serve, "PATIENCE", 1)
    monkeypatch.setattr(guard, "RETRY", 0.1)

    async def use() -> int:
        return await asyncio.wait_for(await guarding(tmp_path / "agent.sock"), 5)

    assert asyncio.run(use()) == 0
    assert len(cluster.requests) > 5
    assert capsys.readouterr().err.endswith("given up; `tpbox cleanup` restores it\n")


def test_it_does_not_start_without_a_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pod, "initial_environment", dict)
    assert asyncio.run(serve.serve()) == 2
    assert "the agent cannot start: TPBOX_AUTHORIZED_KEY" in capsys.readouterr().err


def test_unknown_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert agent.main(["attatch"]) == 2
    assert "known: attach" in capsys.readouterr().err
