"""A supervisor among stand-ins: shell scripts in the place of every program that it runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from supervisor import link, netns, netstack, routing, sshuttle

INFO = {
    "environment": {"GREETING": "hi"},
    "hostname": "tpbox-abcdefgh",
    "podIP": "10.244.0.7",
    "podIPs": ["10.244.0.7"],
    "resolvConf": "search shop.svc.cluster.local\nnameserver 10.96.0.10\n",
    "hosts": "10.244.0.7 tpbox-abcdefgh\n",
    "mounts": [],
}

KUBECTL = "echo 'Forwarding from 127.0.0.1:41234 -> 20022'; exec sleep 60"
# Answers each beat with itself, as the agent does.
SSH = f"""printf '%s\\n' '{json.dumps({"info": INFO})}'; exec cat"""
SSHUTTLE = f"""exec {sys.executable} -c '
import os, socket, time
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(60)'"""
NETSTACK = "echo up; exec sleep 60"
IP = """case "$*" in
  *batch*) cat >> "$0.log" ;;
  *rule*) echo '[{"priority": 0, "table": "local"}, {"priority": 100}, {"priority": 32766, "table": "main"}]' ;;
  *route*) echo '[{"dst": "default", "gateway": "172.17.0.1", "dev": "eth0"}]' ;;
  "-json -4 address"*)
    echo '[{"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}]},'
    echo '{"ifname": "eth0", "addr_info": [{"local": "172.17.0.5"}]}]' ;;
  *) echo "ip $*" >> "$0.log" ;;
esac"""
RESTORE = 'cat >> "$0.log"'
# A master connection, and the calls that ask it: what each asks for is in the log; a port that stands in the file
# `refused` is refused, in ssh's words, and the others of the call are not.
FORWARDER = """WORDS="mux_client_forward: forwarding request failed: remote port forwarding failed for listen port"
case "$*" in
  *ControlMaster*) for word; do path=${word#ControlPath=}; [ "$path" != "$word" ] && : > "$path"; done; exec sleep 60 ;;
esac
echo "$@" | sed 's/.*-O //; s/ pod$//' >> "$0.log"
for port in $(cat "$(dirname "$0")/refused" 2>/dev/null); do
  case "$*" in *"-O forward"*":$port:"*)
    printf '%s\\r\\n' "$WORDS $port" >&2
    failed=255 ;;
  esac
done
[ -z "$failed" ] || echo "muxclient: master forward request failed" >&2
exit ${failed:-0}"""

SetProgram = Callable[[str, str], Path]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetProgram:
    """Sets what `kubectl`, `ssh`, `sshuttle`, `netstack`, `ip` or `iptables-restore` does, a shell script each.

    `ssh` is the session that holds the link, `forwarder` ssh for anything else.
    """
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(link, "RUN", tmp_path)
    monkeypatch.setattr(netns, "RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(netns, "HOSTS", tmp_path / "hosts")
    monkeypatch.setattr(netns, "IF_INET6", tmp_path / "if_inet6")
    monkeypatch.setattr(link, "kubectl_argv", lambda configure: [str(tmp_path / "fake-kubectl")])
    monkeypatch.setattr(link, "attach_argv", lambda: [str(tmp_path / "fake-ssh")])
    monkeypatch.setattr(link, "ssh_argv", lambda: [str(tmp_path / "fake-forwarder")])
    monkeypatch.setattr(routing, "DEVICES", tmp_path)
    monkeypatch.setattr(netstack, "argv", lambda configure: [str(tmp_path / "fake-netstack")])
    monkeypatch.setattr(sshuttle, "argv", lambda *facts: [str(tmp_path / "fake-sshuttle")])

    def write(name: str, script: str) -> Path:
        path = tmp_path / (name if name in ("ip", "iptables-restore", "mount", "umount") else f"fake-{name}")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    for name, script in (
        ("kubectl", KUBECTL),
        ("ssh", SSH),
        ("sshuttle", SSHUTTLE),
        ("netstack", NETSTACK),
        ("ip", IP),
        ("forwarder", FORWARDER),
    ):
        write(name, script)
    write("iptables-restore", RESTORE)
    return write


@pytest.fixture
def configure() -> dict[str, Any]:
    """A whole `configure` command, as the launcher sends it."""
    return {
        "command": "configure",
        "session": "abcdefgh",
        "namespace": "shop",
        "pod": "tpbox-abcdefgh-x2x4z",
        "ssh": {"port": 20022, "user": "tpbox", "privateKey": "PRIVATE", "hostKey": "ssh-ed25519 AAAA"},
        "kubeconfig": {"kind": "Config"},
        "engine": {
            "name": "sshuttle", "port": 20023, "bypass": ["172.30.0.2:6443"],
            "only": [], "also": [], "never": [], "hosts": {}, "splitNames": False, "localNames": [],
        },
        "volumes": {"live": False, "copies": {}},
        "inbound": {"expose": [], "toPod": [], "fromPod": [], "host": []},
    }  # fmt: skip
