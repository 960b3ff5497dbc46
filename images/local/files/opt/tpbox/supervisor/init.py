"""PID 1: reaps orphans, passes signals on, ends with its one child.

    sys.exit(init.run(lambda: asyncio.run(serve())))

The work is done in the child, whose own children nobody else waits for; PID 1 only waits. When it ends the kernel
ends every process that is left in the container.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
WAITED_FOR = (signal.SIGCHLD, *FORWARDED)


def run(work: Callable[[], int]) -> int:
    """Runs `work` in a child and returns the exit code; 128 + n when signal n ended the child."""
    # Blocked and waited for: a handler might run a moment before the wait begins, which then would last for ever.
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITED_FOR)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED_FOR)
        return work()
    while True:
        signum = signal.sigwait(WAITED_FOR)
        if signum != signal.SIGCHLD:
            os.kill(child, signum)
        elif (code := _reap(child)) is not None:
            return code if code >= 0 else 128 - code


def _reap(child: int) -> int | None:
    """The exit code of `child` once it has ended; orphans that have ended are waited for besides."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            return os.waitstatus_to_exitcode(status)
        if pid == 0:
            return None
