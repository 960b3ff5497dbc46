from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tpbox import state, sweep, watchdog
from tpbox.cleanup import Failure
from tpbox.state import SessionRecord

LAUNCHER = """
import sys, time
from tpbox import watchdog
with watchdog.watching("abcdefgh"):
    print("watched", flush=True)
    sys.stdin.read()
"""


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def stdin_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "read", lambda descriptor, size: b"")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_watchdog_outlives_a_killed_launcher_by_little_and_needs_no_terminal(end: signal.Signals) -> None:
    launcher = subprocess.Popen([sys.executable, "-c", LAUNCHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert launcher.stdout is not None and launcher.stdin is not None
    launcher.stdout.readline()
    [pid] = children(launcher.pid)
    assert os.getsid(pid) == pid != os.getsid(launcher.pid)
    launcher.send_signal(end)
    launcher.wait()
    deadline = time.monotonic() + 5
    while state.process_start(pid):  # without a record there is nothing to do, so it ends
        assert time.monotonic() < deadline
        time.sleep(0.02)
    launcher.stdin.close()
    launcher.stdout.close()


def test_a_session_that_cleaned_up_is_left_alone(stdin_ends: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "remove_dead", lambda record: pytest.fail("nothing is to be removed"))
    assert watchdog.guard("abcdefgh") == 0


def test_a_session_whose_record_is_left_is_removed(stdin_ends: None, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SessionRecord("abcdefgh", "ann@desk", "new pod", "unix:///d", "/k", "dev", "shop")
    made.save()
    removed: list[str] = []

    def remove(record: SessionRecord) -> list[Failure]:
        removed.append(record.session)
        return []

    monkeypatch.setattr(sweep, "remove_dead", remove)
    assert watchdog.guard("abcdefgh") == 0
    assert removed == ["abcdefgh"]
