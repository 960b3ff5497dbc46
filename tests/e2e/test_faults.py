"""Rows 33 and 34: whatever dies, at whatever moment, host and cluster come back within the failure table's times.

    pytest tests/e2e/test_faults.py                                  # a chosen dozen
    pytest tests/e2e/test_faults.py --all-faults --fault-seed 7      # each phase: its start and five moments within

A victim dies by SIGKILL. Moments within a phase are drawn from the seed, which pytest's header shows.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import faults, host
from tests.e2e.faults import (
    GRACE,
    HELPER_ALONE_WITHIN,
    LINK_BACK_WITHIN,
    POD_ALONE_WITHIN,
    POD_BACK_WITHIN,
    SESSION_END_WITHIN,
    WATCHDOG_WITHIN,
    Kill,
)
from tests.e2e.launcher import CLIENTS, Launcher, Running, wait_for
from tests.e2e.shop import docker, kubectl, node

# How long each phase takes here, in seconds: the moments within it are drawn from that.
PHASES = {"pod": 1.2, "helper": 0.5, "link": 0.4, "engine": 0.3, "process": 0.1, "running": 0.5}
VICTIMS = ("launcher", "launcher-and-watchdog", "helper", "proxy-pod")
CHOSEN = {
    ("launcher", "pod", 0), ("launcher", "link", 1), ("launcher", "process", 0), ("launcher", "running", 1),
    ("launcher-and-watchdog", "pod", 1), ("launcher-and-watchdog", "engine", 0),
    ("helper", "helper", 1), ("helper", "engine", 1), ("helper", "running", 0),
    ("proxy-pod", "link", 0), ("proxy-pod", "running", 1),
}  # fmt: skip

# Asks the cluster for ever; a line an answer.
ASKING = ("--image", CLIENTS, "--", "sh", "-c",
          "while :; do curl -s -m 2 -o /dev/null -w '%{http_code}\\n' http://web/; sleep 0.2; done")  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    faults.parametrize(metafunc, VICTIMS, PHASES, CHOSEN)


def test_row_33_whatever_is_killed_nothing_is_left(tpbox: Launcher, kill: Kill) -> None:
    with tpbox.start("--grace", str(GRACE), *ASKING) as running:
        running.wait_phase(kill.phase)
        time.sleep(kill.delay)
        if kill.victim.startswith("launcher"):
            _launcher_dies(tpbox, running, with_watchdog=kill.victim.endswith("watchdog"))
        elif kill.victim == "helper":
            _helper_dies(running)
        else:
            _pod_dies(running)


def _launcher_dies(tpbox: Launcher, running: Running, *, with_watchdog: bool) -> None:
    session = running.session
    running.kill(with_watchdog=with_watchdog)
    if not with_watchdog:
        wait_for("everything gone", lambda: not host.inventory({session}), WATCHDOG_WITHIN)
        return
    helper = f"container {session} tpbox-{session}"
    wait_for("the helper's end", lambda: helper not in host.inventory({session}), HELPER_ALONE_WITHIN)
    wait_for("the pod's end", lambda: not host.in_cluster({session}), POD_ALONE_WITHIN)
    tpbox("status").ok()  # any command removes the rest
    assert host.inventory({session}) == set()


def _helper_dies(running: Running) -> None:
    session = running.session
    with contextlib.suppress(AssertionError):  # it may not be there yet: then it is killed as soon as it is
        wait_for("the helper", lambda: faults.is_there(f"tpbox-{session}"), 3)
    docker("kill", f"tpbox-{session}")
    done = running.finish(SESSION_END_WITHIN)
    faults.is_one_clear_error(done)
    assert host.inventory({session}) == set()


def _pod_dies(running: Running) -> None:
    """While it starts the session may get a new pod, or end with its reason; once it runs it must live on."""
    selector = f"tpbox.dev/session={running.session}"
    was_running = any(e["phase"] == "running" for e in running.events())
    kubectl("delete", "pods", "-A", "-l", selector, "--grace-period=0", "--force")
    if was_running:
        _answers_again(running, POD_BACK_WITHIN)
    else:
        with contextlib.suppress(AssertionError):
            running.wait_phase("running", timeout=30)
    if running.process.poll() is None:
        running.signal(signal.SIGTERM)
        assert running.finish(20).code == 128 + signal.SIGTERM
    else:
        faults.is_one_clear_error(running.finish(1))


def _answers_again(running: Running, within: float) -> None:
    """A new connection works again: an answer that began after now."""
    time.sleep(0.5)
    seen = len(running.stdout())
    wait_for("an answer of http://web/", lambda: b"200" in running.stdout()[seen:], within)
    assert running.process.poll() is None


# The tunnel's own parts, under one session that must live on


# What dies of each engine's session: in the helper, and in the pod.
PARTS = {
    "netstack": (("kubectl", "ssh", "tpbox-near"), ("sshd", "tpbox-far")),
    "sshuttle": (("kubectl", "ssh", "sshuttle"), ("sshd",)),
}


@pytest.mark.parametrize("engine", PARTS)
def test_rows_33_and_34_the_session_survives_the_death_of_each_part_of_its_tunnel(tpbox: Launcher, engine: str) -> None:
    in_helper, in_pod = PARTS[engine]
    with tpbox.start("--engine", engine, *ASKING) as asking:
        asking.wait_output(b"200")
        for program in in_helper:
            faults.kill_in(f"tpbox-{asking.session}", program)
            _answers_again(asking, LINK_BACK_WITHIN)
        for program in in_pod:
            faults.kill_in_pod(tpbox.namespace, asking.session, program)
            _answers_again(asking, LINK_BACK_WITHIN)
        docker("exec", node(), "pkill", "-STOP", "kube-apiserver")
        try:
            time.sleep(10)
        finally:
            docker("exec", node(), "pkill", "-CONT", "kube-apiserver")
        _answers_again(asking, LINK_BACK_WITHIN)
        asking.signal(signal.SIGTERM)
        assert asking.finish(20).code == 128 + signal.SIGTERM


# The Docker daemon, as the launcher sees it: through a relay that the test ends


def test_row_33_a_docker_engine_that_goes_away_ends_the_session_and_the_cluster_is_clean(
    tpbox: Launcher, tmp_path: Path
) -> None:
    with _relay(tmp_path / "docker.sock") as end_relay:
        words = tpbox.words("--grace", str(GRACE), *ASKING)
        with tpbox.begin(*words, env={"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}) as running:
            running.wait_output(b"200")
            end_relay()
            done = running.finish(20)
    assert done.code == 125, done.stderr
    assert "Traceback" not in done.stderr
    wait_for("the pod's end", lambda: not host.in_cluster({done.session}), SESSION_END_WITHIN)
    wait_for("the helper's end", lambda: not faults.is_there(f"tpbox-{done.session}"), HELPER_ALONE_WITHIN)
    tpbox("status").ok()  # with the engine back, the rest
    wait_for("everything gone", lambda: not host.inventory({done.session}), 2)


@contextlib.contextmanager
def _relay(path: Path) -> Iterator[Callable[[], None]]:
    """A socket that leads to the Docker engine, and a function that cuts it for good."""
    connections: list[socket.socket] = []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect("/var/run/docker.sock")
                connections.extend((client, engine))
                for pair in ((client, engine), (engine, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    def cut() -> None:
        path.unlink(missing_ok=True)
        for one in (listener, *connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield cut
    finally:
        cut()
