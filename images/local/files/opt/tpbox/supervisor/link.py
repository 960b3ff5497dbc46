"""The link: one port-forward to the Pod, ssh through it, and the agent's answers to a heartbeat and to the guard.

    async with link.connect(configure, timeout=20) as connected:
        connected.info                       # what the Pod is
        raise LinkError(await connected.lost(standing))

Private files are written anew for each link: the configuration may have changed.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from supervisor import children
from supervisor.children import Child
from supervisor.protocol import Configure, Ssh
from supervisor.standing import Standing

RUN = Path("/run/tpbox")  # a tmpfs, 0700
HOST = "pod"  # the only Host of ssh_config
# Before a program that carries files: requests come first when there is too little processor for both.
BEHIND = ("nice", "-n", "10")
BEAT_INTERVAL = 2.0  # seconds
BEAT_TIMEOUT = 6.0  # seconds
# The agent speaks to the API server before it answers a guard, for 10 s at most; meanwhile no beat is owed.
GUARD_TIMEOUT = 12.0  # seconds

FORWARDING = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ->")
# What no second attempt mends: the API server's own refusals, and keys that do not match.
FINAL = re.compile(
    r"Error from server \((Forbidden|NotFound|BadRequest)\)|Unauthorized|You must be logged in"
    r"|x509:|Permission denied|Host key verification failed|HOST IDENTIFICATION HAS CHANGED"
)


class LinkError(Exception):
    """The link could not be made, or is lost; the text is the tool's own last words."""

    @property
    def final(self) -> bool:
        """Whether another attempt with the same configuration would fail the same way."""
        return FINAL.search(str(self)) is not None


@dataclass(frozen=True)
class Link:
    """A link that is up. `info` is what the agent says the Pod is (docs/architecture.md)."""

    info: dict[str, Any]
    forward: Child
    attached: Child

    async def lost(self, standing: Standing) -> str:
        """Tells the agent that we live, and what `standing` has for it; returns why once the link is lost."""
        try:
            return await children.first_of(self.forward.ended(), self.attached.ended(), self._converse(standing))
        except LinkError as error:
            return str(error)

    async def _converse(self, standing: Standing) -> NoReturn:
        handed_over, number = None, 0
        while True:
            number += 1
            standing.changed.clear()
            ready = standing.ready
            await self._ask({"beat": number, "ready": ready}, BEAT_TIMEOUT)
            standing.told(ready)
            if standing.guard is not handed_over:
                handed_over = standing.guard
                standing.guarded(await self._ask({"guard": handed_over}, GUARD_TIMEOUT))
                continue  # a beat may be overdue
            with suppress(TimeoutError):
                await asyncio.wait_for(standing.changed.wait(), BEAT_INTERVAL)

    async def _ask(self, question: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """The agent's answer. One question at a time: each is a line, and so is its answer. Raises LinkError."""
        self.attached.stdin.write(json.dumps(question).encode() + b"\n")
        try:
            async with asyncio.timeout(timeout):
                answer = await self.attached.stdout.readline()
        except TimeoutError:
            raise LinkError(f"the agent has not answered for {timeout:.0f} s") from None
        if not answer:
            raise LinkError(await self.attached.ended())
        try:
            return dict(json.loads(answer))
        except (ValueError, TypeError) as error:
            raise LinkError(f"the agent's answer means nothing: {answer[:80]!r}") from error


@asynccontextmanager
async def connect(configure: Configure, timeout: float) -> AsyncIterator[Link]:
    """A link that is up, within `timeout` seconds; its programs are stopped when the block is left.

    Raises LinkError.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    write_secrets(configure)
    async with children.running("kubectl", kubectl_argv(configure), environment()) as forward:
        port = await _before(deadline, _forwarded_port(forward), forward)
        write_private("ssh_config", ssh_config(port, configure.ssh.user))
        async with children.running("ssh", attach_argv(), environment()) as attached:
            info = await _before(deadline, _info(attached, forward), attached, forward)
            yield Link(info, forward, attached)


def kubectl_argv(configure: Configure) -> list[str]:
    """The port-forward; kubectl chooses the local port and says which. Beside netstack it carries little but files."""
    return [
        *(BEHIND if configure.engine.name == "netstack" else ()),
        "kubectl",
        f"--kubeconfig={RUN}/kubeconfig",
        f"--namespace={configure.namespace}",
        "port-forward",
        "--address=127.0.0.1",
        f"pod/{configure.pod}",
        f":{configure.ssh.port}",
    ]


def ssh_argv() -> list[str]:
    """ssh as far as the host, for whoever opens a connection of its own."""
    return ["ssh", "-F", f"{RUN}/ssh_config"]


def attach_argv() -> list[str]:
    """The session that holds the link and carries the heartbeat."""
    return [*ssh_argv(), HOST, "/usr/bin/python3", "-I", "/opt/tpbox", "attach"]


def ssh_config(port: int, user: str) -> str:
    """The client's whole configuration, for the Pod behind the local `port`."""
    options = {
        "HostName": "127.0.0.1",
        "Port": port,
        "User": user,
        # The port differs each time, the Pod does not: its key is pinned under one name.
        "HostKeyAlias": HOST,
        "UserKnownHostsFile": f"{RUN}/known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlgorithms": "ssh-ed25519",
        "IdentityFile": f"{RUN}/id_ed25519",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "BatchMode": "yes",
        # The fastest where the processor has AES instructions (shared/facts: ssh -L over port-forward).
        "Ciphers": "aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
        "Compression": "no",
        "ConnectTimeout": 5,
        "LogLevel": "ERROR",
    }
    return f"Host {HOST}\n" + "".join(f"  {name} {value}\n" for name, value in options.items())


def known_hosts(ssh: Ssh) -> str:
    return f"{HOST} {ssh.host_key.strip()}\n"


def environment() -> dict[str, str]:
    """What every program gets: the words that are matched here are the English ones."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(RUN), "LC_ALL": "C"}


def write_secrets(configure: Configure) -> None:
    write_private("id_ed25519", configure.ssh.private_key.strip() + "\n")
    write_private("known_hosts", known_hosts(configure.ssh))
    write_private("kubeconfig", json.dumps(configure.kubeconfig))


def write_private(name: str, text: str) -> None:
    path = RUN / name
    path.touch(mode=0o600)
    path.write_text(text)


async def _before(deadline: float, answer: Awaitable[Any], *tools: Child) -> Any:
    try:
        async with asyncio.timeout_at(deadline):
            return await answer
    except TimeoutError:
        words = next((tool.words() for tool in tools if tool.words()), f"{tools[0].name} said nothing in time")
        raise LinkError(words) from None


async def _forwarded_port(forward: Child) -> int:
    # Later lines, one for each connection, are few and short: nobody needs to read them.
    line = await forward.stdout.readline()
    if found := FORWARDING.match(line):
        return int(found[1])
    raise LinkError(await forward.ended())


async def _info(attached: Child, forward: Child) -> dict[str, Any]:
    line = await attached.stdout.readline()
    if not line:
        words = await attached.ended()
        # When the forward broke, ssh only saw its connection closed.
        raise LinkError(forward.words() or words)
    try:
        info = json.loads(line)["info"]
    except (ValueError, KeyError, TypeError) as error:
        raise LinkError(f"the agent's first line is not its info: {line[:80]!r}") from error
    assert isinstance(info, dict)
    return info
