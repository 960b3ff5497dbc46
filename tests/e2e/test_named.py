"""Row 40 and what else a session with a name is: processes one by one and side by side, its log, its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import host, inbound, schema, shop
from tests.e2e.inbound import LOCAL, Asker, server, wait_replicas
from tests.e2e.launcher import CLIENTS, COMMAND, MYAPP, ROOT, Launcher, Result, wait_for
from tests.e2e.named import Named, named
from tests.e2e.test_shell import CTRL_C, Terminal

WITHIN = 1.0  # seconds of an exec, the goal
EVERY_BYTE = bytes(range(256)) * 400
LISTENER = (
    "import socket; s = socket.create_server(('127.0.0.1', 4711)); print('listening', flush=True); "
    "c, _ = s.accept(); c.sendall(b'from the first')"
)
CONNECTER = "import socket; print(socket.create_connection(('127.0.0.1', 4711), 3).recv(99).decode())"
MOUNTED = "test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo mounted"


@pytest.fixture(scope="module")
def dev(tpbox: Launcher) -> Iterator[Named]:
    """One for all tests that leave it as it is."""
    own = Launcher(tpbox.namespace, tpbox.folder)  # nothing_left looks after each test, which this one outlives
    with named(own) as session:
        session.up("--image", CLIENTS, "-e", "FROM=up", "-e", "UP=up", "--like", "deploy/web").ok()
        yield session
    host.expect_nothing_of(own.take_sessions())


@pytest.fixture
def fresh(tpbox: Launcher) -> Iterator[Named]:
    """One for a test alone."""
    with named(tpbox) as session:
        yield session


def python(code: str) -> tuple[str, ...]:
    return ("--", "python3", "-c", code)


def shell(script: str) -> tuple[str, ...]:
    return ("--", "sh", "-c", script)


@pytest.mark.row(40)
def test_row_40_a_session_stays_and_exec_starts_within_a_second(fresh: Named) -> None:
    namespace = fresh.tpbox.namespace
    inbound.wait_rolled_out(namespace, "deployment/web")
    before = inbound.workload(namespace, "deployment/web")
    fresh.up("--swap", "deploy/web", "--image", CLIENTS).ok()
    rounds: list[list[float]] = []
    while len(rounds) < 5 and (not rounds or statistics.median(rounds[-1]) >= WITHIN):  # others use the machine too
        rounds.append([fresh.exec("--", "true").ok().seconds for _ in range(10)])
    print(rounds)  # noqa: T201
    assert statistics.median(rounds[-1]) < WITHIN, rounds
    with fresh.start("--", *server(80)[3:]) as running:
        wait_replicas(namespace, "deployment/web", 0)
        wait_for("an answer", lambda: inbound.get(namespace, "http://web/hostname") == LOCAL, 10)
        done = fresh.down().ok()
        assert running.finish().code in (137, 143)
    assert "has ended" in done.stderr
    assert inbound.replicas(namespace, "deployment/web") == 2
    inbound.wait_rolled_out(namespace, "deployment/web")
    assert inbound.workload(namespace, "deployment/web") == before
    assert not fresh.folder.exists()


# Processes


@pytest.mark.parametrize("code", [0, 3])
def test_exit_code_and_streams_are_the_programs(dev: Named, code: int) -> None:
    done = dev.exec(*shell(f"cat; echo a complaint >&2; exit {code}"), stdin=EVERY_BYTE)
    assert (done.stdout, done.stderr, done.code) == (EVERY_BYTE, "a complaint\n", code)


def test_the_environment_is_that_of_exec_over_that_of_up_over_the_pods(dev: Named) -> None:
    done = dev.exec("-e", "FROM=exec", *shell("echo $FROM $UP $TPBOX_SESSION ${KUBERNETES_SERVICE_HOST:+pod}")).ok()
    assert done.text == f"exec up {dev.session} pod\n"
    over = dev.exec("-e", "KUBERNETES_SERVICE_HOST=mine", *shell("echo $KUBERNETES_SERVICE_HOST")).ok()
    assert over.text == "mine\n"


def test_names_of_the_cluster_resolve(dev: Named) -> None:
    assert dev.exec("--", "curl", "-s", "http://web/").ok().stdout == shop.PAGE


def test_options_stand_before_the_name_too_and_without_dashes(dev: Named) -> None:
    assert dev.tpbox("exec", "-e", "A=1", dev.name, "sh", "-c", "echo $A").ok().text == "1\n"
    assert dev.tpbox("exec", dev.name, "-e", "A=2", "sh", "-c", "echo $A -e").ok().text == "2 -e\n"


def test_several_at_once_have_a_container_each_and_share_the_network(dev: Named) -> None:
    with dev.start(*python(LISTENER)) as first:
        first.wait_output(b"listening")
        assert dev.exec(*python(CONNECTER)).ok().text == "from the first\n"
        first.finish().ok()
    with dev.start(*shell("echo >/tmp/mine; echo ready; sleep 30")) as first:
        first.wait_output(b"ready")
        assert dev.exec("--", "test", "-e", "/tmp/mine").code == 1
        first.interrupt()
        assert first.finish().code == 130
    dev.wait_no_process()


def test_the_pods_volumes_are_in_each(dev: Named) -> None:
    with dev.start(*shell(f"{MOUNTED}; sleep 30")) as first:
        first.wait_output(b"mounted")
        assert dev.exec(*shell(MOUNTED)).ok().text == "mounted\n"
        assert dev.exec(*shell(MOUNTED)).ok().text == "mounted\n"
        first.interrupt()
        first.finish()


def test_options_of_a_container_are_execs_own(dev: Named, tmp_path: Path) -> None:
    options = ("-w", "/srv", "-u", "12345:23456", "--entrypoint", "sh", "--name", f"{dev.name}-own", "--tmpfs", "/more")
    program = "pwd; id -u; findmnt -no FSTYPE /more; sleep 1"
    with dev.start(*options, "--", "-c", program) as running:
        running.wait_output(b"tmpfs")
        assert shop.docker("ps", "--filter", f"name=^{dev.name}-own$", "-q")
        assert running.finish().ok().text.split() == ["/srv", "12345", "tmpfs"]
    assert dev.exec("--image", MYAPP, "--", "python", "-c", "print('myapp')").ok().text == "myapp\n"


def test_a_relative_path_is_of_the_folder_of_exec(dev: Named) -> None:
    folder = ROOT / "tests"  # the command's folder is the project's
    done = dev.exec("-v", "./tests:/mine", "--", "ls", "/mine").ok()
    assert set(done.text.split()) == set(os.listdir(folder))  # noqa: PTH208


def test_a_command_that_is_not_there_is_127_and_leaves_nothing(dev: Named) -> None:
    done = dev.exec("--", "no-such-program")
    assert done.code == 127, done.stderr
    assert "could not be started" in done.stderr
    dev.wait_no_process()


def test_a_shell_in_a_session_has_a_terminal(dev: Named) -> None:
    terminal = Terminal([*COMMAND, "shell", "--session", dev.name], rows=31, columns=97)
    try:
        terminal.enter("stty size")
        terminal.expect(rb"[\r\n]31 97\r\n")
        terminal.enter("sh -c 'echo asleep; exec sleep 50'")
        terminal.expect(rb"[\r\n]asleep\r\n")
        terminal.type(CTRL_C)
        terminal.enter("echo code $?.")
        terminal.expect(rb"[\r\n]code 130\.\r\n")
        terminal.enter("exit 5")
        assert terminal.wait() == 5
    finally:
        terminal.close()


# Signals


def test_sigterm_is_the_programs_to_answer(dev: Named) -> None:
    program = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.1; done"
    with dev.start("--", "bash", "-c", program) as running:
        running.wait_output(b"ready")
        running.signal(signal.SIGTERM)
        done = running.finish(20)
    assert (done.stdout, done.code) == (b"ready\ntold\n", 7)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_signal_at_any_moment_ends_exec_as_it_ends_a_program(dev: Named, number: signal.Signals) -> None:
    for tenths in range(5, 12):  # before, Python reads its modules
        with dev.start("--", "sleep", "30") as running:
            inbound.settle(tenths / 10)
            running.signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(3)
            if running.process.poll() is None:  # docker loses one in the milliseconds in which a container begins
                running.signal(number)
            done = running.finish(15)
        assert done.code == (130 if number == signal.SIGINT else -number), done.stderr
        assert done.stderr.strip() == ""
    dev.wait_no_process()
    assert dev.exec("--", "echo", "on").ok().text == "on\n"


def test_a_killed_exec_takes_its_container_along_and_no_more(dev: Named) -> None:
    with dev.start(*shell("echo ready; sleep 60")) as running:
        running.wait_output(b"ready")
        running.signal(signal.SIGKILL)
        running.finish()
    dev.wait_no_process()
    assert dev.exec("--", "echo", "on").ok().text == "on\n"


def test_a_client_that_asks_20_times_a_second_sees_no_failure(fresh: Named) -> None:
    namespace = fresh.tpbox.namespace
    with inbound.deployment(namespace, "steady2") as name, Asker(namespace, f"http://{name}/hostname") as asker:
        fresh.up("--swap", name, "--image", CLIENTS).ok()
        with fresh.start("--", *server(80)[3:]) as running:
            wait_replicas(namespace, f"deployment/{name}", 0)
            asker.wait_attempts(60)
            fresh.down().ok()
            running.finish()
        asker.wait_attempts(60)
        attempts = asker.attempts()
    assert [a for a in attempts if not a.ok] == []
    assert sum(LOCAL in a.said for a in attempts) > 50
    assert LOCAL not in attempts[0].said + attempts[-1].said


# What it says, and what is said of it


def test_status_shows_its_name(dev: Named) -> None:
    assert dev.status()["state"] == "running"
    assert re.search(rf"^{dev.session} +{dev.name} +running", dev.tpbox("status").ok().text, re.MULTILINE)


def test_its_log_has_the_time_of_each_step(dev: Named) -> None:
    lines = dev.logs().ok().text.splitlines()
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d tpbox: ✓ helper \(\d+\.\d s\)", line) for line in lines), lines
    assert dev.logs("-n", "1").ok().text.splitlines() == lines[-1:]
    assert dev.logs("-n", "0").ok().text == ""


def test_its_folder_is_private(dev: Named) -> None:
    assert dev.folder.stat().st_mode & 0o777 == 0o700
    for name in ("log", "socket", "start.json", "pid"):
        assert (dev.folder / name).stat().st_mode & 0o077 == 0, name


def test_progress_json_is_lines_of_the_schema(fresh: Named) -> None:
    done = fresh.up("--image", CLIENTS, before=("--progress", "json")).ok()
    rules = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    for line in lines:
        schema.check(line, rules["$defs"]["line"], rules)
    ended = {line["phase"] for line in lines if line.get("state") == "end"}
    assert {"preflight", "pod", "helper", "link", "engine"} <= ended
    assert done.stdout == b""


def test_quiet_is_quiet_and_a_terminal_has_a_live_line(fresh: Named) -> None:
    assert fresh.up("--image", CLIENTS, before=("-q",)).ok().stderr == ""
    fresh.down().ok()
    events = fresh.tpbox.new_folder() / "events"
    words = [str(events) if word == "{events}" else word for word in fresh.words("--image", CLIENTS)]
    terminal = Terminal([*COMMAND, *words], rows=31, columns=97)
    try:
        terminal.expect(rb"helper \d+\.\d s", 20)
        terminal.expect(rb"is up; it stays until", 20)
        assert terminal.wait() == 0
    finally:
        terminal.close()  # a hang-up
    assert fresh.exec("--", "echo", "lives").ok().text == "lives\n"


# Restart and end


def test_a_restart_says_the_same_words_in_the_same_folder(fresh: Named, tmp_path: Path) -> None:
    fresh.up("--image", CLIENTS, "-e", "FROM=first").ok()
    before, start = fresh.session, json.loads((fresh.folder / "start.json").read_text())
    fresh.restart().ok()
    assert json.loads((fresh.folder / "start.json").read_text()) == start
    assert fresh.session != before
    assert host.inventory({before}) == set()
    assert fresh.exec(*shell("echo $FROM")).ok().text == "first\n"


def test_logs_follow_until_the_end_and_are_there_after_it(fresh: Named) -> None:
    fresh.up("--image", CLIENTS).ok()
    with fresh.tpbox.begin("logs", fresh.name, "-f") as following:
        following.wait_output(b"helper")
        os.kill(fresh.pid, signal.SIGTERM)
        done = following.finish(30).ok()
    assert "ending" in done.text
    after = fresh.logs().ok().text
    assert after == done.text
    ended = fresh.exec("--", "true")
    assert_one_error(ended, 2, "has ended", f"tpbox restart {fresh.name}")
    assert "had ended before" in fresh.down().ok().stderr
    assert_one_error(fresh.down(), 2, "there is no session")


def test_one_in_the_foreground_is_a_session_like_any(fresh: Named) -> None:
    with fresh.begin("--foreground", "--image", CLIENTS) as running:
        running.wait_phase("engine", "end")
        wait_for("the socket", lambda: fresh.exec("--", "true").code == 0, 10)
        assert_one_error(fresh.logs(), 2, "in the foreground")
        fresh.down().ok()
        assert running.finish(20).code == 0


def assert_one_error(done: Result, code: int, *says: str) -> None:
    assert done.code == code, done.stderr
    assert done.stderr.count("tpbox: error:") == 1
    assert "Traceback" not in done.stderr
    for word in says:
        assert word in done.stderr
