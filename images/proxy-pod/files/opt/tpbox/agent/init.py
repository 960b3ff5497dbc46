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


def run(work: Callable[[], int]) -> int:
    """Runs `work` in a child and returns the exit code; 128 + n when signal n ended the child."""
    # Held back until there is a child to pass them on to: PID 1 would not even die of them.
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        return work()
    for signum in FORWARDED:
        signal.signal(signum, lambda received, _frame: os.kill(child, received))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
