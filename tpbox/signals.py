"""What the signals that end a program mean at each stage of a session.

    with signals.interrupting():     # start-up: the first one ends it, by an InterruptedSession
        ...
    with signals.heard() as numbers: # a named session waits: they are noted
        ...
    with signals.shielded(say):      # clean-up: not ended by a second Ctrl-C; a third leaves the rest
        ...

While the user's process runs they are its own (tpbox/local/terminal.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from tpbox.errors import InterruptedSession

_deferred: list[int] = []  # not empty within deferring(): a mark, then the signals that came

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interrupting() -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP raise InterruptedSession."""

    def interrupt(number: int, _: FrameType | None) -> None:
        if _deferred:
            _deferred.append(number)
        else:
            raise InterruptedSession(number)

    with handled_by(interrupt):
        yield


@contextlib.contextmanager
def deferring() -> Iterator[None]:
    """Within, such a signal waits for the end of the block: an engine that was asked to make something makes it also
    for a client that has hung up, and clean-up must come after that."""
    _deferred.append(0)
    try:
        yield
    finally:
        numbers = [number for number in _deferred if number]
        _deferred.clear()
    if numbers:
        raise InterruptedSession(numbers[0])


@contextlib.contextmanager
def shielded(say: Callable[[str], None]) -> Iterator[None]:
    """Within, the first such signal is answered with a word; the second ends the process on the spot."""
    seen = 0

    def count(number: int, _: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            say("cleaning up; once more leaves the rest to `tpbox cleanup`")
        else:
            os._exit(128 + number)

    with handled_by(count):
        yield


@contextlib.contextmanager
def heard() -> Iterator[list[int]]:
    """Within, such signals are noted in the list, and nothing else. Not in an Event: its lock may be held just then."""
    numbers: list[int] = []
    with handled_by(lambda number, _: numbers.append(number)):
        yield numbers


@contextlib.contextmanager
def handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP call it."""
    previous = {number: signal.signal(number, handler) for number in ENDING}
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def of_terminal() -> bool:
    """Whether a terminal's Ctrl-C comes to us, and so to those whom we start."""
    try:
        descriptor = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(descriptor)
