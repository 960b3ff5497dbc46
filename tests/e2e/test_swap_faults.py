"""Row 33 for a swap: whatever dies, at whatever moment, the workload is back within the failure table's times.

pytest tests/e2e/test_swap_faults.py                                  # a chosen dozen
pytest tests/e2e/test_swap_faults.py --all-faults --fault-seed 7      # each phase: its start and five moments within
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import pytest

from tests.e2e import faults, host, inbound
from tests.e2e.faults import (
    GRACE,
    HELPER_ALONE_WITHIN,
    POD_ALONE_WITHIN,
    SESSION_END_WITHIN,
    WATCHDOG_WITHIN,
    Kill,
)
from tests.e2e.inbound import server
from tests.e2e.launcher import Launcher, Running, wait_for
from tests.e2e.shop import docker, node

NAME = "victim"
TARGET = f"deployment/{NAME}"
THERE_WITHIN = 10  # seconds until a victim of an early phase is there to be killed
END_WITHIN = 90  # seconds from a SIGTERM: the original is waited for
FROZEN = 5  # seconds

# How long each phase takes here, in seconds. "swapped" begins with the scale-down of the original, "ending" with a
# SIGTERM.
PHASES = {"pod": 1.5, "helper": 0.5, "link": 0.4, "engine": 0.4, "running": 2, "swapped": 2, "ending": 5}
ENDED_BY = ("launcher", "launcher-and-watchdog", "helper")
SURVIVED = ("watchdog", "agent", "sshd", "kubectl", "node")
CHOSEN = {
    ("launcher", "pod", 1), ("launcher", "running", 1), ("launcher", "ending", 1),
    ("launcher-and-watchdog", "link", 0), ("launcher-and-watchdog", "swapped", 0),
    ("helper", "swapped", 0), ("helper", "ending", 1), ("watchdog", "running", 1),
    ("agent", "swapped", 0), ("sshd", "swapped", 1), ("kubectl", "link", 1), ("node", "swapped", 0),
}  # fmt: skip


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    faults.parametrize(metafunc, (*ENDED_BY, *SURVIVED), PHASES, CHOSEN)


@pytest.fixture(scope="module")
def namespace_with_target(tpbox: Launcher) -> Iterator[str]:
    with inbound.deployment(tpbox.namespace, NAME):
        yield tpbox.namespace


@pytest.mark.row(33)
@pytest.mark.timeout(300)
def test_row_33_whatever_is_killed_the_workload_is_back(
    tpbox: Launcher, namespace_with_target: str, kill: Kill
) -> None:
    namespace = namespace_with_target
    with tpbox.start("--swap", NAME, "--grace", str(GRACE), *server(80)) as running:
        _reach(running, namespace, kill)
        time.sleep(kill.delay)
        session = running.session
        ended_before = running.process.poll() is not None  # a late moment of the last phase
        if kill.victim == "node":
            _freeze()
        else:
            _strike(kill.victim, running, namespace)
        if ended_before:
            pass
        elif kill.victim == "launcher":
            wait_for("the restore", lambda: inbound.replicas(namespace, TARGET) == 1, WATCHDOG_WITHIN)
            wait_for("everything gone", lambda: not host.inventory({session}), WATCHDOG_WITHIN)
        elif kill.victim == "launcher-and-watchdog":
            wait_for("the restore", lambda: inbound.replicas(namespace, TARGET) == 1, POD_ALONE_WITHIN)
            helper = f"tpbox-{session}"
            wait_for("the helper's end", lambda: not faults.is_there(helper), HELPER_ALONE_WITHIN)
            wait_for("the pod's end", lambda: not host.pods({session}), POD_ALONE_WITHIN)
            tpbox("status").ok()  # any command removes the rest
        elif kill.victim == "helper":
            _ends_with_a_reason(running, kill)
        else:
            _lives_or_ends_with_a_reason(running)
        wait_for("the workload", lambda: inbound.replicas(namespace, TARGET) == 1, 2)
        wait_for("everything gone", lambda: not host.inventory({session}), 10)


def _reach(running: Running, namespace: str, kill: Kill) -> None:
    """Returns at the phase's start."""
    if kill.phase not in ("swapped", "ending"):
        running.wait_phase(kill.phase)
        return
    running.wait_phase("running")
    inbound.wait_replicas(namespace, TARGET, 0)
    if kill.phase == "ending":
        running.signal(signal.SIGTERM)


def _strike(victim: str, running: Running, namespace: str) -> None:
    """Kills the victim, as soon as it is there; one that has gone with its session is dead already."""
    session = running.session
    if victim.startswith("launcher"):
        with contextlib.suppress(AssertionError):  # the watchdog ends with its session
            running.kill(with_watchdog=victim.endswith("watchdog"))
        return
    deadline = time.monotonic() + THERE_WITHIN
    while time.monotonic() < deadline and running.process.poll() is None:
        with contextlib.suppress(AssertionError, ValueError):
            if victim == "watchdog":
                running.kill_watchdog()
            elif victim == "helper":
                docker("kill", f"tpbox-{session}")
            elif victim == "kubectl":
                faults.kill_in(f"tpbox-{session}", "kubectl")
            else:
                faults.kill_in_pod(namespace, session, {"agent": "python3"}.get(victim, victim))
            return
        time.sleep(0.1)


def _freeze() -> None:
    docker("pause", node())
    try:
        time.sleep(FROZEN)
    finally:
        docker("unpause", node())


def _ends_with_a_reason(running: Running, kill: Kill) -> None:
    done = running.finish(SESSION_END_WITHIN if kill.phase != "ending" else END_WITHIN)
    if kill.phase != "ending":  # there the process may have ended already, as it was told
        faults.is_one_clear_error(done)


def _lives_or_ends_with_a_reason(running: Running) -> None:
    """While it starts it may end; what runs lives on, and ends as it is told."""
    started = any(e["phase"] == "running" for e in running.events())
    if not started:
        with contextlib.suppress(AssertionError):
            running.wait_phase("running", timeout=30)
    if running.process.poll() is None:
        running.signal(signal.SIGTERM)
        assert running.finish(END_WITHIN).code == 128 + signal.SIGTERM, running.stderr()
    elif started:
        assert running.finish(1).code == 128 + signal.SIGTERM, running.stderr()
    else:
        faults.is_one_clear_error(running.finish(1))
