"""A session of `tpbox compose`: its helper is a service of the project, made, started and ended by Docker Compose.

The session tells what the helper is to be (`Outputs.on_planned`), waits for the container, and starts the supervisor in
it. When the container ends, it waits for the next: `docker compose up` may make it anew. Meanwhile the agent hears
nothing, and gives back what was swapped after its grace time; with the next helper it is taken again.
"""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpbox import names, state
from tpbox.cluster.proxy_pod import ReadyPod
from tpbox.cluster.swap import SwappedError
from tpbox.errors import DockerError, TpboxError
from tpbox.local import helper
from tpbox.plan import envfile
from tpbox.session.live import ENGINE_TIMEOUT, HELLO_TIMEOUT, LINK_TIMEOUT, Session
from tpbox.tunnel.control import Control

STOP_WITHIN = 10  # seconds, as `docker stop` has it
RETRY = 1.0  # seconds
LINK_AGAIN = 120  # seconds; a pod that goes meanwhile is followed


@dataclass
class ComposedSession(Session):
    """`plan.request.composed` is there."""

    _gone: threading.Event = field(default_factory=threading.Event)  # set when the helper has ended

    def _start_helper(self) -> Control:
        self.volumes = helper.prepared(self.docker, self.plan, self.images.helper, self.stack.push)
        self.stack.push("the service's environment", self._forget_environment)
        self.stack.push("the service's containers", self.end_processes)
        self.outputs.on_planned(self._planned())
        control = self._adopted()
        self.stack.push("control channel", self._close_control)
        return control

    def _adopted(self) -> Control:
        """Raises TpboxError."""
        control = Control(helper.adopt(self.docker, self.plan.name, self._ending), self._on_event, self._gone.set)
        try:
            control.wait_hello(HELLO_TIMEOUT)
        except BaseException:
            control.close()  # returns when its end has been told: _gone is of the next one then
            raise
        return control

    def _close_control(self) -> None:
        if self.control:
            self.control.close()

    def _begin_beside(self) -> None:
        super()._begin_beside()
        threading.Thread(target=self._stay_adopted, name="adopt", daemon=True).start()

    def _configuration(self, pod: ReadyPod) -> dict[str, Any]:
        """With the networks of the project: what goes there stays on this machine."""
        subnets = self.docker.subnets(self.plan.name)
        local = [subnet for name, subnet in subnets if name != self.plan.facts.server.network]
        return self.plan.configuration(pod.name, self.keys.private, pod.host_key, local)

    def _write_environment(self) -> None:
        """For Compose, which reads it when it makes the service's container."""
        if self._ending.is_set():
            return
        rendered = envfile.file(self.environment)  # Compose reads dotenv as it is meant
        for words in rendered.doubts():
            self.console.warn(words)
        state.write_private(self._env_file, rendered.text)

    def _forget_environment(self) -> None:
        """Compose still reads the file, whatever it is asked, until `tpbox compose` has removed the override."""
        state.empty(self._env_file)

    @property
    def _env_file(self) -> Path:
        assert self.plan.request.composed
        return Path(self.plan.request.composed.env_file)

    def _planned(self) -> dict[str, Any]:
        """What the override says of this session, as JSON."""
        facts = self.plan.facts
        return {
            "session": self.plan.session,
            "helper": dataclasses.asdict(self.plan.helper(self.images.helper)),
            "app_labels": names.labels(names.Role.APP, self.plan.session, facts.owner),
            "env_file": str(self._env_file),
            "copies": self._copies(),
            "network": facts.server.network,
        }

    def _copies(self) -> dict[str, dict[str, Any]]:
        """Of whole folders: no Docker volume is a single file, and only the pod will know what a subPath is."""
        mounts = {mount["mountPath"]: mount for mount in self.plan.clone.container.get("volumeMounts", ())}
        found = {}
        for path, volume in self.plan.volumes.copies().items():
            mount = mounts.get(path, {})
            if "subPath" in mount or "subPathExpr" in mount:
                self.console.warn(f"the pod's volume at {path} is a part of one (subPath): the service does without it")
            else:
                found[path] = {"volume": volume, "read_only": bool(mount.get("readOnly"))}
        return found

    def _stay_adopted(self) -> None:
        """Until the session ends. A helper that has given up is not waited for: the next one would as well."""
        said = ""
        while not self._ending.is_set():
            if not self._gone.wait(RETRY) or self._ending.is_set():
                continue
            if self.control and self.control.failure:
                self._on_helper_end()
                return
            if not said:
                self.console.say(said := "the helper has ended; the next one is waited for")
            self.shown.link_is_up.clear()
            self._publish()
            self._gone.clear()
            try:
                self._adopt_again()
                said = ""
            except SwappedError as error:
                self._lose(error)
                return
            except TpboxError as error:
                if error.message != said and not self._ending.is_set():
                    self.console.warn(said := error.message)
                self._gone.set()
                self._ending.wait(RETRY)

    def _adopt_again(self) -> None:
        """The next helper leads to the pod as the first one did. Raises TpboxError."""
        self.control = control = self._adopted()
        try:
            self.pod = self._follow()
            control.configure(self._configuration(self.pod))
            control.wait_link(LINK_AGAIN)
            self.place.hand_over_again()
            self._learn(control.wait_remote(LINK_TIMEOUT))
            self.environment = self.environment_of(self.plan.request.process, self.console)
            self._write_environment()
            control.wait_engine(ENGINE_TIMEOUT)
        except BaseException:
            control.close()
            control.failure = None  # the agent was about to end, perhaps: the next helper finds another pod
            raise
        self._restart_stale()
        self.console.say("the service is in the cluster again")

    def _follow(self) -> ReadyPod:
        """The agent may be about to end, since it has not heard of us: what fails is tried again while this helper
        lives, which nobody would start once more. Raises SwappedError when the workload is not to be had."""
        while True:
            try:
                return self.place.follow()
            except TpboxError as error:
                if isinstance(error, SwappedError) or self._gone.is_set() or self._ending.wait(RETRY):
                    raise
                self.console.detail(f"{error.message}: {error.detail}")

    def _restart_stale(self) -> None:
        """A container that Compose has left running is still in the network namespace of the helper that has gone."""
        helper_since = self.docker.started(self.plan.name)
        for name in self.docker.sharing_network(self.plan.name):
            if self.docker.started(name) < helper_since:
                self.console.say(f"{name} is started again, in the network of the helper that is there now")
                try:
                    self.docker.restart(name, STOP_WITHIN)
                except DockerError as error:  # the helper is as it should be all the same
                    self.console.warn(f"{error.message}: {error.detail}")

    def end_processes(self) -> None:
        """Stops the service's containers, as Compose would, and removes them: without the session they have neither
        network nor volumes. Raises DockerError."""
        self.processes.close()
        labels = names.labels(names.Role.APP, self.plan.session)
        mine = [container.name for container in self.docker.containers(labels)]
        if found := list(dict.fromkeys([*mine, *self.docker.sharing_network(self.plan.name)])):
            with ThreadPoolExecutor(len(found)) as pool:
                for _ in pool.map(self._end_process, found):
                    pass

    def _end_process(self, container: str) -> None:
        self.docker.stop(container, STOP_WITHIN)
        self.docker.remove(container)
