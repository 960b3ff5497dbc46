from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from agent import sshd
from agent.sshd import Forwarding, Sshd

NOTHING = Forwarding()


def test_any_uid_has_a_name() -> None:
    assert sshd.passwd(1000650000, 0, Path("/.tpbox")).splitlines() == [
        "tpbox:x:1000650000:0:tpbox:/.tpbox:/bin/sh",
        "sshd:x:65533:65533:sshd:/run/sshd:/usr/sbin/nologin",
    ]
    assert sshd.group(0) == "tpbox:x:0:\nsshd:x:65533:\n"


def test_the_whole_configuration() -> None:
    assert sshd.sshd_config(Path("/.tpbox"), 20022, NOTHING).splitlines() == [
        "ListenAddress 127.0.0.1:20022",
        "HostKey /.tpbox/host_key",
        "PidFile none",
        "LogLevel ERROR",
        "AuthorizedKeysFile /.tpbox/authorized_keys",
        "AuthenticationMethods publickey",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "AllowUsers tpbox",
        "UsePAM no",
        "StrictModes no",
        "AllowTcpForwarding no",
        "PermitListen none",
        "PermitOpen none",
        "GatewayPorts clientspecified",
        "AllowAgentForwarding no",
        "AllowStreamLocalForwarding no",
        "X11Forwarding no",
        "PermitTunnel no",
        "PermitTTY no",
        "PermitUserRC no",
        "PrintMotd no",
        "PrintLastLog no",
        "Subsystem sftp /usr/bin/nice -n 10 /usr/lib/openssh/sftp-server",
        "SetEnv LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=/.tpbox/passwd NSS_WRAPPER_GROUP=/.tpbox/group",
        "ClientAliveInterval 2",
        "ClientAliveCountMax 3",
        "LoginGraceTime 10",
        "PerSourcePenalties no",
    ]


@pytest.mark.parametrize(
    ("forwarding", "lines"),
    [
        (Forwarding(listen=("*:80", "127.0.0.1:9000")), ["remote", "*:80 127.0.0.1:9000", "none"]),
        (Forwarding(open=("127.0.0.1:5432",)), ["local", "none", "127.0.0.1:5432"]),
        (Forwarding(("*:80",), ("127.0.0.1:5432",)), ["yes", "*:80", "127.0.0.1:5432"]),
    ],
)
def test_it_forwards_what_is_named_and_nothing_else(forwarding: Forwarding, lines: list[str]) -> None:
    configuration = sshd.sshd_config(Path("/.tpbox"), 20022, forwarding).splitlines()
    for name, value in zip(("AllowTcpForwarding", "PermitListen", "PermitOpen"), lines, strict=True):
        assert f"{name} {value}" in configuration


@pytest.fixture
def made_keys(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The host keys that were made, in place of making them."""
    made: list[Path] = []

    def keygen(self: Sshd, key: Path) -> None:
        made.append(key)
        key.write_text("PRIVATE")
        key.with_suffix(".pub").write_text(f"ssh-ed25519 AAAA{len(made)} a comment\n")

    monkeypatch.setattr(Sshd, "_keygen", keygen)
    return made


def test_a_host_key_is_made_once(made_keys: list[Path], tmp_path: Path) -> None:
    for _ in range(2):
        Sshd(tmp_path, 20022, NOTHING).prepare("ssh-ed25519 KEY")
    assert made_keys == [tmp_path / "host_key"]
    assert Sshd(tmp_path, 20022, NOTHING).host_key() == "ssh-ed25519 AAAA1"
    assert (tmp_path / "authorized_keys").read_text() == "ssh-ed25519 KEY\n"
    assert f"tpbox:x:{os.getuid()}:" in (tmp_path / "passwd").read_text()


def test_half_a_host_key_is_made_anew(made_keys: list[Path], tmp_path: Path) -> None:
    (tmp_path / "host_key").write_text("half")
    Sshd(tmp_path, 20022, NOTHING).prepare("ssh-ed25519 KEY")
    assert (tmp_path / "host_key").read_text() == "PRIVATE"


def test_sshd_that_dies_is_started_again_with_a_clean_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "sshd"
    program.write_text(f'#!/bin/sh\nenv >> {tmp_path}/starts; echo "args $*" >> {tmp_path}/starts\n')
    program.chmod(0o755)
    monkeypatch.setattr(sshd, "SSHD", str(program))
    monkeypatch.setenv("PYTHONPATH", "/from/the/workload")

    async def use() -> None:
        running = asyncio.create_task(Sshd(tmp_path, 20022, NOTHING).run())
        async with asyncio.timeout(5):
            while not (tmp_path / "starts").exists() or (tmp_path / "starts").read_text().count("args") < 2:
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(use())
    starts = (tmp_path / "starts").read_text()
    assert f"args -D -e -f {tmp_path}/sshd_config" in starts
    assert f"NSS_WRAPPER_PASSWD={tmp_path}/passwd" in starts
    assert "PYTHONPATH" not in starts
