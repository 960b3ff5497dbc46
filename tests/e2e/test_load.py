"""Rows 23 and 24: load, long-lived connections and slow readers; the engine's memory stays bounded.

The load program (bench/load) is client in the session and server in the cluster; it compares what it sends and gets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from bench import memory, paths, target
from tests.e2e import host, shop
from tests.e2e.launcher import Launcher

EACH_ENGINE = True
SERVER = "load:7000"
TRANSFER = 200_000_000  # bytes; row 23's gigabyte and its ten minutes are `make soak`'s
IDLE = 30  # seconds
STOPPED = 2_000_000_000  # bytes, the row's
BOUND = 150_000_000  # bytes of memory, the row's


@dataclass(frozen=True)
class Session:
    """A session with the load program in it."""

    name: str
    namespace: str

    def run(self, *words: str, timeout: float = 60) -> str:
        return shop.docker("exec", f"tpbox-{self.name}-app", *words, timeout=timeout)

    def load(self, *words: str, timeout: float = 60) -> dict[str, Any]:
        """What one client of the load program measured; fails the test when it saw anything wrong."""
        return dict(json.loads(self.run("load", *words, timeout=timeout)))


@pytest.fixture(scope="module")
def server(tpbox: Launcher) -> str:
    """The load program's server, in the example's namespace."""
    tpbox("cluster", "load", target.IMAGE, timeout=120).ok()
    wanted = [one for one in target.documents() if one["metadata"]["name"] == "load"]
    shop.kubectl("-n", tpbox.namespace, "apply", "-f", "-", stdin=yaml.safe_dump_all(wanted))
    shop.kubectl("-n", tpbox.namespace, "rollout", "status", "deploy/load", "--timeout=60s", timeout=70)
    return SERVER


@contextmanager
def started(launcher: Launcher, *options: str) -> Iterator[Session]:
    """A session that outlives a test: of a launcher of its own, since after each test nothing of `tpbox`'s is left."""
    own = Launcher(launcher.namespace, launcher.folder, launcher.engine)
    with own.start(*options, "--image", target.IMAGE, "--", *paths.PROGRAM) as running:
        running.wait_output(b"runs")
        yield Session(running.session, own.namespace)
    host.expect_nothing_of(own.take_sessions())


@pytest.fixture(scope="module")
def session(tpbox: Launcher, server: str) -> Iterator[Session]:
    with started(tpbox) as session:
        yield session


@pytest.mark.row(23)
def test_500_connections_at_the_same_time(session: Session) -> None:
    assert session.load("parallel", "-addr", SERVER, "-count", "500")["count"] == 500


@pytest.mark.row(23)
@pytest.mark.timeout(300)
def test_10_000_connections_in_a_row_and_an_idle_one_beside_them(session: Session) -> None:
    with ThreadPoolExecutor(1) as beside:
        idle = beside.submit(session.load, "idle", "-addr", SERVER, "-seconds", str(IDLE))
        assert session.load("series", "-addr", SERVER, "-count", "10000", timeout=240)["count"] == 10_000
        assert idle.result()["seconds"] == IDLE


@pytest.mark.row(23)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_large_transfer_arrives_unchanged(session: Session, direction: str) -> None:
    done = session.load(direction, "-addr", SERVER, "-bytes", str(TRANSFER))
    assert done["bytes"] == TRANSFER


@pytest.mark.row(23)
def test_http2_with_many_streams(session: Session) -> None:
    words = ["--http2-prior-knowledge", "--fail", "--silent", "--show-error", "--max-time", "30"]
    words += ["--parallel", "--output", "/dev/null", "--write-out", "%{http_version} %{size_download}\n"]
    answers = session.run("curl", *words, "http://load:7001/[100001-100100]").splitlines()
    assert sorted(answers) == [f"2 {size}" for size in range(100_001, 100_101)]


@pytest.mark.row(23)
@pytest.mark.parametrize("protocol", ["websocket", "grpc"])
def test_a_stream_of_messages_each_way(session: Session, protocol: str) -> None:
    assert session.run("protocols", protocol, "load", "500") == "500 answers\n"


@pytest.mark.row(24)
@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_stopped_reader_costs_little_memory_and_stops_nobody_else(session: Session, direction: str) -> None:
    with (
        memory.watched("the helper", memory.of_container(f"tpbox-{session.name}")) as of_helper,
        memory.watched("the pod", memory.of_pod(session.name, session.namespace)) as of_pod,
        ThreadPoolExecutor(1) as beside,
    ):
        words = ("stall", "-addr", SERVER, "-direction", direction, "-bytes", str(STOPPED), "-seconds", "8")
        stalled = beside.submit(session.load, *words)
        time.sleep(3)
        others = session.load("series", "-addr", SERVER, "-count", "100")
        assert not stalled.done()
        assert stalled.result().get("accepted", 0) < 50_000_000
    assert others["slowestMs"] < 5000  # served beside it, not behind it: that lasts 8 s
    assert of_helper.bytes < BOUND
    assert of_pod.bytes < BOUND
