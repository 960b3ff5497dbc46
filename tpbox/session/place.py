"""A session's place in the cluster: the proxy pod's Job, what the Job owns, and the workload whose place it takes.

place = Place(plan, image, public_key, api, console, cancelled)
pod = place.take(stack.push)                  # claimed, made, and ready to be spoken to
with place.guarding(control.guard):           # the agent gives the workload back when we are gone
    with place.watching(pod_name, lost):      # the original goes when the pod is Ready
        ...
        pod = place.follow()                  # the pod that is there now
place.swapping.give_back()
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from tpbox.cluster import guard, proxy_pod
from tpbox.cluster.api import Api
from tpbox.cluster.guard import Keeper, Send, UnguardedError
from tpbox.cluster.proxy_pod import NoRoomError, ReadyPod
from tpbox.errors import PodError, TpboxError
from tpbox.plan.proxy_pod import job
from tpbox.plan.session import SessionPlan
from tpbox.plan.swap import SwapRecord
from tpbox.session.swapping import Swapping
from tpbox.tunnel.control import Control
from tpbox.ui import Console

POD_TIMEOUT = 120  # seconds; a large image over a slow line, while nothing says that it fails
WITHDRAW_TIMEOUT = 10
UNREADY_TIMEOUT = 8  # seconds until Kubernetes has seen that the pod is not Ready any more
SETTLE = 2.0  # seconds until every node's proxy has heard it too

Cleanup = Callable[[str, Callable[[], None]], None]


class Place:
    """`cancelled` ends every wait, and nothing is made any more."""

    def __init__(
        self, plan: SessionPlan, image: str, public_key: str, api: Api, console: Console, cancelled: threading.Event
    ) -> None:
        self._plan = plan
        self._pod = plan.proxy_pod(image, public_key)
        self._api = api
        self._console = console
        self._cancelled = cancelled
        self._making = threading.Lock()  # the pod's thread, the one that follows it, and the end
        self._complete = False
        self._kept = False
        self._keeper: Keeper | None = None
        self._send: Send | None = None
        self._guarding = contextlib.ExitStack()
        self.swapping: Swapping | None = None
        if taken := plan.facts.swap:
            record = SwapRecord.of(taken.ref, dict(taken.manifest), plan.session, plan.facts.owner, api.now())
            self.swapping = Swapping(api, record, console)

    def take(self, cleanup: Cleanup) -> ReadyPod:
        """Claims the workload, makes the Job with what it owns, and waits for its pod. Raises TpboxError."""
        request = self._plan.request
        if self.swapping:
            self.swapping.claim(take_over=request.take_over)
        cleanup(f"Job {self._plan.name}", self._remove)
        with self._making:
            self._make()
        try:
            return self._wait()
        except NoRoomError as error:
            if self.swapping and not request.now:
                error.hint = f"--now ends {self.swapping.workload} first, which makes room. {error.hint}"
            raise

    def follow(self) -> ReadyPod:
        """The pod that is there now. Where the agent has ended the session, since it took us for dead, all is made
        again. Raises TpboxError, SwappedError when the workload is not to be had any more."""
        with self._making:
            if not self._complete or not proxy_pod.exists(self._api, self._namespace, self._plan.name):
                self._complete = False
                self._guarding.close()
                self._remove_objects()  # those of the Job that has gone may still be there
                if self.swapping:
                    self.swapping.claim_again()
                self._make()
                self._hand_over()
        return self._wait()

    @contextlib.contextmanager
    def guarding(self, send: Send) -> Iterator[None]:
        """Within, the agent is given what it restores with. `send` hands it over."""
        self._send = send
        with self._guarding:
            self._hand_over()
            yield

    def hand_over_again(self) -> None:
        """There is another helper, which has nothing to hand on yet."""
        with self._making:
            self._guarding.close()
            self._hand_over()

    @contextlib.contextmanager
    def watching(self, pod: Callable[[], str], lost: Callable[[TpboxError], None]) -> Iterator[None]:
        """Within, the original is taken down once the pod is Ready; `pod` says its name, `lost` is told when the swap
        is over before its time."""
        if not self.swapping:
            yield
            return
        with self.swapping.watching(lambda: proxy_pod.is_ready(self._api, self._namespace, pod()), lost):
            yield

    def withdraw(self, control: Control, pod: str) -> None:
        """The gapless end: the workload is back and Ready, and nobody is sent to this pod any more, before the process
        is told to end. Raises TpboxError."""
        if self.swapping and self.swapping.give_back():
            self.swapping.wait_back(self._plan.request.restore_wait)
            control.withdraw()
            control.wait_withdrawn(WITHDRAW_TIMEOUT)
            proxy_pod.wait_unready(self._api, self._namespace, pod, UNREADY_TIMEOUT)
            self._cancelled.wait(SETTLE)

    def keep(self) -> None:
        """The workload could not be given back: the agent stays, which tries it again when it does not hear of us."""
        self._kept = True

    @property
    def _namespace(self) -> str:
        return self._plan.facts.namespace

    def _make(self) -> None:
        if self._cancelled.is_set():
            raise PodError("given up, since the session has ended")
        if self.swapping and self._plan.request.now:
            self.swapping.take_down()
        uid = proxy_pod.create(self._api, job(self._pod))
        if self._plan.service_name:
            proxy_pod.create_service(self._api, self._plan.service(uid))
        if guarded := self._plan.guard(uid):
            try:
                self._keeper = guard.create(self._api, guarded)
            except UnguardedError as error:
                self._console.warn(" ".join(filter(None, (f"{error.message}.", error.hint))))
        self._complete = True

    def _hand_over(self) -> None:
        if self._keeper and self._send:
            self._guarding.enter_context(self._keeper.renewing(self._send))

    def _wait(self) -> ReadyPod:
        return proxy_pod.wait_ready(
            self._api, self._namespace, self._plan.session, timeout=POD_TIMEOUT, cancelled=self._cancelled
        )

    def _remove(self) -> None:
        with self._making:
            if not self._kept:
                self._remove_objects()

    def _remove_objects(self) -> None:
        if self._keeper:
            guard.delete(self._api, self._namespace, self._plan.session)
        if service := self._plan.service_name:
            self._api.delete(proxy_pod.services_path(self._namespace, service))
        proxy_pod.delete(self._api, self._namespace, self._plan.name)
