"""Every ordinary end leaves nothing (row 32, checked after each test): signals at each stage, faults, and kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e import host
from tests.e2e.launcher import CLIENTS, Launcher, error_lines, state_directory, wait_for
from tests.e2e.shop import docker

SLEEPER = ("--image", CLIENTS, "--", "sh", "-c", "echo ready; exec sleep 100")
GRACE = 5  # seconds, the least that --grace takes

# Seconds until all is gone, by who is left to see to it; with 2 for looking.
WATCHDOG = 5 + 2
HELPER_ALONE = 10 + 2
POD_ALONE = 10 + 2  # beyond the grace time


@pytest.mark.parametrize(
    ("phase", "number"),
    [
        ("images", signal.SIGINT),
        ("pod", signal.SIGTERM),
        ("helper", signal.SIGHUP),
        ("link", signal.SIGINT),
        ("engine", signal.SIGTERM),
    ],
    ids=lambda value: value.name if isinstance(value, signal.Signals) else value,
)
def test_row_32_a_signal_during_start_up_ends_it_cleanly(tpbox: Launcher, phase: str, number: signal.Signals) -> None:
    with tpbox.start(*SLEEPER) as running:
        running.wait_phase(phase)
        if number == signal.SIGINT:
            running.interrupt()
        else:
            running.signal(number)
        done = running.finish(20)
    assert done.code == 128 + number
    assert b"ready" not in done.stdout
    assert "Traceback" not in done.stderr


def test_row_32_a_second_ctrl_c_does_not_stop_the_clean_up(tpbox: Launcher) -> None:
    with tpbox.start(*SLEEPER) as running:
        running.wait_output(b"ready")
        running.interrupt()
        running.wait_phase("cleanup")
        running.interrupt()
        done = running.finish(20)
    assert done.code == 130
    assert done.events[-1]["phase"] == "cleanup"
    assert done.events[-1]["state"] == "end"


def test_row_33_a_dead_helper_ends_the_session_with_its_reason(tpbox: Launcher) -> None:
    with tpbox.start(*SLEEPER) as running:
        running.wait_output(b"ready")
        docker("kill", *_containers(running.session, "helper"))
        done = running.finish(20)
    assert done.code == 125
    assert "helper" in " ".join(error_lines(done.stderr))


def test_row_33_the_watchdog_cleans_up_after_a_killed_launcher(tpbox: Launcher) -> None:
    session = _killed(tpbox, with_watchdog=False)
    wait_for("everything gone", lambda: not host.inventory({session}), WATCHDOG)
    assert session not in tpbox("status").ok().text


def test_row_33_without_the_watchdog_helper_and_pod_end_by_themselves(tpbox: Launcher) -> None:
    session = _killed(tpbox, "--grace", str(GRACE), with_watchdog=True)
    wait_for("the helper's end", lambda: not _containers(session, "helper"), HELPER_ALONE)
    wait_for("the pod's end", lambda: not host.in_cluster({session}), GRACE + POD_ALONE)
    listed = json.loads(tpbox("status", "--output", "json").ok().text)  # any next command removes the rest
    assert session not in [one["session"] for one in listed]
    assert host.inventory({session}) == set()


def test_cleanup_removes_one_dead_session_and_its_dry_run_does_not(tpbox: Launcher) -> None:
    session = _killed(tpbox, with_watchdog=True)
    said = tpbox("cleanup", "--session", session, "--dry-run").ok().text
    assert f"tpbox-{session}-app" in said
    assert f"Job tpbox-{session}" in said
    assert f"container {session} tpbox-{session}-app" in host.inventory({session})
    assert f"record {session}.json" in host.inventory({session})
    tpbox("cleanup", "--session", session).ok()
    assert host.inventory({session}) == set()


def test_status_names_a_living_session_and_cleanup_leaves_it_alone(tpbox: Launcher) -> None:
    with tpbox.start(*SLEEPER) as running:
        running.wait_output(b"ready")
        listed = tpbox("status").ok().text
        assert running.session in listed
        assert tpbox.namespace in listed
        tpbox("cleanup").ok()
        assert len(_containers(running.session)) == 2
        running.interrupt()
        assert running.finish(20).code == 130
    assert running.session not in tpbox("status").ok().text


def test_the_session_record_is_private_and_names_its_objects(tpbox: Launcher) -> None:
    with tpbox.start(*SLEEPER) as running:
        running.wait_output(b"ready")
        path = state_directory() / "sessions" / f"{running.session}.json"
        assert path.stat().st_mode & 0o777 == 0o600
        record = json.loads(path.read_text())
        assert record["session"] == running.session
        assert record["pid"] == running.process.pid
        assert record["namespace"] == tpbox.namespace
        named = {(one["kind"], one["name"]) for one in record["objects"]}
        assert ("job", f"tpbox-{running.session}") in named
        assert {("container", name) for name in _containers(running.session)} <= named
        running.signal(signal.SIGTERM)
        assert running.finish(20).code == 143


def _killed(tpbox: Launcher, *options: str, with_watchdog: bool) -> str:
    """The id of a session whose launcher (and whose watchdog, before it) was killed while the program ran."""
    with tpbox.start(*options, *SLEEPER) as running:
        running.wait_output(b"ready")
        if with_watchdog:
            os.kill(_watchdog(running.session), signal.SIGKILL)
        os.kill(running.process.pid, signal.SIGKILL)
        assert running.finish(10).code == -signal.SIGKILL
        return running.session


def _watchdog(session: str) -> int:
    """The pid of a session's watchdog."""
    wanted = f"tpbox.watchdog\0{session}\0".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if path.read_bytes().endswith(wanted):
                return int(path.parent.name)
    raise AssertionError(f"session {session} has no watchdog")


def _containers(session: str, role: str = "") -> list[str]:
    """The names of a session's containers, running or not."""
    filters = [f"label={host.SESSION_LABEL}={session}", *([f"label=tpbox.dev/role={role}"] if role else [])]
    words = [word for one in filters for word in ("--filter", one)]
    return docker("ps", "-a", *words, "--format", "{{.Names}}").split()
