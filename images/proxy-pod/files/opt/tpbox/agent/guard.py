"""The dead man's switch: it keeps the session's Lease young while a client is there, and restores when it is gone.

    keeper = Keeper(session, environment)
    reason = await keeper.take(guard)         # "" when the API server has accepted the token
    keeper.beat()                             # a client was heard
    await keeper.run()                        # for ever: renews
    await keeper.restore()                    # the client is gone

The rights come from the launcher as a Guard, again whenever the token is new; without one nothing of this happens. The
token stays in memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, NoReturn

from agent import restore
from agent.kubernetes import MERGE_PATCH, Api, ApiError

RENEWAL = 10.0  # seconds; the Lease is dead when it is older than the grace time and as much again
RETRY = 2.0  # seconds, after a request that failed


@dataclass(frozen=True)
class Guard:
    """What the launcher hands over: a way to the API, and what there is to guard. `record` is "" without a swap."""

    token: str = field(repr=False)
    ca: str
    namespace: str
    lease: str
    record: str

    @classmethod
    def parse(cls, said: Mapping[str, Any]) -> Guard:
        """Raises KeyError or TypeError when `said` is none."""
        values = [said[each.name] for each in fields(cls)]
        if not all(isinstance(value, str) for value in values):
            raise TypeError("a guard consists of strings")
        return cls(*values)


class Keeper:
    """Holds the latest guard; one that was refused too, since the API server may be away."""

    def __init__(self, session: str, environment: Mapping[str, str]) -> None:
        self._session = session
        self._environment = environment
        self._held: tuple[Api, Guard] | None = None
        self._heard = False

    def beat(self) -> None:
        """A client was heard."""
        self._heard = True

    async def take(self, guard: Guard) -> str:
        """Holds the guard and renews the Lease at once; returns "", or why that failed."""
        try:
            self._held = Api.of_pod(self._environment, guard.ca, guard.token), guard
        except ApiError as error:
            return str(error)
        return await self._renew()

    async def run(self) -> NoReturn:
        """Renews the Lease as long as clients are heard; says so, once, when it cannot."""
        said = ""
        pause = RENEWAL
        while True:
            await asyncio.sleep(pause)
            pause = RENEWAL
            if self._held and self._heard:
                self._heard = False
                if reason := await self._renew():
                    pause = RETRY
                    if reason != said:
                        _say(f"the Lease cannot be renewed: {reason}")
                said = reason

    async def restore(self) -> None:
        """Restores what was swapped; tries again until it is done or refused, and says what came of it."""
        if self._held is None or not self._held[1].record:
            return
        api, guard = self._held
        said = ""
        while True:
            try:
                _say(await restore.restore(api, guard.namespace, guard.record, self._session))
                return
            except (KeyError, TypeError, ValueError) as error:
                _say(f"{guard.record} is not a swap record ({error!r}); nothing is restored")
                return
            except ApiError as error:
                if str(error) != said:
                    _say(f"{guard.record} cannot be restored{'' if error.final else ' yet'}: {error}")
                said = str(error)
                if error.final:
                    return
            await asyncio.sleep(RETRY)

    async def _renew(self) -> str:
        """ "" or why the Lease could not be renewed."""
        assert self._held
        api, guard = self._held
        path = f"{restore.LEASES.format(guard.namespace)}/{guard.lease}"
        try:
            await api.request("PATCH", path, {"spec": {"renewTime": micro_time(datetime.now(UTC))}}, MERGE_PATCH)
        except ApiError as error:
            return str(error)
        return ""


def micro_time(moment: datetime) -> str:
    """Kubernetes' MicroTime: `2026-11-23T20:15:00.000000Z`. `moment` is in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _say(words: str) -> None:
    sys.stderr.write(f"tpbox: {words}\n")
