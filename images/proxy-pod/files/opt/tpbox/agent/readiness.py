"""Whether the Pod is ready, as the file that its readiness probe looks for.

    with Readiness(directory / readiness.FILE) as ready:
        ready.beat(True)              # a client says: the process listens
        ready.tick()                  # once a second

Like the clock (liveness.py) it counts ticks, not the time of day.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

FILE = "ready"
FRESH = 8  # seconds that a client's word counts; it beats every two, and is given up after six without an answer


class Readiness:
    """The file is there exactly while the last beat said ready and is younger than FRESH."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = 0

    def __enter__(self) -> Readiness:
        self._show()  # an agent that was killed may have left its file
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.beat(False)

    def beat(self, ready: bool) -> None:
        """A client was heard."""
        self._left = FRESH if ready else 0
        self._show()

    def tick(self) -> None:
        """A second has passed."""
        self._left = max(0, self._left - 1)
        self._show()

    def _show(self) -> None:
        if self._left:
            self._path.touch()
        else:
            self._path.unlink(missing_ok=True)
