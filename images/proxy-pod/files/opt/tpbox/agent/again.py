"""A program that is started again when it ends.

await again.for_ever(run_once)        # run_once starts it and returns when it has ended
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

BACKOFF_FIRST, BACKOFF_LAST = 0.1, 5.0  # seconds
STEADY = 10.0  # seconds; a program that ran so long starts again without delay


async def for_ever(run_once: Callable[[], Awaitable[None]]) -> NoReturn:
    """Until it is cancelled."""
    loop = asyncio.get_running_loop()
    delay = BACKOFF_FIRST
    while True:
        started = loop.time()
        await run_once()
        delay = BACKOFF_FIRST if loop.time() - started > STEADY else min(delay * 2, BACKOFF_LAST)
        await asyncio.sleep(delay)
