"""Named sessions from outside: begun in a process of their own, ended, begun again.

    background.begin(session, Start.here(words), console)
    background.end(session, console)

A session is ended by a signal and not by its socket: that works whichever version of tpbox it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tpbox import process, steps
from tpbox.errors import TpboxError
from tpbox.named import NamedSession, Start
from tpbox.ui import Console

POLL = 0.05  # seconds
END_WITHIN = 180  # seconds, the waiting for a workload that was given back included


class Beginning:
    """A session that begins. With `tied` it ends with this process, however that ends."""

    def __init__(self, session: NamedSession, start: Start, *, tied: bool = False) -> None:
        self.session = session
        session.make_folder()
        words = process.ours("tpbox", *start.words)
        self._reading, self._child = steps.spawn(words, session.log, start.folder, start.within(os.environ), tied=tied)

    def messages(self, console: Console) -> Iterator[dict[str, Any]]:
        """Says its steps, and yields what it tells besides, until it is up. Raises TpboxError when it is not to be."""
        for message in steps.replayed(self._reading, console):
            yield message
            if "up" in message:
                return
        raise TpboxError(
            f"session '{self.session.name}' ended while it began",
            detail=self.session.last_words(),
            hint=f"What it said: tpbox logs {self.session.name}",
        )

    def cancel(self) -> None:
        """It ends, and says so in messages()."""
        self._child.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Returns when it has ended. Raises TpboxError when it does not."""
        try:
            self._child.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            raise _stays(self.session) from None


def begin(session: NamedSession, start: Start, console: Console) -> None:
    """Starts the session, says its steps, and returns when it is up. Raises TpboxError.

    An interrupt ends the session, and is raised when that has ended.
    """
    beginning = Beginning(session, start)
    try:
        for _ in beginning.messages(console):
            pass
    except KeyboardInterrupt:
        beginning.cancel()
        with contextlib.suppress(TpboxError):
            for _ in beginning.messages(console):
                pass
        raise


def end(session: NamedSession, console: Console) -> None:
    """Ends it, with what it says meanwhile, and waits for it. Raises TpboxError when it does not end."""
    with session.log.open(errors="replace") as log:
        log.seek(0, os.SEEK_END)
        with contextlib.suppress(ProcessLookupError):
            os.kill(session.pid(), signal.SIGTERM)
        deadline = time.monotonic() + END_WITHIN
        while session.alive():
            if time.monotonic() > deadline:
                raise _stays(session)
            time.sleep(POLL)
            _say(log.read(), console)
        _say(log.read(), console)


def _stays(session: NamedSession) -> TpboxError:
    return TpboxError(
        f"session '{session.name}' (pid {session.pid()}) has not ended within {END_WITHIN} s",
        detail=session.last_words(),
        hint="Once more: tpbox down; what it leaves: tpbox cleanup",
    )


def followed(log: Path, session: NamedSession) -> Iterator[str]:
    """What is written to the log from now on, until the session has ended."""
    with log.open(errors="replace") as file:
        file.seek(0, os.SEEK_END)
        while session.alive():
            time.sleep(POLL)
            yield file.read()
        yield file.read()


def _say(lines: str, console: Console) -> None:
    for line in lines.splitlines():
        console.say(steps.without_time(line))
