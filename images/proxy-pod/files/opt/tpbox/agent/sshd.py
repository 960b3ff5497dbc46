"""sshd under any uid: its files, its configuration, its running.

    server = Sshd(directory, port=20022, forwarding=Forwarding(listen=("*:80",)))
    server.prepare(authorized_key)              # host key, passwd, sshd_config
    server.host_key()                           # "ssh-ed25519 AAAA…"
    await server.run()                          # for ever; it is started again when it dies

It listens on the Pod's loopback only: port-forward reaches it there, and nobody else in the cluster.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from agent import again

USER = "tpbox"
SSHD = "/usr/sbin/sshd"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOST_KEY = "host_key"


@dataclass(frozen=True)
class Forwarding:
    """What sshd forwards for its client, each as ADDRESS:PORT, `*` for any address."""

    listen: tuple[str, ...] = ()
    open: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The value of AllowTcpForwarding; `remote` is to listen, `local` is to open."""
        return {(False, False): "no", (True, False): "remote", (False, True): "local", (True, True): "yes"}[
            bool(self.listen), bool(self.open)
        ]


def passwd(uid: int, gid: int, home: Path) -> str:
    """The passwd file: any uid gets a name; `sshd` is whom a root sshd's first stage runs as."""
    return f"{USER}:x:{uid}:{gid}:{USER}:{home}:/bin/sh\nsshd:x:65533:65533:sshd:/run/sshd:/usr/sbin/nologin\n"


def group(gid: int) -> str:
    return f"{USER}:x:{gid}:\nsshd:x:65533:\n"


def nss_environment(directory: Path) -> dict[str, str]:
    """Makes the C library read our passwd and group: the uid of a Pod has no entry in the image's."""
    return {
        "LD_PRELOAD": "libnss_wrapper.so",
        "NSS_WRAPPER_PASSWD": f"{directory}/passwd",
        "NSS_WRAPPER_GROUP": f"{directory}/group",
    }


def sshd_config(directory: Path, port: int, forwarding: Forwarding) -> str:
    """sshd's whole configuration."""
    options: dict[str, object] = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": directory / HOST_KEY,
        "PidFile": "none",
        "LogLevel": "ERROR",
        # Who may come in: the session's key, nobody else, no other way.
        "AuthorizedKeysFile": f"{directory}/authorized_keys",
        "AuthenticationMethods": "publickey",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",  # where the Pod runs as root, so does the session
        "AllowUsers": USER,
        "UsePAM": "no",  # needs root
        "StrictModes": "no",  # an emptyDir is writable by every uid of the container, and there is one
        # What they may do: run commands, and forward what the manifest names.
        "AllowTcpForwarding": forwarding.allowed,
        "PermitListen": " ".join(forwarding.listen) or "none",
        "PermitOpen": " ".join(forwarding.open) or "none",
        "GatewayPorts": "clientspecified",  # else `*:80` would listen on the loopback
        "AllowAgentForwarding": "no",
        "AllowStreamLocalForwarding": "no",
        "X11Forwarding": "no",
        "PermitTunnel": "no",
        "PermitTTY": "no",
        "PermitUserRC": "no",
        "PrintMotd": "no",
        "PrintLastLog": "no",
        "Subsystem": "sftp /usr/bin/nice -n 10 /usr/lib/openssh/sftp-server",  # files come behind requests
        "SetEnv": " ".join(f"{name}={value}" for name, value in nss_environment(directory).items()),
        # Sessions of a client that vanished end after 8 s, and free the ports that the next link asks for.
        "ClientAliveInterval": 2,
        "ClientAliveCountMax": 3,
        "LoginGraceTime": 10,
        # Every client has the address 127.0.0.1: broken connections must not bar the next one (OpenSSH 9.8).
        "PerSourcePenalties": "no",
    }
    return "".join(f"{name} {value}\n" for name, value in options.items())


class Sshd:
    """One sshd, with all its files in `directory`."""

    def __init__(self, directory: Path, port: int, forwarding: Forwarding) -> None:
        self._directory = directory
        self._port = port
        self._forwarding = forwarding

    def prepare(self, authorized_key: str) -> None:
        """Writes what sshd reads. A host key that is there already stays: clients have pinned it."""
        uid, gid = os.getuid(), os.getgid()
        self._write("passwd", passwd(uid, gid, self._directory))
        self._write("group", group(gid))
        self._write("authorized_keys", authorized_key + "\n")
        self._write("sshd_config", sshd_config(self._directory, self._port, self._forwarding))
        key = self._directory / HOST_KEY
        if not key.with_suffix(".pub").exists():
            key.unlink(missing_ok=True)
            self._keygen(key)

    def host_key(self) -> str:
        """The public half as `TYPE BASE64`, without a comment."""
        return " ".join((self._directory / HOST_KEY).with_suffix(".pub").read_text().split()[:2])

    async def run(self) -> NoReturn:
        """Runs sshd, and again when it dies; ends it when cancelled."""
        await again.for_ever(self._run_once)

    async def _run_once(self) -> None:
        process = await asyncio.create_subprocess_exec(
            # By its full path and with a clean environment: sshd insists on the one, and the workload's
            # variables (LD_PRELOAD, PYTHONPATH) would come along with the other.
            SSHD, "-D", "-e", "-f", str(self._directory / "sshd_config"),
            stdin=asyncio.subprocess.DEVNULL,
            env={"PATH": PATH, **nss_environment(self._directory)},
        )  # fmt: skip
        try:
            await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()

    async def listening(self) -> None:
        """Returns when sshd accepts connections."""
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.close()
                return
            await asyncio.sleep(0.02)

    def _write(self, name: str, text: str) -> None:
        (self._directory / name).write_text(text)

    def _keygen(self, key: Path) -> None:
        # ssh-keygen asks for the uid's name, as sshd does.
        subprocess.run(
            ["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)],
            env={"PATH": PATH, **nss_environment(self._directory)},
            stdin=subprocess.DEVNULL,
            check=True,
        )
