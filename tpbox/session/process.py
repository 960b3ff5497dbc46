"""One of the user's processes in a session, a container.

    process = ContainerProcess(docker, made, environment, seen, volumes, console)
    process.create(folder)
    with process.moving(last=True):
        code = process.run(before_end)
    process.remove()

A native process will have these four, too: the session knows nothing else of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tpbox.errors import DockerError, TpboxError, UsageError
from tpbox.local import app
from tpbox.local.docker import Docker
from tpbox.local.volumes import VolumeService
from tpbox.plan.process import ProcessPlan
from tpbox.plan.volumes import Seen
from tpbox.ui import Console


@dataclass(frozen=True)
class ContainerProcess:
    docker: Docker
    plan: ProcessPlan
    environment: Mapping[str, str] = field(repr=False)
    seen: Seen
    volumes: VolumeService
    console: Console

    def create(self, folder: str = "") -> None:
        """Makes the container; it does not run yet. Relative paths are `folder`'s, else ours. Raises TpboxError."""
        mounted = self.volumes.mounted(self.seen, self.plan.options, self.console)
        app.create(self.plan, self.environment, mounted, self.console.warn, folder)
        self.volumes.put_files(self.seen, self.plan.name)

    def moving(self, *, last: bool = False) -> contextlib.AbstractContextManager[None]:
        """Within, it gets its live volumes as soon as it runs; `last`: no other will want any."""
        return self.volumes.moving(self.seen, self.plan.name, last=last)

    def run(self, before_end: Callable[[], None] | None = None) -> int:
        """Runs it in the foreground and returns its exit code. Raises StartError."""
        return app.run(self.docker, self.plan, before_end)

    def exit_code(self, code: int) -> int:
        """How it has ended, where somebody else ran it; `code` is what the docker command said. Raises StartError."""
        return app.exit_code(self.docker, self.plan, code)

    def signal(self, number: int) -> None:
        """Sends a signal once it runs; one that ends is followed by SIGKILL after ten seconds."""
        app.Signals(self.docker, self.plan.name).hand_on(number)

    def kill(self, number: int) -> bool:
        """Sends a signal now, and returns whether it runs."""
        return self.docker.kill(self.plan.name, number)

    def remove(self) -> None:
        """Ends and removes it; a container of that name that is somebody else's stays."""
        self.docker.remove_own(self.plan.name, self.plan.session)


class Processes:
    """Those of one session, running or not."""

    def __init__(self) -> None:
        self._there: dict[str, ContainerProcess] = {}
        self._closed = False
        self._adding = threading.Lock()

    def add(self, process: ContainerProcess) -> None:
        """Before it is created: what is here is removed with the session.

        Raises TpboxError after close(), and when one of that name is there, which would be removed in its place.
        """
        with self._adding:
            self.check()
            if process.plan.name in self._there:
                raise UsageError(f"--name {process.plan.name}: a process of the session has it")
            self._there[process.plan.name] = process

    def check(self) -> None:
        """Raises TpboxError after close()."""
        if self._closed:
            raise TpboxError("the session is ending")

    def close(self) -> list[ContainerProcess]:
        """No more may come; returns those that are there."""
        with self._adding:
            self._closed = True
            return self.all()

    def all(self) -> list[ContainerProcess]:
        return list(self._there.values())

    def kill(self, number: int) -> None:
        for process in self.all():
            process.kill(number)

    def release(self, process: ContainerProcess) -> None:
        """It has ended, and is removed. Raises DockerError."""
        process.remove()
        self._there.pop(process.plan.name, None)

    def remove(self) -> None:
        """Ends and removes them all. Raises the first DockerError, when all have been tried."""
        errors = []
        for process in self.all():
            try:
                self.release(process)
            except DockerError as error:
                errors.append(error)
        if errors:
            raise errors[0]
