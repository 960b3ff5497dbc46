"""A session of `tpbox compose`: its helper is a service of the project, made, started and ended by Docker Compose.

The session tells what the helper is to be (`Outputs.on_planned`), waits for the container, and starts the supervisor in
it. When the container ends, it waits for the next: `docker compose up` may make it anew. Meanwhile the agent hears
nothing, and gives back what was swapped after its grace time; with the next helper it is taken again.
"""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tpbox import names, state
from tpbox.cluster.proxy_pod import ReadyPod
from tpbox.errors import TpboxError
from tpbox.local import helper
from tpbox.local.docker import Container
from tpbox.named import NamedSession
from tpbox.plan import envfile
from tpbox.session.live import HELLO_TIMEOUT, Session
from tpbox.tunnel.control import Control

STOP_WITHIN = 10  # seconds, as `docker stop` has it
RETRY = 1.0  # seconds


class ComposedSession(Session):
    """`plan.request.composed` is there."""

    def _start_helper(self) -> Control:
        self.volumes = helper.prepared(self.docker, self.plan, self.images.helper, self.stack.push)
        self.stack.push("the service's containers", self.end_processes)
        self.outputs.on_planned(self._planned())
        return self._adopted()

    def _adopted(self) -> Control:
        channel = helper.adopt(self.docker, self.plan.name, self._ending)
        self.stack.push("control channel", channel.close)
        control = Control(channel, self._on_event, self._on_helper_end)
        control.wait_hello(HELLO_TIMEOUT)
        return control

    def _configuration(self, pod: ReadyPod) -> dict[str, Any]:
        """With the networks of the project: what goes there stays on this machine."""
        subnets = self.docker.subnets(self.plan.name)
        local = [subnet for name, subnet in subnets.items() if name != self.plan.facts.server.network]
        return self.plan.configuration(pod.name, self.keys.private, pod.host_key, local)

    def _write_environment(self) -> None:
        """For Compose, which reads it when it makes the service's container."""
        rendered = envfile.file(self.environment)  # Compose reads dotenv as it is meant
        for words in rendered.doubts():
            self.console.warn(words)
        state.write_private(environment_file(self.plan.request.session_name), rendered.text)

    def _planned(self) -> dict[str, Any]:
        """What the override says of this session, as JSON."""
        facts = self.plan.facts
        return {
            "session": self.plan.session,
            "helper": dataclasses.asdict(self.plan.helper(self.images.helper)),
            "app_labels": names.labels(names.Role.APP, self.plan.session, facts.owner),
            "env_file": str(environment_file(self.plan.request.session_name)),
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

    def _on_helper_end(self) -> None:
        if self.control and self.control.failure:
            super()._on_helper_end()
        elif not self._ending.is_set():
            self._link_is_up.clear()
            threading.Thread(target=self._adopt_again, name="adopt", daemon=True).start()

    def _adopt_again(self) -> None:
        self.console.say("the helper has ended; the next one is waited for")
        while not self._ending.wait(RETRY):
            try:
                control = self._adopted()
                self.pod = self.place.follow()
                control.configure(self._configuration(self.pod))
                self.control = control
                self.place.hand_over_again()
                return
            except TpboxError as error:
                self.console.detail(error.message)

    def end_processes(self) -> None:
        """Stops the service's containers, as Compose would, and removes them: without the session they have neither
        network nor volumes. Raises DockerError."""
        labels = names.labels(names.Role.APP, self.plan.session)
        if found := self.docker.containers(labels):
            with ThreadPoolExecutor(len(found)) as pool:
                for _ in pool.map(self._end_process, found):
                    pass

    def _end_process(self, container: Container) -> None:
        self.docker.stop(container.name, STOP_WITHIN)
        self.docker.remove(container.name)


def environment_file(session: str) -> Path:
    """The pod's environment for Compose, 0600."""
    return NamedSession(session).folder / "environment"
