"""Unit tests touch neither Docker nor a cluster nor the network: this guard fails those that try."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

_connect = socket.socket.connect
_popen = subprocess.Popen.__init__

FORBIDDEN = {"docker", "kubectl", "ssh", "sshuttle"}


@pytest.fixture(autouse=True)
def _nothing_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def connect(self: socket.socket, address: Any) -> None:
        path = str(Path(address).absolute()) if isinstance(address, str) else ""
        local = str(tmp_path) in path or path.startswith("/tmp/")
        if self.family != socket.AF_UNIX or not local:
            pytest.fail(f"a unit test connects to {address!r}")
        _connect(self, address)

    def popen(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        program = Path(args[0] if isinstance(args, list | tuple) else str(args).split()[0]).name
        if program in FORBIDDEN:
            pytest.fail(f"a unit test starts {program}")
        _popen(self, args, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(subprocess.Popen, "__init__", popen)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
