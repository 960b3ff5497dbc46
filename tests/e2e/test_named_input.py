"""Row 5 for sessions that stay: each wrong word gets one clear error."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e import host
from tests.e2e.launcher import CLIENTS, ROOT, Launcher, Result, environment, error_lines, wait_for
from tests.e2e.named import Named, named

USAGE, TPBOX = 2, 125
HERE = ("--context", "tpbox", "-n", "{namespace}")

# Holds a session's lock, and greets as another version would.
ANOTHER_VERSION = """
import json, sys
from tpbox import door, named
session = named.NamedSession(sys.argv[1])
with session.held(), door.listen(session) as listener:
    print("holding", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.sendall(sys.argv[2].encode())
        connection.close()
"""

TABLE = {
    "up-without-name": (("up", *HERE), USAGE, ("NAME", "--help")),
    "up-invalid-name": (("up", *HERE, "my session"), USAGE, ("my session",)),
    "up-taken": (("up", *HERE, "{name}"), USAGE, ("{name}", "is there already", "tpbox restart {name}")),
    "up-with-a-folder": (("up", *HERE, "other", "-v", "/tmp:/tmp"), USAGE, ("-v /tmp:/tmp", "tpbox exec")),
    "up-with-an-option-of-exec": (("up", *HERE, "other", "-w", "/"), USAGE, ("-w", "--help")),
    "up-namespace-unknown": (("up", "--context", "tpbox", "-n", "no-such-place", "{name}-2"), TPBOX,
                             ("no-such-place", "create namespace")),
    "up-swap-unknown": (("up", *HERE, "--swap", "wep", "{name}-2"), TPBOX, ("wep", "Did you mean 'web'")),
    "up-image-unknown": (("up", *HERE, "--image", "127.0.0.1:1/no:1", "{name}-2"), TPBOX, ("127.0.0.1:1/no:1",)),
    "exec-without-name": (("exec",), USAGE, ("name the session", "tpbox exec dev")),
    "exec-invalid-name": (("exec", "my session", "--", "true"), USAGE, ("my session",)),
    "exec-missing": (("exec", "no-such", "--", "true"), USAGE, ("there is no session 'no-such'", "{name}")),
    "exec-publish": (("exec", "{name}", "-p", "80", "--", "true"), USAGE, ("-p 80", "tpbox up {name} -p 80")),
    "exec-without-image": (("exec", "{name}", "--", "true"), USAGE, ("native", "--image IMAGE, here or at `tpbox up`")),
    "exec-mode-of-a-volume": (("exec", "{name}", "--volume", "/data=copy", "--", "true"), USAGE, ("/data=copy",)),
    "exec-image-unknown": (("exec", "{name}", "--image", "127.0.0.1:1/no:1", "--", "true"), TPBOX,
                           ("127.0.0.1:1/no:1", "docker build")),
    "exec-name-of-tpbox": (("exec", "{name}", "--image", CLIENTS, "--name", "tpbox-x"), USAGE, ("--name tpbox-x",)),
    "exec-refused-option": (("exec", "{name}", "--network", "host", "--", "true"), USAGE,
                            ("--network", "Leave it out")),
    "exec-docker-refuses": (("exec", "{name}", "--image", CLIENTS, "-w", "relative", "--", "true"), TPBOX,
                            ("relative",)),
    "shell-swap": (("shell", "--session", "{name}", "--swap", "x"), USAGE, ("--swap", "tpbox up NAME --swap")),
    "shell-missing": (("shell", "--session", "no-such"), USAGE, ("there is no session",)),
    "logs-missing": (("logs", "no-such"), USAGE, ("there is no session",)),
    "logs-bad-number": (("logs", "-n", "many", "{name}"), USAGE, ("many",)),
    "restart-missing": (("restart", "no-such"), USAGE, ("there is no session",)),
    "down-missing": (("down", "no-such"), USAGE, ("there is no session",)),
    "down-nothing": (("down",), USAGE, ("name a session", "--all")),
    "down-all-and-name": (("down", "--all", "{name}"), USAGE, ("--all",)),
}  # fmt: skip


@pytest.fixture(scope="module")
def there(tpbox: Launcher) -> Iterator[Named]:
    """A session without an image."""
    own = Launcher(tpbox.namespace, tpbox.folder)
    with named(own) as session:
        session.up().ok()
        yield session
        Named(own, f"{session.name}-2").down()
    host.expect_nothing_of(own.take_sessions())


def is_one_error(done: Result, code: int, *says: str) -> None:
    assert done.code == code, done.stderr
    assert done.stdout == b""
    assert "Traceback" not in done.stderr
    assert done.stderr.count("tpbox: error:") == 1
    assert len(error_lines(done.stderr)) <= 3, done.stderr
    for word in says:
        assert word in done.stderr, done.stderr


@pytest.mark.parametrize("bad", TABLE)
def test_row_05_a_wrong_word_gets_one_clear_error(there: Named, bad: str) -> None:
    argv, code, says = TABLE[bad]
    filled = {"name": there.name, "namespace": there.tpbox.namespace}
    words = [word.format(**filled) for word in argv]
    is_one_error(there.tpbox(*words), code, *(word.format(**filled) for word in says))


@pytest.mark.parametrize("greeting", ['{"tpbox": "0.0.9", "protocol": 0}\\n', "rubbish\\n"], ids=["older", "rubbish"])
def test_a_session_of_another_version_says_restart(tpbox: Launcher, greeting: str) -> None:
    session = Named(tpbox, "e2e-another-version")
    words = [sys.executable, "-c", ANOTHER_VERSION, session.name, greeting.replace("\\n", "\n")]
    with subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE) as holding:
        try:
            assert holding.stdout and holding.stdout.readline() == b"holding\n"
            says = ("another version of tpbox", f"tpbox restart {session.name}")
            is_one_error(session.exec("--image", CLIENTS, "--", "true"), TPBOX, *says)
            assert tpbox("down", session.name).code == 0  # by a signal: that every version knows
        finally:
            holding.kill()
    assert not session.folder.exists()


def test_a_session_that_hangs_up_or_does_not_listen_is_no_other_version(tpbox: Launcher) -> None:
    session = Named(tpbox, "e2e-hangs-up")
    words = [sys.executable, "-c", ANOTHER_VERSION, session.name, ""]
    with subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE) as holding:
        try:
            assert holding.stdout and holding.stdout.readline() == b"holding\n"
            is_one_error(session.exec("--image", CLIENTS, "--", "true"), TPBOX, "does not answer")
            (session.folder / "socket").unlink()
            is_one_error(session.exec("--image", CLIENTS, "--", "true"), TPBOX, "does not answer")
        finally:
            holding.kill()
    wait_for("its end", lambda: session.down().code == 0, 5)


def test_a_session_of_another_host_or_user_is_left_alone(tpbox: Launcher) -> None:
    with named(tpbox) as session:
        session.folder.mkdir(mode=0o700, parents=True)
        start = session.folder / "start.json"
        start.write_text('{"words": ["up"], "folder": "/", "host": "elsewhere"}')
        for words in (("exec", session.name, "--", "true"), ("down", session.name), ("restart", session.name)):
            is_one_error(tpbox(*words), TPBOX, "runs on host elsewhere", "another name")
        is_one_error(tpbox("exec", "no-such", "--", "true"), USAGE, "there is no session 'no-such'")
        start.unlink()
        if os.getuid() == 0:
            os.chown(session.folder, 12345, -1)
            is_one_error(tpbox("exec", session.name, "--", "true"), TPBOX, "another user's (uid 12345)", "another name")
            os.chown(session.folder, 0, -1)


def test_restart_where_its_folder_is_gone(tpbox: Launcher) -> None:
    with named(tpbox) as session:
        session.folder.mkdir(mode=0o700, parents=True)
        (session.folder / "start.json").write_text(
            f'{{"words": ["up"], "folder": "/nonexistent", "host": "{socket.gethostname()}", "later": 1}}'
        )
        is_one_error(session.restart(), TPBOX, "/nonexistent", f"tpbox up {session.name}")


def test_cleanup_forgets_what_has_ended(tpbox: Launcher) -> None:
    session = Named(tpbox, "e2e-forgotten")
    assert session.up("--image", "127.0.0.1:1/no:1").code == TPBOX
    assert "127.0.0.1:1/no:1" in session.logs().ok().text
    is_one_error(session.exec("--", "true"), USAGE, "has ended", f"tpbox restart {session.name}")
    assert f"would forget session {session.name}" in tpbox("cleanup", "--dry-run").ok().text
    assert session.folder.exists()
    assert f"forgetting session {session.name}" in tpbox("cleanup").ok().text
    assert not session.folder.exists()


def test_all_are_ended_with_all(tpbox: Launcher) -> None:
    """In a state directory of its own: others' sessions are none of ours."""
    state = {"XDG_STATE_HOME": str(tpbox.new_folder())}
    words = ("--kubeconfig", host.kubeconfig(), "--pod-image", host.pod_image(), "-n", tpbox.namespace)
    assert "no session with a name" in tpbox("down", "--all", env=state).ok().stderr
    for name in ("one", "two"):
        tpbox("up", name, *words, "--events", "{events}", env=state).ok()
    done = tpbox("down", "--all", env=state).ok()
    assert "session one has ended" in done.stderr and "session two has ended" in done.stderr
    assert "no session with a name" in tpbox("down", "--all", env=state).ok().stderr
