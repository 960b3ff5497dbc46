"""A session's place in the cluster: the proxy pod's Job, what the Job owns, and the workload whose place it takes.

place = Place(plan, image, public_key, api, console, cancelled)
pod = place.take(stack.push)                  # claimed, made, and Ready to be spoken to
with place.held(control, lost):               # guarded, and swapped once the pod is Ready
    ...
    pod = place.follow(pod)                   # the pod that is there now
place.give_back()
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from tpbox.cluster import guard, proxy_pod
from tpbox.cluster.api import Api
from tpbox.cluster.guard import Keeper, UnguardedError
from tpbox.cluster.proxy_pod import NoRoomError, ReadyPod
from tpbox.errors import TpboxError
from tpbox.plan.proxy_pod import job
from tpbox.plan.session import SessionPlan
from tpbox.plan.swap import SwapRecord
from tpbox.session.swapping import Swapping
from tpbox.tunnel.control import Control
from tpbox.ui import Console

POD_TIMEOUT = 120  # seconds; a large image over a slow line, while nothing says that it fails
GUARD_TIMEOUT = 15
WITHDRAW_TIMEOUT = 10
UNREADY_TIMEOUT = 8  # seconds until Kubernetes has seen that the pod is not Ready any more
SETTLE = 2.0  # seconds until every node's proxy has heard it too

Cleanup = Callable[[str, Callable[[], None]], None]


class Place:
    """`cancelled` ends every wait."""

    def __init__(
        self, plan: SessionPlan, image: str, public_key: str, api: Api, console: Console, cancelled: threading.Event
    ) -> None:
        self._plan = plan
        self._pod = plan.proxy_pod(image, public_key)
        self._api = api
        self._console = console
        self._cancelled = cancelled
        self._keeper: Keeper | None = None
        self._guarding = contextlib.ExitStack()
        self._control: Control | None = None
        self.swapping: Swapping | None = None
        if taken := plan.facts.swap:
            found = dict(taken.manifest)
            record = SwapRecord.of(taken.ref, found, plan.session, plan.facts.owner, api.now())
            self.swapping = Swapping(api, record, console)

    def take(self, cleanup: Cleanup) -> ReadyPod:
        """Claims the workload, makes the Job with what it owns, and waits for its pod. Raises TpboxError."""
        request = self._plan.request
        if self.swapping:
            self.swapping.claim(take_over=request.take_over)
            if request.now:
                self.swapping.take_down()
        cleanup(f"Job {self._plan.name}", self._remove)
        self._make()
        try:
            return self._wait()
        except NoRoomError as error:
            if self.swapping and not request.now:
                error.hint = f"--now ends {self.swapping.workload} first, which makes room. {error.hint}"
            raise

    @contextlib.contextmanager
    def held(self, control: Control, pod: Callable[[], str], lost: Callable[[TpboxError], None]) -> Iterator[None]:
        """Within, the pod restores by itself when we are gone, and the workload is taken down once the pod is Ready.

        `pod` says its name, `lost` is told when the swap is over before its time.
        """
        self._control = control
        with self._guarding:
            self._guard()
            if not self.swapping:
                yield
                return
            with self.swapping.watching(lambda: proxy_pod.is_ready(self._api, self._namespace, pod()), lost):
                yield

    def follow(self) -> ReadyPod:
        """The pod that is there now. Where the agent has ended the session, since it took us for dead, all is made
        again. Raises TpboxError."""
        if not proxy_pod.exists(self._api, self._namespace, self._plan.name):
            if self.swapping:
                self.swapping.claim_again()
            self._guarding.close()
            self._make()
            pod = self._wait()
            self._guard()
            return pod
        return self._wait()

    def withdraw(self, control: Control, pod: str) -> None:
        """The gapless end: the workload is back and Ready, and nobody is sent to this pod any more, before the process
        is told to end. Raises TpboxError."""
        if not self.swapping or not self.swapping.is_down:
            return
        self.swapping.give_back()
        self.swapping.wait_back(self._plan.request.restore_wait)
        control.withdraw()
        control.wait_withdrawn(WITHDRAW_TIMEOUT)
        proxy_pod.wait_unready(self._api, self._namespace, pod, UNREADY_TIMEOUT)
        self._cancelled.wait(SETTLE)

    @property
    def _namespace(self) -> str:
        return self._plan.facts.namespace

    def _make(self) -> None:
        uid = proxy_pod.create(self._api, job(self._pod))
        if self._plan.service_name:
            proxy_pod.create_service(self._api, self._plan.service(uid))
        if guarded := self._plan.guard(uid):
            try:
                self._keeper = guard.create(self._api, guarded)
            except UnguardedError as error:
                self._console.warn(error.message)

    def _guard(self) -> None:
        if not self._keeper or not self._control:
            return
        self._guarding.enter_context(self._keeper.renewing(self._control.guard))
        try:
            self._control.wait_guard(GUARD_TIMEOUT)
        except TpboxError as error:
            self._console.warn(f"{error.message}: {error.detail}")

    def _wait(self) -> ReadyPod:
        return proxy_pod.wait_ready(
            self._api, self._namespace, self._plan.session, timeout=POD_TIMEOUT, cancelled=self._cancelled
        )

    def _remove(self) -> None:
        if self._keeper:
            guard.delete(self._api, self._namespace, self._plan.session)
        if service := self._plan.service_name:
            self._api.delete(proxy_pod.services_path(self._namespace, service))
        proxy_pod.delete(self._api, self._namespace, self._plan.name)
