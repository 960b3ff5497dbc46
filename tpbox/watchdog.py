"""A process of its own that cleans up after a launcher that was killed.

    with watchdog.watching(session):     # started before the first object is made
        ...

It reads a pipe whose other end only the launcher holds: the kernel closes it however the launcher ends. A launcher
that has cleaned up has removed its session record; where the record is still there, the watchdog does the rest.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from tpbox import process, state
from tpbox.errors import TpboxError


@contextlib.contextmanager
def watching(session: str) -> Iterator[None]:
    """Starts the watchdog of a session, and lets go of it at the end."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb"):  # not inheritable: no child of ours may keep it open
        try:
            # A session of its own, or the terminal's Ctrl-C and hang-up would end it with the launcher.
            subprocess.Popen(
                process.ours("tpbox.watchdog", session),
                stdin=reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(reading)
        yield


def guard(session: str) -> int:
    """Waits for the end of stdin, then removes what the session left. Returns the number of things that could not be.

    Imports the SDKs only when there is something to do: it starts beside every session.
    """
    while os.read(0, 1):
        pass
    record = next((r for r in state.records() if r.session == session), None)
    if record is None:
        return 0
    from tpbox import sweep

    try:
        return len(sweep.remove_dead(record))
    except TpboxError:
        return 1


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1]))
