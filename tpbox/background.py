"""Named sessions from outside: begun in a process of their own, ended, begun again.

    background.begin(session, Start.here(words), console)
    background.end(session, console)

A session is ended by a signal and not by its socket: that works whichever version of tpbox it is.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tpbox import process, signals, steps
from tpbox.errors import InterruptedSession, TpboxError
from tpbox.named import NamedSession, Start
from tpbox.ui import Console

POLL = 0.05  # seconds
END_WITHIN = 180  # seconds, besides what --restore-wait says
RESTORE_WAIT = "--restore-wait"


class Beginning:
    """A session that begins. With `tied` it ends with this process, however that ends."""

    def __init__(self, session: NamedSession, start: Start, *, tied: bool = False) -> None:
        self.session = session
        self.crashed = False  # it ended without a word, though nobody had told it to
        self._cancelled = False
        if not Path(start.folder).is_dir():
            raise TpboxError(
                f"session '{session.name}' was started in folder {start.folder}, which is gone",
                hint=f"Start it anew: tpbox up {session.name} …",
            )
        session.make_folder()
        words = process.ours("tpbox", *start.words)
        self._reading, self._child = steps.spawn(words, session.log, start.folder, start.within(os.environ), tied=tied)

    def messages(self, console: Console) -> Iterator[dict[str, Any]]:
        """Says its steps, and yields what it tells besides, until it is up. Raises TpboxError when it is not to be."""
        for message in steps.replayed(self._reading, console):
            yield message
            if "up" in message:
                return
        self.crashed = not self._cancelled
        raise TpboxError(
            f"session '{self.session.name}' ended while it began",
            detail=self.session.last_words(),
            hint=f"What it said: tpbox logs {self.session.name}",
        )

    def cancel(self) -> None:
        """It ends, and says so in messages()."""
        self._cancelled = True
        self._child.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Returns when it has ended. Raises TpboxError when it does not."""
        try:
            self._child.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            raise _stays(self.session) from None


def begin(session: NamedSession, start: Start, console: Console) -> None:
    """Starts the session, says its steps, and returns when it is up. Raises TpboxError.

    A signal that would end us ends the session, and InterruptedSession is raised when that has ended; after a second
    one it is not waited for.
    """
    with signals.interrupting():
        beginning = Beginning(session, start)
        try:
            _wait(beginning, console)
        except InterruptedSession:
            beginning.cancel()
            with contextlib.suppress(TpboxError):  # what it ends with; or a second signal
                _wait(beginning, console)
            raise


def _wait(beginning: Beginning, console: Console) -> None:
    for _ in beginning.messages(console):
        pass


def end(session: NamedSession, console: Console) -> None:
    """Ends it, with what it says meanwhile, and waits for it. Raises TpboxError when it does not end."""
    told = False
    with _log(session) as log:
        log.seek(0, os.SEEK_END)
        deadline = time.monotonic() + END_WITHIN + _restore_wait(session)
        while session.alive():
            told = told or _tell_to_end(session)
            if time.monotonic() > deadline:
                raise _stays(session)
            time.sleep(POLL)
            _say(log.read(), console)
        _say(log.read(), console)


def _restore_wait(session: NamedSession) -> int:
    """How long it may wait, by its own words, for the workload that it gives back."""
    start = session.start()
    words = start.words if start else ()
    given = [after for word, after in itertools.pairwise(words) if word == RESTORE_WAIT]
    given += [word.partition("=")[2] for word in words if word.startswith(f"{RESTORE_WAIT}=")]
    return next((int(value) for value in given if value.isdigit()), 0)


def _stays(session: NamedSession) -> TpboxError:
    return TpboxError(
        f"session '{session.name}' (pid {session.pid()}) has not ended in time",
        detail=session.last_words(),
        hint="Once more: tpbox down; what it leaves: tpbox cleanup",
    )


def _tell_to_end(session: NamedSession) -> bool:
    """Returns whether it was told: one that begins is not known yet."""
    pid = session.pid()
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    return bool(pid)


def _log(session: NamedSession) -> IO[str]:
    """Of one in the foreground there is none."""
    return session.log.open(errors="replace") if session.log.exists() else io.StringIO()


def followed(log: IO[str], session: NamedSession) -> Iterator[str]:
    """What is written to the log behind what was read of it, until the session has ended."""
    while session.alive():
        time.sleep(POLL)
        yield log.read()
    yield log.read()


def _say(lines: str, console: Console) -> None:
    for line in lines.splitlines():
        console.say(steps.without_time(line))
