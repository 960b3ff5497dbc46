"""PID 1 and supervisors as programs of their own, in a directory of the test's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from supervisor import stand

SUPERVISOR = Path(__file__).parents[4] / "images/local/files/opt/tpbox"
HOLD = """
try:
    with stand.held():
        print("held", flush=True)
        subprocess.run(["sleep", "30"])
except stand.Taken as error:
    sys.exit(str(error))"""

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(work: str) -> subprocess.Popen[str]:
        code = f"""
import pathlib, subprocess, sys
sys.path[:0] = [{str(SUPERVISOR)!r}]
from supervisor import link, stand
link.RUN = pathlib.Path({str(tmp_path)!r})
{work}"""
        argv = [sys.executable, "-c", code]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(argv, stdout=pipe, stderr=pipe, text=True, start_new_session=True))
        return started[-1]

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
        process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("first", ["PID 1", "the supervisor"])
def test_it_ends_with_its_supervisor_however_that_ends(start: Start, how: signal.Signals, first: str) -> None:
    if first == "PID 1":
        standing, holding = start("sys.exit(stand.main())"), start(HOLD)
    else:
        holding, standing = start(HOLD), start("sys.exit(stand.main())")
    assert said(holding) == "held"
    assert standing.poll() is None
    holding.send_signal(how)  # what it has started lives on: it has not the write end
    assert standing.wait(5) == 1


def test_a_second_supervisor_is_refused_and_changes_nothing(start: Start) -> None:
    standing, holding = start("sys.exit(stand.main())"), start(HOLD)
    assert said(holding) == "held"
    second = start(HOLD)
    assert second.wait(5) == 1
    assert second.stderr is not None
    assert second.stderr.read() == "another supervisor holds this helper\n"
    assert standing.poll() is None
    holding.kill()
    assert standing.wait(5) == 1


def test_without_a_supervisor_it_waits_until_it_is_told_to_end(start: Start) -> None:
    standing = start("print(0, flush=True)\nsys.exit(stand.main())")
    said(standing)
    time.sleep(0.2)
    assert standing.poll() is None
    standing.terminate()
    assert standing.wait(2) == 143


@pytest.mark.parametrize(
    ("cmdline", "stands"),
    [
        ("/usr/bin/python3 -I /opt/tpbox stand", True),
        ("/sbin/docker-init -- /usr/bin/python3 -I /opt/tpbox stand", True),
        ("/usr/bin/python3 -I /opt/tpbox", False),
        ("/sbin/docker-init -- /usr/bin/python3 -I /opt/tpbox", False),
    ],
)
def test_what_pid_1_is_tells_the_helper(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cmdline: str, stands: bool
) -> None:
    path = tmp_path / "cmdline"
    path.write_bytes(cmdline.replace(" ", "\0").encode() + b"\0")
    monkeypatch.setattr(stand, "PID_1", path)
    assert stand.stands() is stands
