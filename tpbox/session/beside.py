"""Something that is made in a thread while the main thread, which gets the signals, makes something else.

with beside(start_pod, ending) as pod:
    control = start_helper()
return pod.result(), control
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tpbox import signals

T = TypeVar("T")


@contextlib.contextmanager
def beside(work: Callable[[], T], ending: threading.Event) -> Iterator[Future[T]]:
    """Runs `work` in a thread; `ending` is set where it is not wanted any more. The thread has ended when the block is
    left, whatever happens: clean-up must not run while something is still being made."""
    pool = ThreadPoolExecutor(1, thread_name_prefix=work.__name__)
    future = pool.submit(work)
    try:
        yield future
        while not future.done():  # in short waits, so that a signal is seen
            with contextlib.suppress(TimeoutError):
                future.exception(timeout=0.1)
    except BaseException:
        ending.set()
        raise
    finally:
        with signals.deferring():
            pool.shutdown()
