"""The failure table holds for a session that stays; and what ends it while it begins leaves nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e import host, inbound
from tests.e2e.faults import POD_BACK_WITHIN, WATCHDOG_WITHIN
from tests.e2e.inbound import wait_replicas
from tests.e2e.launcher import CLIENTS, COMMAND, ROOT, Launcher, environment, error_lines, wait_for
from tests.e2e.named import Named, named
from tests.e2e.shop import docker, kubectl

IMAGE = ("--image", CLIENTS)
SLEEPER = ("--", "sh", "-c", "echo ready; exec sleep 100")
# SIGHUP counts, also where whoever runs the tests does not hear it: nohup(1).
BACKGROUND = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.setsid()
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def session(tpbox: Launcher) -> Iterator[Named]:
    with named(tpbox) as made:
        yield made


def kill(session: Named, *, with_watchdog: bool = False) -> str:
    """kill -9 of the session's process, after that of its watchdog where one is to die too; returns the id."""
    found, pid = session.session, session.pid
    if with_watchdog:
        os.kill(watchdog(found), signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    return found


def watchdog(session: str) -> int:
    shown = subprocess.run(["pgrep", "-f", f"tpbox.watchdog {session}"], capture_output=True, text=True, check=True)
    return int(shown.stdout.split()[0])


# What dies


def test_row_33_the_watchdog_cleans_up_after_a_killed_session(session: Named) -> None:
    namespace = session.tpbox.namespace
    session.up("--swap", "deploy/web", "--now", *IMAGE).ok()
    wait_replicas(namespace, "deployment/web", 0)
    with session.start(*SLEEPER) as running:
        running.wait_output(b"ready")
        killed = kill(session)
        wait_for("2 replicas", lambda: inbound.replicas(namespace, "deployment/web") == 2, WATCHDOG_WITHIN)
        wait_for("nothing on the host", lambda: not host.inventory({killed}), WATCHDOG_WITHIN + 3)
        done = running.finish(10)
    assert done.code == 125
    assert "ended under it" in " ".join(error_lines(done.stderr))
    after = session.exec("--", "true")
    assert (after.code, "has ended" in after.stderr) == (2, True), after.stderr
    assert f"tpbox restart {session.name}" in after.stderr
    session.restart().ok()
    assert session.exec("--", "echo", "again").ok().text == "again\n"


def test_row_33_a_dead_helper_ends_the_session_and_its_processes_with_the_reason(session: Named) -> None:
    session.up(*IMAGE).ok()
    with session.start(*SLEEPER) as running:
        running.wait_output(b"ready")
        docker("kill", *session.containers("helper"))
        done = running.finish(20)
    assert done.code == 125
    assert "the helper container ended" in " ".join(error_lines(done.stderr))
    wait_for("its end", lambda: "has ended" in session.exec("--", "true").stderr, 10)
    assert "the helper container ended" in session.logs().ok().text


def test_row_33_without_the_watchdog_the_next_command_removes_the_rest(session: Named) -> None:
    session.up("--grace", "5", *IMAGE).ok()
    killed = kill(session, with_watchdog=True)
    wait_for("the pod's end", lambda: not host.in_cluster({killed}), 5 + 12)
    session.tpbox("status").ok()
    assert host.inventory({killed}) == set()


def test_row_33_a_deleted_pod_is_replaced_and_processes_run_on(session: Named) -> None:
    session.up(*IMAGE).ok()
    namespace = session.tpbox.namespace
    asked = ("--", "curl", "-sf", "-m", "3", "-o", "/dev/null", "http://web/")
    with session.start(*SLEEPER) as running:
        running.wait_output(b"ready")
        kubectl("-n", namespace, "delete", "pod", "-l", f"tpbox.dev/session={session.session}", "--wait=false")
        wait_for("the tunnel is down", lambda: "the tunnel is down" in session.logs().text, 20)
        wait_for("an answer", lambda: session.exec(*asked).code == 0, POD_BACK_WITHIN)
        assert running.process.poll() is None
        running.interrupt()
        running.finish()


def test_it_outlives_the_shell_and_its_hang_up(session: Named) -> None:
    words = [word.replace("{events}", str(session.tpbox.new_folder() / "events")) for word in session.words(*IMAGE)]
    shell = f"{' '.join([*COMMAND, *words])}; echo up; kill -HUP 0; sleep 60"
    done = subprocess.run(
        [COMMAND[0], "-c", BACKGROUND, "/bin/sh", "-c", shell], cwd=ROOT, env=environment(), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (-signal.SIGHUP, "up\n"), done.stderr
    assert session.exec("--", "echo", "lives").ok().text == "lives\n"


# What ends it while it begins


@pytest.mark.parametrize(("phase", "number"), [("pod", signal.SIGINT), ("link", signal.SIGTERM)])
def test_a_signal_ends_a_session_that_begins(session: Named, phase: str, number: signal.Signals) -> None:
    with session.begin(*IMAGE) as running:
        running.wait_phase(phase)
        os.killpg(running.process.pid, number)
        done = running.finish(20)
    assert done.code == 128 + number, done.stderr
    assert "Traceback" not in done.stderr
    assert host.inventory({done.session}) == set()
    assert not session.folder.exists()


def test_a_session_whose_starter_is_killed_ends(session: Named) -> None:
    with session.begin(*IMAGE) as running:
        running.wait_phase("pod")
        running.signal(signal.SIGKILL)
        running.finish()
        wait_for("its end", lambda: "whoever started it has gone" in session.logs().text, 20)
        wait_for("nothing left", lambda: not host.inventory({running.session}), 20)


def test_of_two_at_once_one_wins(session: Named) -> None:
    with session.begin(*IMAGE) as first, session.begin(*IMAGE) as second:
        both = [first.finish(), second.finish()]
    assert sorted(done.code for done in both) == [0, 2], [done.stderr for done in both]
    loser = next(done for done in both if done.code)
    assert "is there already" in loser.stderr
    assert session.exec("--", "true").code == 0
    assert "✓ helper" in session.logs().ok().text


def test_many_looks_do_not_take_a_session_for_another(session: Named) -> None:
    looks = ["sh", "-c", f"while :; do {' '.join(COMMAND)} logs {session.name} -f >/dev/null 2>&1; done"]
    with subprocess.Popen(looks, cwd=ROOT, process_group=0) as looking:
        try:
            session.up(*IMAGE).ok()
            session.restart().ok()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(looking.pid, signal.SIGKILL)


def test_what_ends_under_a_starting_process_says_so(session: Named) -> None:
    """`down` while processes begin all the time: each ends with a word or its code, none is left."""
    session.up(*IMAGE).ok()
    found = session.session
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(session.start(*SLEEPER)) for _ in range(3)]
        session.down().ok()
        done = [one.finish(30) for one in started]
    assert host.inventory({found}) == set()
    for one in done:
        assert "Traceback" not in one.stderr and "fault in tpbox" not in one.stderr, one.stderr
        assert one.code in (2, 125, 137, 143), (one.code, one.stderr)
