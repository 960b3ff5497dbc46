"""One tpbox at a time: a lock among processes, which the kernel lets go of when its holder dies.

with lock.held("cluster", on_wait=lambda: console.say("waiting for another tpbox")):
    ...
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator

from tpbox import state


@contextlib.contextmanager
def held(name: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds the lock `name`; calls `on_wait` once when another process has it. Not reentrant."""
    folder = state.directory() / "locks"
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
