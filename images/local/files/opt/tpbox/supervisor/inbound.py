"""Inbound connections: which forwards there should be, which there are, and whether the process is ready.

    inbound = Inbound(emit, standing)
    await inbound.keep(configure.inbound)        # for as long as the link is up

A port of the pod is listened on only while the process listens on the one behind it: else clients are refused, as in a
pod. Where nothing is asked for there is neither a connection nor a look at the sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import NoReturn

from supervisor import children, forwards, listeners
from supervisor.forwards import Forward, Master
from supervisor.link import LinkError
from supervisor.listeners import Address
from supervisor.protocol import Emit, Expose
from supervisor.protocol import Inbound as Wanted
from supervisor.standing import Standing

POLL = 0.2  # seconds
# Not "*": sshd grants that also where it got IPv6 alone, beside a sidecar that has the port of IPv4, and clients would
# be that one's. IPv6 is what the engine does not carry either.
ANYWHERE = "0.0.0.0"
# The pod's sshd lets go of the ports of a link that vanished after 8 s: its ClientAliveInterval and CountMax.
STALE = 12.0  # seconds


def ready(expose: Iterable[Expose], there: Collection[int]) -> bool:
    """Whether the process is ready: `there` are the pod's ports that lead to it.

    All that the user has named must be there; of the container's own one must; where none is exposed it always is.
    """
    ports = list(expose)
    required = [port.remote for port in ports if port.required]
    if required:
        return all(remote in there for remote in required)
    return not ports or any(port.remote in there for port in ports)


def asked(wanted: Wanted, listening: Mapping[int, Iterable[Address]]) -> set[Forward]:
    """The forwards that there should be while the namespace's ports are `listening`."""
    pairs = [(ANYWHERE, port.remote, port.local) for port in wanted.expose]
    pairs += [("127.0.0.1", port, port) for port in wanted.from_pod]
    back = {
        Forward("-R", bind, remote, listeners.target(listening[local]), local)
        for bind, remote, local in pairs
        if local in listening
    }
    return back | {Forward("-L", "127.0.0.1", port, "127.0.0.1", port) for port in wanted.to_pod}


def reason(forward: Forward, words: str) -> str:
    """Why a forward cannot be had: ssh itself does not say."""
    if forward.option == "-L":
        return f"127.0.0.1:{forward.port} is taken in the helper's network namespace ({words})"
    low = ", or not allowed below 1024" if forward.port < 1024 else ""
    return f"the pod refused to listen on port {forward.port}: probably taken there{low} ({words})"


class Inbound:
    def __init__(self, emit: Emit, standing: Standing) -> None:
        self._emit = emit
        self._standing = standing
        self._patience = 0.0  # seconds before a refusal is told
        self._told: set[tuple[str, int]] = set()

    async def keep(self, wanted: Wanted) -> NoReturn:
        """Keeps what is wanted on the link that is up. Raises LinkError when its own connection is lost."""
        try:
            self._standing.exposed([], ready(wanted.expose, []))
            if wanted.expose or wanted.to_pod or wanted.from_pod:
                async with forwards.master() as master:
                    raise LinkError(await children.first_of(master.ended(), self._follow(wanted, master)))
            while True:
                await asyncio.Event().wait()
        finally:
            self._standing.exposed([], False)
            self._patience = STALE

    async def _follow(self, wanted: Wanted, master: Master) -> NoReturn:
        watched = {port.local for port in wanted.expose} | set(wanted.from_pod)
        while True:
            await master.change(asked(wanted, listeners.read(watched) if watched else {}))
            self._tell_refused(master)
            there = sorted(forward.port for forward in master.there if forward.bind == ANYWHERE)
            self._standing.exposed(there, ready(wanted.expose, there))
            await asyncio.sleep(POLL if watched else forwards.RETRY)

    def _tell_refused(self, master: Master) -> None:
        """Each refusal once, until the forward has been there."""
        now = asyncio.get_running_loop().time()
        self._told -= {(forward.option, forward.port) for forward in master.there}
        for forward, refusal in sorted(master.refused.items(), key=lambda item: item[0]):
            key = (forward.option, forward.port)
            if key not in self._told and now - refusal.since >= self._patience:
                self._told.add(key)
                self._emit("expose", state="failed", port=forward.port, reason=reason(forward, refusal.words))
