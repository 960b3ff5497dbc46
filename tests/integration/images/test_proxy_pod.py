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
echo '{"beat": 1, "ready": false}' | $ssh /usr/bin/python3 -I /opt/tpbox attach
"""

# The helper's way: a master connection, forwards asked of it one by one. Then what listens, but for sshd.
FORWARDS = """
install -m 600 /keys/id /tmp/id
ssh="ssh -p 20022 -i /tmp/id -o StrictHostKeyChecking=no -o LogLevel=ERROR -o ControlPath=/tmp/master"
listening() { awk '$4 == "0A" && $2 !~ /:4E36$/ {print $2}' /proc/net/tcp | sort | tr '\\n' ' '; echo; }
$ssh -M -N -f tpbox@127.0.0.1
for wanted in '*:80' '127.0.0.1:9000' '*:81' '*:9000' 'localhost:9000' '*:0'; do
  $ssh -O forward -R "$wanted:127.0.0.1:7000" pod && echo "forwarded $wanted"
done 2>&1
listening
$ssh -O cancel -R '*:80:127.0.0.1:7000' -R 127.0.0.1:9000:127.0.0.1:7000 pod
# ssh does not wait for the Pod's word when it cancels.
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(listening)" ] && break; sleep 0.1; done
listening
alone="ssh -p 20022 -i /tmp/id -o StrictHostKeyChecking=no"
for target in 127.0.0.1:20022 127.0.0.1:20023; do
  $alone -W $target tpbox@127.0.0.1 </dev/null 2>&1 | grep -aoE 'SSH-2.0|administratively prohibited'
done
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
    name = start(*user, "--env=TPBOX_POD_IPS=10.244.0.7", f"--volume={keys}:/etc/a secret:ro")
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


@pytest.mark.parametrize("user", [RESTRICTED, ROOT], ids=["restricted", "root"])
def test_a_client_may_listen_and_open_where_the_manifest_says_and_nowhere_else(
    image: Callable[[str], str], start: Callable[..., str], keys: Path, user: tuple[str, ...]
) -> None:
    low_ports = "--sysctl=net.ipv4.ip_unprivileged_port_start=0"
    named = ("--env=TPBOX_LISTEN=*:80 127.0.0.1:9000", "--env=TPBOX_OPEN=127.0.0.1:20022")
    name = start(*user, low_ports, *named)
    options = ("--rm", "-i", f"--network=container:{name}", f"--volume={keys}:/keys:ro", "--entrypoint=sh")
    said = docker("run", *options, image("local"), input=FORWARDS).splitlines()
    refused = "mux_client_forward: forwarding request failed: remote port forwarding failed for listen port"
    assert [line for line in said if not line.startswith("muxclient:")] == [
        "forwarded *:80",
        "forwarded 127.0.0.1:9000",
        f"{refused} 81",
        f"{refused} 9000",
        f"{refused} 9000",
        f"{refused} 0",
        "00000000:0050 0100007F:2328 ",
        "",
        "SSH-2.0",
        "administratively prohibited",
    ]


def test_it_is_ready_while_its_client_says_so(start: Callable[..., str]) -> None:
    name = start(*RESTRICTED)

    def ready() -> bool:
        probe = ("docker", "exec", name, "/usr/bin/test", "-e", "/.tpbox/ready")
        return subprocess.run(probe, check=False, timeout=60).returncode == 0

    def say(**beat: object) -> None:
        docker("exec", "-i", name, "/usr/bin/python3", "-I", "/opt/tpbox", "attach", input=json.dumps(beat) + "\n")

    assert not ready()
    say(beat=1, ready=True)
    assert ready()
    say(beat=2, ready=False)
    assert not ready()
    say(beat=3, ready=True)
    deadline = time.monotonic() + 12
    while ready():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_it_ends_at_once_on_sigterm_and_not_as_if_its_work_were_done(start: Callable[..., str]) -> None:
    name = start(*RESTRICTED)
    began = time.monotonic()
    docker("kill", "--signal=TERM", name)
    assert docker("wait", name).strip() == "143"
    assert time.monotonic() - began < 1
