"""Ports of the pod that lead into the namespace and back: ssh forwards that come and go on one connection.

    async with forwards.master() as master:
        await master.change({Forward("-R", "*", 80, "127.0.0.1", 8080)})
        master.there, master.refused
        raise LinkError(await master.ended())

The connection is a master (ssh_config(5), ControlMaster) of its own; `ssh -O` adds forwards and takes them away within
some 10 ms. Tried with OpenSSH 10.0: a refused forward leaves the others of its call in place; the call ends with 255
and says no more than the port. To ask again for one that is there is granted. A cancel needs the same target; what is
not there is said on stderr, and the call ends with 0 all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from supervisor import children, link
from supervisor.children import Child, CommandError
from supervisor.link import LinkError

SOCKET = "forwards.sock"
START_TIMEOUT = 10.0  # seconds
POLL = 0.02  # seconds
RETRY = 1.0  # seconds, and a quarter of the time for which it has been refused
NOTES = ("mux_", "channel_")
REFUSED = "forwarding request failed: "  # what ssh says when the master lives and the forward is refused


@dataclass(frozen=True, order=True)
class Forward:
    """`-R`: `bind`:`port` in the pod leads to `target`:`target_port` here; `-L` the other way round."""

    option: Literal["-L", "-R"]
    bind: str
    port: int
    target: str
    target_port: int

    def words(self) -> list[str]:
        return [self.option, f"{self.bind}:{self.port}:{self.target}:{self.target_port}"]


@dataclass
class Refusal:
    """A forward that could not be had: ssh's words, since when, and when it is asked for again (the loop's seconds)."""

    words: str
    since: float
    again: float


class Master:
    """`there` are the forwards that stand, `refused` those that were asked for as well."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self.there: set[Forward] = set()
        self.refused: dict[Forward, Refusal] = {}

    async def ended(self) -> str:
        """Waits for the end of the connection; returns ssh's last words."""
        last = (await self._child.ended()).splitlines()[-1]
        # It also says each refusal, which is not what ended it.
        return "the ssh connection for exposed ports has ended" if last.startswith(NOTES) else last

    async def change(self, asked: Collection[Forward]) -> None:
        """Makes the forwards those that are asked for; a refused one is asked for again and again.

        Raises LinkError when the connection is lost.
        """
        now = asyncio.get_running_loop().time()
        self.refused = {forward: refusal for forward, refusal in self.refused.items() if forward in asked}
        if gone := self.there.difference(asked):
            await _ask("cancel", gone)
            self.there -= gone
        due = {f for f in asked if f not in self.there and (f not in self.refused or self.refused[f].again <= now)}
        if due:
            failed = await _refused_of(due)
            for forward, words in failed.items():
                since = self.refused[forward].since if forward in self.refused else now
                self.refused[forward] = Refusal(words, since, now + RETRY + (now - since) / 4)
            for forward in due - failed.keys():
                self.refused.pop(forward, None)
                self.there.add(forward)


@asynccontextmanager
async def master() -> AsyncIterator[Master]:
    """A connection without forwards; it ends, and they with it, when the block is left. Raises LinkError."""
    path = _socket()
    path.unlink(missing_ok=True)  # ssh would go on without a socket, were there an old one
    async with children.running("ssh", master_argv(), link.environment()) as child:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                failed = await children.first_of(_appeared(path), child.ended())
        except TimeoutError:
            failed = child.words() or f"ssh for forwards was not ready after {START_TIMEOUT:.0f} s"
        if failed:
            raise LinkError(failed)
        yield Master(child)


def master_argv() -> list[str]:
    return [*link.ssh_argv(), "-N", "-o", "ControlMaster=yes", "-o", f"ControlPath={_socket()}", link.HOST]


def ask_argv(command: str, forwards: Collection[Forward]) -> list[str]:
    """Asks the master for `command`, forward or cancel."""
    words = [word for forward in sorted(forwards) for word in forward.words()]
    return [*link.ssh_argv(), "-o", f"ControlPath={_socket()}", "-O", command, *words, link.HOST]


def _socket() -> Path:
    return link.RUN / SOCKET


async def _appeared(path: Path) -> str:
    while not path.exists():
        await asyncio.sleep(POLL)
    return ""


async def _refused_of(asked: set[Forward]) -> dict[Forward, str]:
    """Asks for forwards; returns those that were refused, with ssh's words for each. Raises LinkError."""
    words = await _ask("forward", asked)
    if not words:
        return {}
    if len(asked) == 1:
        return dict.fromkeys(asked, words)
    # Which of them were refused is told by asking for each alone.
    alone = {forward: await _ask("forward", {forward}) for forward in sorted(asked)}
    return {forward: said for forward, said in alone.items() if said}


async def _ask(command: str, forwards: Collection[Forward]) -> str:
    """Empty when all is granted, else ssh's words for the first that is not.

    Raises LinkError when the master is gone.
    """
    try:
        await children.run(ask_argv(command, forwards), env=link.environment())
    except CommandError as error:
        _, refused, words = error.stderr.partition(REFUSED)
        if not refused:
            raise LinkError(str(error)) from error
        return words.splitlines()[0]  # ssh ends its lines with \r\n
    return ""
