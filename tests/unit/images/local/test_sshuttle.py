from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from supervisor import sshuttle
from supervisor.children import EngineError
from supervisor.protocol import endpoint

SetProgram = Callable[[str, str], Path]


def test_the_command_line() -> None:
    bypass = [endpoint("172.30.0.2:6443"), endpoint("[fd00::2]:6443")]
    local = ["127.0.0.1", "10.244.0.7", "172.17.0.5"]
    assert sshuttle.argv(bypass, "172.17.0.1", ["10.96.0.10", "10.96.0.11"], local) == [
        "sshuttle",
        "--method=nat",
        "--disable-ipv6",
        "--ns-hosts=10.96.0.10,10.96.0.11",
        "--python=/usr/bin/python3",
        "--ssh-cmd=ssh -F /run/tpbox/ssh_config",
        "--remote=pod",
        "--exclude=127.0.0.0/8",
        "--exclude=10.244.0.7",
        "--exclude=172.17.0.5",
        "--exclude=172.17.0.1",
        "--exclude=172.30.0.2:6443",
        "0.0.0.0/0",
    ]


def test_no_name_server_and_no_gateway_leave_their_options_out() -> None:
    assert sshuttle.argv([], "", [], ["127.0.0.1"])[3:] == [
        "--python=/usr/bin/python3",
        "--ssh-cmd=ssh -F /run/tpbox/ssh_config",
        "--remote=pod",
        "--exclude=127.0.0.0/8",
        "0.0.0.0/0",
    ]


async def start(path: Path, timeout: float) -> str:
    async with sshuttle.running([str(path)], timeout) as engine:
        return engine.name


def test_it_is_up_when_it_says_that_its_rules_are_set(program: SetProgram, tmp_path: Path) -> None:
    assert asyncio.run(start(tmp_path / "fake-sshuttle", 10)) == "sshuttle"


def test_words_alone_are_not_enough(program: SetProgram) -> None:
    path = program("sshuttle", "echo 'c : Connected to server.' >&2; exec sleep 60")
    with pytest.raises(EngineError, match="Connected to server"):
        asyncio.run(start(path, 0.3))


def test_an_early_end_is_told_in_its_own_words(program: SetProgram) -> None:
    path = program("sshuttle", "echo 'c : fatal: no iptables' >&2; exit 99")
    with pytest.raises(EngineError, match="fatal: no iptables"):
        asyncio.run(start(path, 10))
