"""The objects of one session while they exist: pod and helper, link, the user's container.

    session = Session(plan, images, docker, api, console, phases, outputs)
    with session.recorded():
        session.start()
        code = session.run_process()             # `tpbox run`; a named session has process(…)
    session.close()

Everything is undone by one clean-up stack, and named in the session record, before it is made.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tpbox import names, signals, watchdog
from tpbox.cleanup import CleanupStack, Failure
from tpbox.cluster.api import Api
from tpbox.cluster.proxy_pod import ReadyPod
from tpbox.cluster.swap import SwappedError
from tpbox.errors import PodError, TpboxError, TunnelError
from tpbox.local import helper
from tpbox.local.app import TERM_PATIENCE, StartError
from tpbox.local.docker import Docker
from tpbox.local.volumes import VolumeService
from tpbox.plan import engine
from tpbox.plan.process import ProcessPlan
from tpbox.plan.request import ProcessOptions
from tpbox.plan.session import SessionPlan
from tpbox.plan.volumes import Seen, own_targets
from tpbox.session import outputs
from tpbox.session.beside import beside
from tpbox.session.outputs import Outputs
from tpbox.session.place import Place
from tpbox.session.process import ContainerProcess, Processes
from tpbox.session.shown import Shown
from tpbox.session.swapping import Swapping
from tpbox.state import ObjectRef, SessionRecord
from tpbox.tunnel.control import Control, RemoteInfo
from tpbox.tunnel.keys import KeyPair, new_key_pair
from tpbox.ui import Console, Phases

if TYPE_CHECKING:
    from tpbox.local.host_relay import HostRelay

HELLO_TIMEOUT = 15
LINK_TIMEOUT = 30
ENGINE_TIMEOUT = 20
VOLUMES_TIMEOUT = 70  # a first copy included
FOLLOW_INTERVAL = 0.5
KILL_INTERVAL = 0.1
LOST_WITHIN = 2  # seconds until the end of a helper is told
LEFT_TO_KILL = 2  # seconds, for a process that was killed to be gone


@dataclass(frozen=True)
class SessionImages:
    helper: str
    pod: str


@dataclass
class Session:
    """The objects of one session while they exist."""

    plan: SessionPlan
    images: SessionImages
    docker: Docker
    api: Api
    console: Console
    phases: Phases
    outputs: Outputs
    stack: CleanupStack = field(default_factory=CleanupStack)
    control: Control | None = None
    pod: ReadyPod | None = None
    keys: KeyPair = field(init=False, repr=False)
    volumes: VolumeService = field(init=False)
    shown: Shown = field(init=False)
    seen: Seen = field(default_factory=Seen)
    _ending: threading.Event = field(default_factory=threading.Event)
    lost: TpboxError | None = None  # why the session cannot go on
    over: threading.Event = field(default_factory=threading.Event)  # set when it cannot
    info: RemoteInfo | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # of a process that adds nothing
    processes: Processes = field(default_factory=Processes)
    _around: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # what goes on beside the process
    _relay: HostRelay | None = None

    def __post_init__(self) -> None:
        facts = self.plan.facts
        self.keys = new_key_pair(self.plan.name)
        self.shown = Shown(self.plan.session, self.plan.inbound.exposed)
        self.place = Place(self.plan, self.images.pod, self.keys.public, self.api, self.console, self._ending)
        self.record = SessionRecord(
            session=self.plan.session,
            owner=facts.owner,
            target=self.plan.target,
            docker_host=facts.docker_host,
            kubeconfig=facts.kubeconfig,
            context=facts.context,
            namespace=facts.namespace,
            name=self.plan.request.session_name,
            objects=[ObjectRef(kind, name) for kind, name in self.plan.objects()],
        )

    @contextlib.contextmanager
    def recorded(self) -> Iterator[None]:
        """The record is written and the watchdog runs: from here on no death leaves anything behind."""
        self.record.save()
        with watchdog.watching(self.plan.session):
            yield

    def start(self) -> None:
        """Pod and helper side by side, link, engine and volumes: processes may come."""
        self.pod, self.control = self._pod_and_helper()
        self.stack.push("user's container", self.processes.remove)
        self._choose_engine(self.pod)
        with self.phases.phase("link", "tunnel"):
            self.control.configure(self._configuration(self.pod))
            self.control.wait_link(LINK_TIMEOUT)
        self._around.enter_context(self.place.guarding(self._send_guard))
        with self.phases.phase("remote-info"):
            self._learn(self.control.wait_remote(LINK_TIMEOUT))
            self.environment = self.environment_of(self.plan.request.process, self.console)
            self._write_environment()
        if self.plan.request.looks_only:
            return
        with self.phases.phase("engine", f"engine {self.plan.engine}"):
            self.control.wait_engine(ENGINE_TIMEOUT)
        with self.phases.phase("volumes"):
            if self.seen.paths():
                self.control.wait_volumes(VOLUMES_TIMEOUT)
        self._begin_beside()

    def _write_environment(self) -> None:
        self.outputs.write_environment(self.environment, self.console.warn)

    def _learn(self, info: RemoteInfo) -> None:
        """What the pod is; `seen` without what a single process brings."""
        self.info = info
        self.seen = self.plan.volumes.seen(info.mounts)

    def environment_of(self, options: ProcessOptions, console: Console) -> Mapping[str, str]:
        """What a process with these options gets; the user is told when that is not everything."""
        assert self.info, "the session has started"
        identity = {**self.plan.identity(self.pod_name), **self.seen.environment()}
        own = {**self.plan.request.process.environment, **options.environment}
        return outputs.environment_of(self.info.environment, identity, own, self.plan.request.env_exclude, console.warn)

    def process(self, options: ProcessOptions, console: Console) -> ContainerProcess:
        """A process of a named session, in a container of its own; it is not created yet."""
        name = options.name or names.of(self.plan.session, f"app-{secrets.token_hex(3)}")
        made = self.plan.process(options, name)
        return self._process(made, self.environment_of(options, console), console)

    def _process(self, made: ProcessPlan, environment: Mapping[str, str], console: Console) -> ContainerProcess:
        assert self.info, "the session has started"
        own = own_targets(made.options.volumes, made.options.extra)
        seen = self.plan.volumes.for_process(own).seen(self.info.mounts)
        process = ContainerProcess(self.docker, made, environment, seen, self.volumes, console)
        self.processes.add(process)
        return process

    def _send_guard(self, payload: Mapping[str, Any]) -> None:
        assert self.control, "the link is up"
        self.control.guard(payload)

    def _choose_engine(self, pod: ReadyPod) -> None:
        """The pod's image may be an older one, or somebody's own. Raises TunnelError."""
        if self.plan.engine == "netstack" and not pod.engine_port:
            self.plan = self.plan.with_sshuttle("the proxy pod has no far end for it")
        self.console.detail(engine.words(self.plan.request.engine, self.plan.facts.not_exact))

    def _begin_beside(self) -> None:
        """What goes on while the process runs: connections to this machine, and the swap."""
        if self.plan.inbound.host:
            from tpbox.local.host_relay import HostRelay  # asyncio takes 80 ms to import

            relay = HostRelay(self.plan.facts.docker_host, self.plan.name, self.console.warn)
            self._relay = self._around.enter_context(relay)
        self._around.enter_context(self.place.watching(lambda: self.pod_name, self._lose))

    @property
    def pod_name(self) -> str:
        """Empty while there is none."""
        return self.pod.name if self.pod else ""

    def run_process(self) -> int:
        """Runs the user's process in the foreground and returns its exit code.

        Raises TunnelError when the helper died under it.
        """
        with self.phases.phase("process"):
            made = self.plan.process(self.plan.request.process)
            process = self._process(made, self.environment, self.console)
            process.create()
        self.console.say(
            f"running as {self.plan.name} in {self.plan.facts.context}/{self.plan.facts.namespace} "
            f"({self.phases.elapsed():.1f} s)"
        )
        try:
            with self.phases.phase("running"), process.moving(last=True):
                code = process.run(self.withdraw if self.place.swapping else None)
        except StartError as error:
            raise self.blamed(error) from error
        if self.lost:
            raise self.lost
        if self.plan.request.keep:
            self._wait_for_a_look()
        return code

    def blamed(self, error: StartError) -> TpboxError:
        """Why a process could not be started: its own fault, or that of a helper which has gone just then."""
        if not self.docker.state(self.plan.name).get("Running"):
            self.over.wait(LOST_WITHIN)
        return self.lost or error

    def withdraw(self) -> None:
        """Somebody ends the session, and the process can still answer: nobody shall miss it."""
        with contextlib.suppress(TpboxError):  # close() says what could not be done
            if self.control and self.place.swapping:
                self.place.withdraw(self.control, self.pod_name)

    def end_processes(self) -> None:
        """Tells the processes to end, and waits until those who ran them have seen it."""
        for process in self.processes.close():
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + TERM_PATIENCE + LEFT_TO_KILL
        while self.processes.all() and time.monotonic() < deadline:
            time.sleep(KILL_INTERVAL)

    def close(self) -> None:
        """Gives back what was swapped, removes everything, last made first, and says what could not be removed."""
        self._ending.set()
        failures = self._give_back()
        with self.phases.phase("cleanup"):
            failures += self.stack.unwind()
        for failure in failures:
            self.console.warn(f"{failure.step} is left behind: {failure.error.message}. Later: tpbox cleanup")
        if not failures:
            self.shown.remove(self.record)

    def wait_back(self) -> None:
        """Waits until what was given back is Ready; nothing else is left to do."""
        if self.place.swapping:
            self.place.swapping.wait_back_unless_interrupted(self.plan.request.restore_wait)

    def _give_back(self) -> list[Failure]:
        steps = CleanupStack()
        if swapping := self.place.swapping:
            steps.push(f"the swap of {swapping.workload}", lambda: self._restore(swapping))
        steps.push("what went on beside the process", self._around.close)
        failures = steps.unwind()
        if failures:
            self.place.keep()
        return failures

    def _restore(self, swapping: Swapping) -> None:
        with self.phases.phase("restore"):
            swapping.give_back()

    def _pod_and_helper(self) -> tuple[ReadyPod, Control]:
        with beside(self._start_pod, self._ending) as pod, self.phases.phase("helper", "helper"):
            control = self._start_helper()
        return pod.result(), control

    def _start_pod(self) -> ReadyPod:
        with self.phases.phase("pod", f"proxy pod in {self.plan.facts.namespace}"):
            return self.place.take(self.stack.push)

    def _configuration(self, pod: ReadyPod) -> dict[str, Any]:
        return self.plan.configuration(pod.name, self.keys.private, pod.host_key)

    def _start_helper(self) -> Control:
        channel, self.volumes = helper.start(
            self.docker, self.plan, self.images.helper, self.stack.push, self._replanned
        )
        control = Control(channel, self._on_event, self._on_helper_end)
        control.wait_hello(HELLO_TIMEOUT)
        return control

    def _replanned(self, plan: SessionPlan) -> None:
        self.plan = plan
        self.record.objects = [ObjectRef(kind, name) for kind, name in plan.objects()]
        self.record.save()

    def _on_event(self, event: dict[str, Any]) -> None:
        match event["event"], event.get("state"):
            case "remote", _ if self.info:  # a pod in the first one's place
                self._learn(RemoteInfo.of(event["info"]))
            case "link", "down":
                self.console.warn(f"the tunnel is down ({event.get('reason', '')}); making it anew")
                self.shown.link_is_up.clear()
                threading.Thread(target=self._follow_pod, name="follow", daemon=True).start()
            case "link", _:
                self.shown.link_is_up.set()
                if event.get("reconnects"):
                    self.console.say("the tunnel is up again")
            case "volumes", "note":
                self.console.warn(event["message"])
            case "volumes", "down":
                self.console.warn(f"the pod's volumes are lost: {event['reason']}")
            case "expose", "changed":
                self.shown.listening = tuple(event["listening"])
            case "expose", "failed":
                self._lose(TunnelError(f"port {event['port']} cannot be had", detail=event["reason"]))
            case "guard", "failed":
                self.console.warn(f"if this machine dies, only `tpbox cleanup` restores: {event['reason']}")
            case "host", _ if self._relay:
                self._relay.connect(event["id"], event["port"])
        if event["event"] in ("link", "expose"):
            self._publish()

    def _publish(self) -> None:
        self.shown.publish(self.pod_name, self.control.reconnects if self.control else 0)

    def _follow_pod(self) -> None:
        """While the link is down: a pod that was evicted or deleted is replaced by its Job; the helper is told."""
        said = ""
        while not self._ending.is_set() and not self.shown.link_is_up.wait(FOLLOW_INTERVAL):
            try:
                pod = self.place.follow()
                if pod != self.pod and self.control:
                    self.pod = pod
                    self.control.configure(self._configuration(pod))
            except SwappedError as error:
                self._lose(error)
                return
            except TpboxError as error:  # an API server that is away comes back, or the user ends it
                if isinstance(error, PodError) and error.message != said and not self._ending.is_set():
                    said = error.message
                    self.console.warn(f"{said}: {error.detail}")

    def _on_helper_end(self) -> None:
        words = self.control.failure.message if self.control and self.control.failure else ""
        self._lose(TunnelError("the helper container ended, and the session with it", detail=words))

    def _lose(self, error: TpboxError) -> None:
        """The session cannot go on: the process is ended, and `error` is why."""
        if self._ending.is_set() or self.lost:
            return
        self.lost = error
        self.over.set()
        threading.Thread(target=self._end_processes, name="lost", daemon=True).start()

    def _end_processes(self) -> None:
        while not self._ending.wait(KILL_INTERVAL):  # one may be about to start
            self.processes.kill(signal.SIGKILL)

    def _wait_for_a_look(self) -> None:
        self.console.say(f"kept for a look: pod {self.pod_name}, helper {self.plan.name}; Ctrl-C ends it")
        with contextlib.suppress(TpboxError), signals.interrupting():
            while not self.lost:
                self._ending.wait(FOLLOW_INTERVAL)
