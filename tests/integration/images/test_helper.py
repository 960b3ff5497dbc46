"""The helper's image by itself: its capabilities, its end, and that nothing leaves it without an engine."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CONFIGURE = {
    "command": "configure",
    "session": "abcdefgh",
    "namespace": "shop",
    "pod": "tpbox-abcdefgh",
    "ssh": {"port": 20022, "user": "tpbox", "privateKey": "none", "hostKey": "ssh-ed25519 AAAA"},
    "kubeconfig": {},
    "engine": {
        "name": "sshuttle", "port": 20023, "bypass": ["192.0.2.1:6443"],
        "only": [], "also": [], "never": [], "hosts": {}, "splitNames": False, "localNames": [],
    },
    "volumes": {"live": False, "copies": {}},
    "inbound": {"expose": [], "toPod": [], "fromPod": [], "host": []},
}  # fmt: skip
# Both would be answered, if only by an error of another kind, were they let out.
TRY = """
import errno, socket
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    with socket.socket(type=kind) as tried:
        tried.settimeout(3)
        try:
            tried.connect(("192.0.2.2", 53))
            tried.send(b"x")
        except OSError as error:
            print(errno.errorcode[error.errno])
"""


class Helper:
    """A helper with its control channel."""

    def __init__(self, image: str) -> None:
        self.name = f"tpbox-test-{secrets.token_hex(4)}"
        argv = [
            "docker",
            "run",
            "-i",
            "--rm",
            f"--name={self.name}",
            "--log-driver=none",
            "--tmpfs=/run/tpbox:mode=0700",
        ]
        argv += ["--cap-drop=ALL", "--cap-add=NET_ADMIN", "--security-opt=no-new-privileges", image]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def send(self, command: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        found = json.loads(self.process.stdout.readline())
        assert isinstance(found, dict)
        return found

    def run(self, *argv: str, input: str = "") -> str:
        command = ["docker", "exec", "-i", self.name, *argv]
        return subprocess.run(command, input=input, capture_output=True, text=True, check=True, timeout=30).stdout


@pytest.fixture
def helper(image: Callable[[str], str]) -> Iterator[Helper]:
    started = Helper(image("local"))
    assert started.event() == {"event": "hello", "protocol": 4}
    yield started
    assert started.process.stdin is not None
    started.process.stdin.close()
    started.process.wait(10)


def test_nothing_leaves_by_the_bridge_before_the_engine_is_up(helper: Helper) -> None:
    helper.send(CONFIGURE)
    deadline = time.monotonic() + 5
    while "REJECT" not in helper.run("iptables", "-S", "OUTPUT"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert helper.run("python3", "-", input=TRY).split() == ["EHOSTUNREACH", "EPERM"]


def test_it_ends_when_its_launcher_is_gone(helper: Helper) -> None:
    assert helper.process.stdin is not None
    began = time.monotonic()
    helper.process.stdin.close()
    assert helper.process.wait(5) == 0
    assert time.monotonic() - began < 1


def test_a_wrong_command_is_refused_and_a_stop_obeyed(helper: Helper) -> None:
    helper.send({"command": "reboot"})
    assert helper.event() == {"event": "refused", "message": "unknown command 'reboot'"}
    helper.send({"command": "stop"})
    assert helper.process.wait(5) == 0
