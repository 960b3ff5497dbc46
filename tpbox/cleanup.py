"""The clean-up stack: how each thing is undone, noted before it is made.

stack = CleanupStack()
stack.push("Job tpbox-qhwzkbtd", lambda: cluster.delete_job(...))
...
failures = stack.unwind()        # last in, first out; a step that fails does not stop the next
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from tpbox.errors import TpboxError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """A step that could not be undone, and why."""

    step: str
    error: TpboxError


class CleanupStack:
    def __init__(self) -> None:
        self._steps: list[tuple[str, Callable[[], None]]] = []

    def push(self, step: str, undo: Callable[[], None]) -> None:
        """`undo` must also succeed when the thing was never made: it is pushed first."""
        self._steps.append((step, undo))

    def unwind(self) -> list[Failure]:
        """Undoes everything, last made first, and returns what failed."""
        failures = []
        while self._steps:
            step, undo = self._steps.pop()
            log.debug("clean-up: %s", step)
            try:
                undo()
            except TpboxError as error:
                failures.append(Failure(step, error))
            except Exception as error:  # a fault of ours here must not leave the rest behind
                log.debug("clean-up: %s", step, exc_info=True)
                failures.append(Failure(step, TpboxError(f"{type(error).__name__}: {error}")))
        return failures
