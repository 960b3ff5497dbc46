"""The proxy pod's image by itself, as Pod Security `restricted` runs it and as root."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RESTRICTED = ("--user=1000650000:0", "--cap-drop=ALL", "--security-opt=no-new-privileges")
ROOT = ("--user=0",)

# Runs in the Pod's network namespace, where port-forward would come out.
CLIENT = """
set -e
install -m 600 /keys/id /tmp/id
ssh="ssh -p 20022 -i /tmp/id -o StrictHostKeyChecking=no -o LogLevel=ERROR tpbox@127.0.0.1"
$ssh 'id -un; echo "[$LEAKED]"'
echo '{"beat": 1}' | $ssh /usr/bin/python3 -I /opt/tpbox attach
"""


def docker(*argv: str, input: str = "") -> str:
    done = subprocess.run(["docker", *argv], input=input, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    return tmp_path


@pytest.fixture
def start(image: Callable[[str], str], keys: Path) -> Iterator[Callable[..., str]]:
    """Starts a proxy pod with docker's and its own options; returns its name when it is ready."""
    name = f"tpbox-test-{secrets.token_hex(4)}"

    def run(*options: str) -> str:
        key = (keys / "id.pub").read_text().strip()
        fixed = ("--read-only", "--tmpfs=/.tpbox:mode=1777", f"--env=TPBOX_AUTHORIZED_KEY={key}", "--env=LEAKED=yes")
        docker("run", "-d", f"--name={name}", *fixed, *options, image("proxy-pod"))
        deadline = time.monotonic() + 10
        while "ready" not in docker("logs", name):
            assert time.monotonic() < deadline, docker("logs", name)
            time.sleep(0.05)
        return name

    yield run
    docker("rm", "-f", name)


@pytest.mark.parametrize("user", [RESTRICTED, ROOT], ids=["restricted", "root"])
def test_a_client_comes_in_and_hears_what_the_pod_is(
    image: Callable[[str], str], start: Callable[..., str], keys: Path, user: tuple[str, ...]
) -> None:
    name = start(*user, "--env=TPBOX_POD_IP=10.244.0.7", f"--volume={keys}:/etc/a secret:ro")
    ready = json.loads(docker("logs", name).splitlines()[0])
    assert (ready["event"], ready["port"]) == ("ready", 20022)
    options = ("--rm", "-i", f"--network=container:{name}", f"--volume={keys}:/keys:ro", "--entrypoint=sh")
    said = docker("run", *options, image("local"), input=CLIENT).splitlines()
    assert said[:2] == ["tpbox", "[]"]
    info = json.loads(said[2])["info"]
    assert info["environment"] == {"LEAKED": "yes"}
    secret = {"path": "/etc/a secret", "realPath": "/etc/a secret", "readOnly": True, "kind": "directory"}
    assert info["mounts"] == [secret]
    assert info["podIP"] == "10.244.0.7"
    assert json.loads(said[3]) == {"beat": 1}


def test_it_ends_at_once_on_sigterm_and_not_as_if_its_work_were_done(start: Callable[..., str]) -> None:
    name = start(*RESTRICTED)
    began = time.monotonic()
    docker("kill", "--signal=TERM", name)
    assert docker("wait", name).strip() == "143"
    assert time.monotonic() - began < 1
