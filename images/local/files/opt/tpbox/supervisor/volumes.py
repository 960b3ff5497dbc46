"""The pod's volumes on this side: sshfs for the live ones, `copier` for copies.

    volumes = Volumes(emit)
    volumes.linked(configure, info)          # at each link; the first one starts the work
    await volumes.work()                     # for ever

Both open ssh connections of their own and outlive a link: ssh_config always has the port-forward's present port. While
the link is down a file call fails with EIO, and so does a file that was open before; sshfs dials again at the next
call. So a mount that was handed to the user's container works again by itself.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

from supervisor import children, link, readahead
from supervisor.children import Child
from supervisor.protocol import Configure, Emit
from supervisor.protocol import Volumes as Wanted

MOUNTINFO = Path("/proc/self/mountinfo")
SSHFS = f" - {readahead.TYPE} "
START_TIMEOUT = 60.0  # seconds, a first copy included
POLL = 0.02  # seconds


class VolumesError(Exception):
    """They cannot be had, or are lost; the text is the program's own last words."""


class Volumes:
    """Told by events: `up` when all that was asked for is there, `failed` or `down` when it is not."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._first: asyncio.Future[tuple[Wanted, list[dict[str, Any]]]] = asyncio.get_running_loop().create_future()

    def linked(self, configure: Configure, info: dict[str, Any]) -> None:
        """A link is up, to a pod that is `info`."""
        if not self._first.done():
            self._first.set_result((configure.volumes, info["mounts"]))

    async def work(self) -> NoReturn:
        """Serves the volumes from the first link on."""
        wanted, mounts = await self._first
        state = "failed"
        try:
            async with AsyncExitStack() as stack:
                sshfs = copier = None
                if wanted.live and any(mount["path"] not in wanted.copies for mount in mounts):
                    sshfs = await stack.enter_async_context(_sshfs())
                if copies := copied(wanted, mounts):
                    running = children.running("copier", copier_argv(copies), link.environment())
                    copier = await stack.enter_async_context(running)
                    await _within(self._notes(copier, until="up"), copier)
                self._emit("volumes", state="up")
                state = "down"
                lost = [*([_lost(sshfs)] if sshfs else []), *([self._notes(copier)] if copier else [])]
                await children.first_of(*(lost or [asyncio.Event().wait()]))
        except VolumesError as error:
            self._emit("volumes", state=state, reason=str(error))
        while True:
            await asyncio.Event().wait()

    async def _notes(self, copier: Child, until: str = "") -> bool:
        async for line in copier.stdout:
            said = json.loads(line)
            if said["state"] == until:
                return True
            self._emit("volumes", **said)
        return await _lost(copier)


def copied(wanted: Wanted, mounts: list[dict[str, Any]]) -> dict[str, str]:
    """Where in the pod each copy comes from, and where it goes here; in the order in which they were wanted."""
    there = {mount["path"]: mount["realPath"] for mount in mounts}
    return {there[path]: directory for path, directory in wanted.copies.items() if path in there}


def sshfs_argv() -> list[str]:
    """The pod's root, mounted where the mover takes single volumes from."""
    options = [
        f"ssh_command={shlex.join([sys.executable, '-I', '/opt/tpbox', 'sftp', *link.ssh_argv()])}",
        "reconnect",  # dials again after a loss; what was open before fails with EIO
        "ServerAliveInterval=5",
        "ServerAliveCountMax=2",  # no call waits longer than 15 s for a peer that is silent
        "allow_other",  # the user's process may have any uid: what the pod may read, it may
        # A ConfigMap's `..data` that is remembered leads to a directory that is gone; in a pod it changes at once.
        "dir_cache=no",
    ]
    words = [word for option in options for word in ("-o", option)]
    return [*link.BEHIND, "sshfs", "-f", *words, f"{link.HOST}:/", str(root())]


def root() -> Path:
    return link.RUN / "root"


@asynccontextmanager
async def _sshfs() -> AsyncIterator[Child]:
    """sshfs with its mount in place. Raises VolumesError."""
    root().mkdir(exist_ok=True)
    async with children.running("sshfs", sshfs_argv(), link.environment()) as child:
        await _within(_mounted(), child)
        await readahead.widen(MOUNTINFO.read_text())
        yield child


def copier_argv(copies: dict[str, str]) -> list[str]:
    return [sys.executable, "-I", "/opt/tpbox", "copy", json.dumps(copies)]


async def _mounted() -> bool:
    while SSHFS not in MOUNTINFO.read_text():
        await asyncio.sleep(POLL)
    return True


async def _within(ready: Awaitable[bool], child: Child) -> None:
    try:
        async with asyncio.timeout(START_TIMEOUT):
            await children.first_of(ready, _lost(child))
    except TimeoutError:
        raise VolumesError(child.words() or f"{child.name} was not ready after {START_TIMEOUT:.0f} s") from None


async def _lost(child: Child) -> bool:
    raise VolumesError(await child.ended())
