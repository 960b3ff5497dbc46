"""A folder whose files are read one after another: which come next. Pure.

    listing = Listing()
    listing.add(entries)                 # as the pod lists them
    listing.next_after(b"first")         # [b"second", …]: what is likely to be asked for next

Programs read either in the order of the listing or sorted by name. The window is as a kernel's read-ahead: it doubles
while it is right, and shrinks for what was fetched in vain.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from sftp.packets import Entry

FIRST, LAST = 8, 256  # files ahead
MAX_FILE = 64 * 1024  # bytes
MAX_AHEAD = 1024 * 1024  # bytes: what other requests have to wait behind
SKIPPED = 8  # files that a program may leave out and still be reading in order
MAX_FILES = 20_000


class Listing:
    """The regular files of one folder."""

    def __init__(self) -> None:
        self.sizes: dict[bytes, int] = {}
        self._orders: list[_Order] = []
        self._window = FIRST

    def add(self, found: Iterable[Entry]) -> None:
        for name, attributes in found:
            if attributes.regular and len(self.sizes) < MAX_FILES:
                self.sizes[name] = attributes.size
        self._orders = []

    def next_after(self, name: bytes) -> list[bytes]:
        """What is read next when `name` is read now, and has not been returned before; nothing when no order is seen.

        Only small files: what is large is read ahead by sshfs. Empty ones have no content, or are made up (/proc).
        """
        if name not in self.sizes:
            return []
        if not self._orders:
            self._orders = [_Order(self.sizes), _Order(sorted(self.sizes))]
        places = [order.follow(name) for order in self._orders]
        found = [(order, place) for order, place in zip(self._orders, places, strict=True) if place is not None]
        if not found:
            self._window = FIRST
            return []
        order, place = found[0]
        return [one for one in order.ahead(place, self._room(order, place)) if 0 < self.sizes[one] <= MAX_FILE]

    def _room(self, order: _Order, place: int) -> int:
        """How many names to look ahead; 0 while half of the window is left: many requests in a row cost less."""
        if order.asked - place > self._window // 2:
            return 0
        self._window = min(2 * self._window, LAST)
        sizes = itertools.accumulate(
            min(self.sizes[name], MAX_FILE) for name in order.names[place : place + self._window]
        )
        return sum(1 for size in sizes if size <= MAX_AHEAD)

    def in_vain(self) -> None:
        """What was fetched was not read in time. What comes next may be fetched once more."""
        self._window = max(FIRST, self._window // 2)
        for order in self._orders:
            order.asked = 0


class _Order:
    def __init__(self, names: Iterable[bytes]) -> None:
        self.names = list(names)
        self.asked = 0  # the place behind the last one that was returned
        self._places = {name: place for place, name in enumerate(self.names)}
        self._expected = 0

    def follow(self, name: bytes) -> int | None:
        """The place behind `name`; None when `name` is not what this order had next."""
        place = self._places[name]
        skipped = place - self._expected
        self._expected = place + 1
        return place + 1 if -1 <= skipped <= SKIPPED else None  # -1: the same once more

    def ahead(self, place: int, count: int) -> list[bytes]:
        begin, self.asked = max(place, self.asked), max(place + count, self.asked)
        return self.names[begin : self.asked]
