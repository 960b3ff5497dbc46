"""What the agent is told besides that we live, over whichever link there is: readiness, and the guard.

    standing = Standing(emit)
    standing.exposed([80], ready=True)       # inbound: the launcher hears of each change
    standing.withdraw()                      # from now on not ready
    standing.guard = {"token": "…", …}       # handed over at once, and anew on each link

link says it, and reports back with `told` and `guarded`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from supervisor.protocol import Emit


class Standing:
    """`changed` is set when something is to be said that must not wait for the next beat."""

    def __init__(self, emit: Emit) -> None:
        self.changed = asyncio.Event()
        self._emit = emit
        self._guard: Mapping[str, Any] | None = None
        self._process_ready = False
        self._withdrawn = False
        self._to_confirm = False
        self._announced: tuple[list[int], bool] | None = None

    @property
    def ready(self) -> bool:
        return self._process_ready and not self._withdrawn

    @property
    def guard(self) -> Mapping[str, Any] | None:
        return self._guard

    @guard.setter
    def guard(self, payload: Mapping[str, Any]) -> None:
        self._guard = payload
        self.changed.set()

    def exposed(self, listening: Iterable[int], ready: bool) -> None:
        """`listening` are the ports of the pod that lead to the process now."""
        self._process_ready = ready
        self._announce(list(listening))

    def withdraw(self) -> None:
        self._withdrawn = self._to_confirm = True
        self.changed.set()  # also when it was not ready before: the answer to a beat confirms it
        if self._announced:
            self._announce(self._announced[0])

    def told(self, ready: bool) -> None:
        """The agent has answered a beat that said `ready`."""
        if self._to_confirm and not ready:
            self._to_confirm = False
            self._emit("withdrawn")

    def guarded(self, answer: Mapping[str, Any]) -> None:
        """The agent's answer to a guard."""
        if answer.get("guard") == "up":
            self._emit("guard", state="up")
        else:
            self._emit("guard", state="failed", reason=str(answer.get("reason") or "the agent does not say why"))

    def _announce(self, listening: list[int]) -> None:
        found = (listening, self.ready)
        if found == self._announced:
            return
        if self._announced is None or self._announced[1] != self.ready:
            self.changed.set()
        self._announced = found
        self._emit("expose", state="changed", listening=listening, ready=self.ready)
