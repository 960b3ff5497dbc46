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

from tpbox import signals
from tpbox.cluster import swap, workloads
from tpbox.cluster.api import Api
from tpbox.cluster.swap import Outcome, SwappedError
from tpbox.errors import ClusterError, InterruptedSession, NotFoundError, TpboxError
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import SwapRecord, replicas_of
from tpbox.ui import Console

READY_POLL = 0.3  # seconds
HOLD_POLL = 4.0  # seconds between two looks at who holds the record
SILENT = ("taken", "nothing")  # the one who has it says so, or has said so


class Swapping:
    """One workload, from the claim until it is back. What it does in the cluster may be done by another as well (the
    agent, `tpbox cleanup`), so each step asks the record first. One step at a time, and none after give_back()."""

    def __init__(self, api: Api, record: SwapRecord, console: Console) -> None:
        self._api = api
        self._record = record
        self._console = console
        self._claimed = False
        self._down = False
        self._step = threading.RLock()
        self._ended = threading.Event()
        self._outcome: Outcome | None = None
        self._given_back = 0.0  # time.monotonic()
        self._seen_ready = False

    @property
    def workload(self) -> str:
        return self._record.workload

    def claim(self, *, take_over: bool) -> None:
        """Raises SwappedError when the workload is somebody's already, and is not to be taken over."""
        with self._stepping():
            self._claimed = True  # ahead: an answer that is lost is a claim all the same
            if take_over:
                self._record, before = swap.take_over(self._api, self._record)
                if before:
                    self._console.say(f"{self.workload} is taken over from {before.owner} (session {before.session})")
                return
            try:
                self._record = swap.claim(self._api, self._record)
            except SwappedError:
                self._claimed = False
                raise

    def claim_again(self) -> None:
        """After the agent has given the workload back, since it took us for dead.

        Raises SwappedError when it is no longer as the agent left it, or somebody else's.
        """
        with self._stepping():
            record = self._record
            if swap.still_mine(self._api, record):
                return
            found = workloads.get(self._api, record.namespace, record.kind, record.name)
            if found is None or replicas_of(found) != record.replicas:
                raise SwappedError(f"{record.workload} was given back while the cluster was out of reach, and changed")
            self._record = swap.claim(self._api, record.anew(found, self._api.now()))
            self._down = False
            self._console.say(f"{record.workload} was given back meanwhile: taking its place again")

    def take_down(self) -> None:
        """Scales the original to 0. Raises ClusterError."""
        with self._stepping():
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

    def give_back(self) -> bool:
        """Restores the workload, once; returns whether it was scaled up again. Raises ClusterError."""
        self._ended.set()
        with self._step:
            if self._outcome is None and self._claimed:
                record = self._record
                self._outcome = swap.restore(self._api, record.namespace, record.lease_name, record.session)
                self._given_back = time.monotonic()
                if self._outcome.result not in SILENT:
                    say = self._console.warn if self._outcome.notable else self._console.say
                    say(self._outcome.words)
            return self._outcome is not None and self._outcome.result == "restored"

    def wait_back(self, timeout: float) -> None:
        """Waits until the workload that give_back() has restored is Ready, and says how long it took. Ctrl-C ends the
        wait."""
        if self._seen_ready or not self._outcome or self._outcome.result != "restored" or timeout <= 0:
            return
        ref, cancelled = WorkloadRef(self._record.kind, self._record.name), threading.Event()
        if not workloads.wait_ready(self._api, self._record.namespace, ref, timeout=timeout, cancelled=cancelled):
            self._console.warn(f"{self.workload} is not Ready after {timeout:.0f} s")
        elif not self._seen_ready:
            self._console.say(f"{self.workload} is back and Ready after {time.monotonic() - self._given_back:.1f} s")
        self._seen_ready = True

    def wait_back_unless_interrupted(self, timeout: float) -> None:
        """wait_back() when all else is done: a signal only ends the wait."""
        with contextlib.suppress(InterruptedSession), signals.interrupting():
            self.wait_back(timeout)

    @contextlib.contextmanager
    def _stepping(self) -> Iterator[None]:
        with self._step:
            if self._ended.is_set():
                raise ClusterError("given up, since the session has ended")
            yield

    def _watch(self, is_ready: Callable[[], bool], lost: Callable[[TpboxError], None]) -> None:
        while not self._ended.wait(HOLD_POLL if self._down else READY_POLL):
            try:
                if self._down:
                    swap.still_mine(self._api, self._record)
                elif is_ready():
                    self.take_down()
            except (SwappedError, NotFoundError) as error:
                lost(error)
                return
            except ClusterError as error:  # an API server that is away comes back
                self._console.detail(f"{self.workload}: {error.message}")
