"""A large file that is read from its begin to its end: how far the pod is asked ahead. Pure.

    stream = Stream()
    stream.blocks(offset, size)      # of each READ: [(offset, size), …] that are to be asked for beside it
    stream.ahead[offset]             # the Block that was asked for

sshfs and the kernel have 256 KiB on their way, less than the tunnel carries in a round trip on a busy machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

WINDOW = 256 * 1024  # bytes; more is a longer queue for everything else that goes through the tunnel
FROM = 128 * 1024  # bytes that have to be read in order first
LOOSE = 512 * 1024  # bytes; requests in a row overtake each other a little


@dataclass
class Block:
    """A part that was asked for. `waiting` are requests of sshfs that came before its answer."""

    size: int
    asked_at: float
    answer: bytes = b""
    waiting: list[bytes] = field(default_factory=list)


@dataclass
class Stream:
    """One open file."""

    ahead: dict[int, Block] = field(default_factory=dict)  # by offset
    _end: int = 0  # of what has been read
    _asked: int = 0  # the end of what has been asked for ahead

    def blocks(self, offset: int, size: int) -> list[tuple[int, int]]:
        if abs(offset - self._end) > LOOSE:
            self._asked = 0  # somebody reads here and there
            self._end = offset + size
            return []
        self._end = max(self._end, offset + size)
        begin = max(self._asked, self._end)
        # Many requests in a row cost less than one now and then.
        if self._end < FROM or self._end + WINDOW - begin < WINDOW // 4:
            return []
        found = [(at, size) for at in range(begin, self._end + WINDOW, size)]
        self._asked = found[-1][0] + size
        return found

    def keep(self, wanted: Callable[[Block], bool]) -> None:
        """Lets go of the other blocks. What was read ahead in vain is not asked for again."""
        self.ahead = {offset: block for offset, block in self.ahead.items() if wanted(block)}
