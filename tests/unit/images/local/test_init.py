from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[4] / "images"
SUPERVISOR = IMAGES / "local/files/opt/tpbox"
AGENT = IMAGES / "proxy-pod/files/opt/tpbox"


def start(work: str) -> subprocess.Popen[str]:
    code = f"import os, signal, sys, time\nsys.path[:0] = [{str(SUPERVISOR)!r}]\nfrom supervisor import init\n{work}"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("work", "code"),
    [("lambda: 7", 7), ("lambda: os.kill(os.getpid(), signal.SIGKILL)", 137)],
)
def test_the_childs_end_is_the_exit_code(work: str, code: int) -> None:
    with start(f"sys.exit(init.run({work}))") as process:
        assert process.wait(10) == code


def test_signals_are_passed_on() -> None:
    work = """
def work():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    print("ready", flush=True)
    time.sleep(10)
sys.exit(init.run(work))"""
    with start(work) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 5


def test_orphans_are_reaped() -> None:
    # As a "child subreaper" (prctl 36) any process is to its descendants what PID 1 is to all.
    work = """
import ctypes, subprocess
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
def work():
    orphan = int(subprocess.check_output(["sh", "-c", "sleep 0.1 >/dev/null & echo $!"]))
    time.sleep(0.5)
    return 1 if os.path.exists(f"/proc/{orphan}") else 0
sys.exit(init.run(work))"""
    with start(work) as process:
        assert process.wait(10) == 0


def test_both_images_have_the_same() -> None:
    assert (SUPERVISOR / "supervisor/init.py").read_text() == (AGENT / "agent/init.py").read_text()
