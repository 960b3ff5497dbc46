"""Row 2: `tpbox shell` is a terminal: a prompt, the window's size, job control, Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from tests.e2e.launcher import CLIENTS, COMMAND, EVENTS, ROOT, Launcher, environment

PROMPT = rb"root@tpbox-[a-z]{8}:[^\r\n]*# "
START_LIMIT = 40  # seconds
CTRL_C, CTRL_Z = "\x03", "\x1a"
SLEEP = "sh -c 'echo asleep; exec sleep 50'"  # once it says so, it is in the foreground


class Terminal:
    """A person at a terminal: types, looks, and changes the window's size."""

    def __init__(self, argv: list[str], rows: int, columns: int) -> None:
        self._master, slave = pty.openpty()
        self.resize(rows, columns)
        # start_new_session, and the terminal as its controlling one: otherwise no job control and no Ctrl-C.
        take = [sys.executable, "-c", "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
                "os.execv(sys.argv[1], sys.argv[1:])"]  # fmt: skip
        env = {**environment(), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [*take, *argv], cwd=ROOT, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self._seen = b""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def enter(self, command: str) -> None:
        """Waits for the prompt, types a command line, and waits until it is echoed."""
        self.expect(PROMPT, START_LIMIT)
        self.type(f"{command}\n")
        self.expect(re.escape(command.encode()) + rb"\r\n")

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern: bytes, timeout: float = 10) -> re.Match[bytes]:
        """Reads on until `pattern` appears, and forgets what is before its end."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self._seen)):
            ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"not within {timeout} s: {pattern!r} in {self._seen[-2000:]!r}"
            self._seen += self._read()
        self._seen = self._seen[found.end() :]
        return found

    def _read(self) -> bytes:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the other side is closed
            data = b""
        assert data, f"the terminal was closed: {self._seen[-2000:]!r}"
        return data

    def wait(self, timeout: float = 30) -> int:
        """The exit code. What is still printed is read, or the program would wait for us."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"the shell runs on: {self._seen[-2000:]!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    self._seen += os.read(self._master, 65536)
                except OSError:
                    return self.process.wait(max(0.1, deadline - time.monotonic()))
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(tpbox: Launcher) -> Iterator[Terminal]:
    events = ["--events", str(tpbox.new_folder() / EVENTS)]
    argv = ["shell", "--context", "tpbox", "-n", tpbox.namespace, *events, "--image", CLIENTS]
    opened = Terminal([*COMMAND, *argv], rows=31, columns=97)
    yield opened
    opened.close()


def test_row_02_a_shell_with_a_terminal_that_resizes_and_job_control(terminal: Terminal) -> None:
    _wait_for_size(terminal, 31, 97)
    terminal.resize(43, 121)
    _wait_for_size(terminal, 43, 121)

    terminal.enter("curl -s http://web/ | wc -c")
    terminal.expect(rb"[\r\n]700\r\n")

    terminal.enter(SLEEP)
    terminal.expect(rb"[\r\n]asleep\r\n")
    terminal.type(CTRL_Z)
    terminal.expect(rb"\[1\]\+ +Stopped +sh -c")
    terminal.enter("bg")
    terminal.enter("jobs")
    terminal.expect(rb"\[1\]\+ +Running +sh -c")
    terminal.enter("kill %1; wait; echo running: $(jobs -r).")
    terminal.expect(rb"[\r\n]running: \.\r\n")

    terminal.enter(SLEEP)
    terminal.expect(rb"[\r\n]asleep\r\n")
    terminal.type(CTRL_C)
    terminal.enter("echo code $?.")
    terminal.expect(rb"[\r\n]code 130\.\r\n")

    terminal.enter("exit 5")
    assert terminal.wait() == 5


def _wait_for_size(terminal: Terminal, rows: int, columns: int) -> None:
    """Asks until the new size has come through; the change and the question take different ways."""
    for _ in range(20):
        terminal.enter("stty size")
        found = terminal.expect(rb"[\r\n](\d+) (\d+)\r\n").groups()
        if found == (b"%d" % rows, b"%d" % columns):
            return
        time.sleep(0.1)
    raise AssertionError(f"the terminal is {found}, and not {rows} x {columns}")
