"""The clock that ends the agent when its client is gone.

    clock = Liveness(grace=30)
    clock.beat()                  # a client is there
    gone = clock.tick()           # once a second

It knows neither sockets nor time: whoever owns it calls it.
"""

from __future__ import annotations

FIRST_CLIENT = 5  # seconds beyond the grace time: the helper may still be starting


class Liveness:
    """Counts its own ticks, not the time of day.

    A node that was asleep or frozen for an hour has counted one tick, and its client gets its chance to come back.
    """

    def __init__(self, grace: int) -> None:
        self._grace = grace
        self._left = grace + FIRST_CLIENT

    def beat(self) -> None:
        """A client was heard: it has `grace` seconds until the next."""
        self._left = self._grace

    def tick(self) -> bool:
        """A second has passed; returns whether the client is gone."""
        self._left -= 1
        return self._left < 0  # the first tick may come right after the beat
