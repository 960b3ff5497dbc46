"""The swap of a session: claimed before anything is made, down when the proxy pod is Ready, given back at the end.

swapping = Swapping(api, record, console)
swapping.claim(take_over=False)
with swapping.watching(is_ready, lost):       # scales the original to 0 when `is_ready()`, and looks who holds it
    ...
swapping.give_back()
swapping.wait_back(60)
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from tpbox.cluster import swap, workloads
from tpbox.cluster.api import Api
from tpbox.cluster.swap import Outcome, SwappedError
from tpbox.errors import ClusterError, NotFoundError, TpboxError
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import SwapRecord, replicas_of
from tpbox.ui import Console

READY_POLL = 0.3  # seconds
HOLD_POLL = 4.0  # seconds between two looks at who holds the record
SILENT = ("taken", "nothing")  # the one who has it says so, or has said so


class Swapping:
    """One workload, from the claim until it is back. What it does in the cluster may be done by another as well (the
    agent, `tpbox cleanup`), so each step asks the record first."""

    def __init__(self, api: Api, record: SwapRecord, console: Console) -> None:
        self._api = api
        self._record = record
        self._console = console
        self._claimed = False
        self._down = False
        self._ended = threading.Event()
        self._outcome: Outcome | None = None
        self._waited = False
        self._lock = threading.Lock()

    @property
    def workload(self) -> str:
        return self._record.workload

    @property
    def is_down(self) -> bool:
        """Whether the process has the workload's place."""
        return self._down

    def claim(self, *, take_over: bool) -> None:
        """Raises SwappedError when the workload is somebody's already, and is not to be taken over."""
        self._claimed = True  # ahead: an answer that is lost is a claim all the same
        if not take_over:
            try:
                self._record = swap.claim(self._api, self._record)
            except SwappedError:
                self._claimed = False
                raise
            return
        self._record, before = swap.take_over(self._api, self._record)
        if before:
            self._console.say(f"{self.workload} is taken over from {before.owner} (session {before.session})")

    def claim_again(self) -> None:
        """After the agent has given the workload back, since it took us for dead.

        Raises SwappedError when it is no longer as the agent left it, or somebody else's.
        """
        record = self._record
        if swap.still_mine(self._api, record):
            return
        found = workloads.get(self._api, record.namespace, record.kind, record.name)
        if found is None or replicas_of(found) != record.replicas:
            raise SwappedError(f"{record.workload} was given back while the cluster could not be reached, and changed")
        self._record = swap.claim(self._api, record.anew(found, self._api.now()))
        self._down = False
        self._console.say(f"{record.workload} was given back meanwhile: taking its place again")

    def take_down(self) -> None:
        """Scales the original to 0. Raises ClusterError."""
        self._record = swap.scale_down(self._api, self._record)
        self._down = True
        self._console.say(f"{self.workload} is scaled to 0: this process has its place")

    @contextlib.contextmanager
    def watching(self, is_ready: Callable[[], bool], lost: Callable[[TpboxError], None]) -> Iterator[None]:
        """Within, the original is taken down as soon as `is_ready()`; `lost` is told once when the swap is over."""
        thread = threading.Thread(target=self._watch, args=(is_ready, lost), name="swap", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()  # it must not scale down what is being given back

    def give_back(self) -> None:
        """Restores the workload, once. Raises ClusterError."""
        self._ended.set()
        with self._lock:
            if self._outcome or not self._claimed:
                return
            record = self._record
            self._outcome = swap.restore(self._api, record.namespace, record.lease_name, record.session)
            if self._outcome.result in SILENT:
                return
            say = self._console.warn if self._outcome.notable else self._console.say
            say(self._outcome.words)

    def wait_back(self, timeout: float) -> bool:
        """Waits until the workload is Ready again, if we have restored it; says how long it took."""
        if self._outcome is None or self._outcome.result != "restored" or timeout <= 0 or self._waited:
            return True
        self._waited = True
        began = time.monotonic()
        ref = WorkloadRef(self._record.kind, self._record.name)
        if workloads.wait_ready(self._api, self._record.namespace, ref, timeout=timeout, cancelled=threading.Event()):
            self._console.say(f"{self.workload} is back and Ready after {time.monotonic() - began:.1f} s")
            return True
        self._console.warn(f"{self.workload} is not Ready after {timeout:.0f} s")
        return False

    def _watch(self, is_ready: Callable[[], bool], lost: Callable[[TpboxError], None]) -> None:
        while not self._ended.wait(HOLD_POLL if self._down else READY_POLL):
            try:
                with self._lock:
                    if self._ended.is_set():
                        return
                    if self._down:
                        swap.still_mine(self._api, self._record)
                    elif is_ready():
                        self.take_down()
            except (SwappedError, NotFoundError) as error:
                lost(error)
                return
            except ClusterError as error:  # an API server that is away comes back
                self._console.detail(f"{self.workload}: {error.message}")
