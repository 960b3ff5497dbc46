"""A helper that something else has made, Docker Compose for one: PID 1 waits for a supervisor that comes later.

    sys.exit(stand.main())               # PID 1: `python3 -I /opt/tpbox stand`
    if stand.stands():                   # the supervisor, by `docker exec`
        with stand.held(): ...           # Taken when another one holds the helper

A FIFO joins the two. The supervisor holds its write end as long as it lives; however it ends, a kill -9 included, the
kernel closes that, and PID 1 sees the end and ends as well. So the container does what an attached helper's does.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from supervisor import init, link

FIFO = "supervisor"
MODE = "stand"
PID_1 = Path("/proc/1/cmdline")


class Taken(Exception):
    """Another supervisor holds the helper."""


def main() -> int:
    """Returns 1 after a supervisor has come and gone; a SIGTERM before that ends it at once, with 143."""
    return init.run(wait)


def wait() -> int:
    """Waits for a supervisor, and for its end; returns 1."""
    with _fifo().open("rb") as held:  # for ever, while none has come
        held.read()
    return 1


def stands() -> bool:
    """Whether this container's PID 1 waits for a supervisor. With `docker run --init` Docker's init is before it."""
    return PID_1.read_bytes().endswith(f"\0{MODE}\0".encode())


@contextmanager
def held() -> Iterator[None]:
    """Within, PID 1 knows that a supervisor lives. Raises Taken."""
    # Not inherited by other programs, as whatever Python opens: sshfs may outlive the supervisor for a moment.
    descriptor = os.open(_fifo(), os.O_WRONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Taken("another supervisor holds this helper") from None
        yield
    finally:
        os.close(descriptor)


def _fifo() -> Path:
    """Whoever comes first makes it: a supervisor may be started before PID 1 has come that far."""
    path = link.RUN / FIFO
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return path
