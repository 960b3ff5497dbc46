"""The pod's volumes on the way into the user's container, as tpbox.plan.volumes has decided.

    service = VolumeService(docker, plan, helper_image)
    service.prepare(stack.push)                    # Docker volumes: the gate's, and one for each copy
    with service.mover_beside(stack.push): ...     # the mover starts while the helper does
    mounted = service.mounted(seen)                # for `docker create`
    with service.moving(seen): ...                 # the container runs: live mounts go in as soon as it exists

A live volume is taken out of the helper's mount namespace and put into the container's by the mover, so that the host
never has a mount.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tpbox import names
from tpbox.errors import DockerError, ImageError, TpboxError
from tpbox.local.docker import Channel, Docker
from tpbox.plan.session import SessionPlan
from tpbox.plan.volumes import COPIES, Mounted, Seen
from tpbox.ui import Console

APP_POLL = 0.02  # seconds
REMOVAL_PATIENCE, REMOVAL_POLL = 5.0, 0.1  # seconds
GATE = "tpbox-gate-"
HASH_LENGTH = 12

Cleanup = Callable[[str, Callable[[], None]], None]  # is told how a thing is undone before it is made


def remove(docker: Docker, name: str) -> None:
    """Removes a Docker volume of a session. The helper that has it may be going only now: Docker removes it by itself.

    Raises DockerError when the volume is still in use after REMOVAL_PATIENCE.
    """
    deadline = time.monotonic() + REMOVAL_PATIENCE
    while True:
        try:
            return docker.remove_volume(name)
        except DockerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(REMOVAL_POLL)


class Mover:
    """The container that moves mounts (images/local, `mover`), spoken to line by line; it ends with the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lines = channel.lines()
        self._asking = threading.Lock()

    def expect(self, event: str) -> None:
        """Waits for its answer. Raises DockerError with its words when it is another."""
        words = []
        for stream, line in self._lines:
            said: dict[str, Any] = json.loads(line) if stream == "stdout" else {"message": line}
            if said.get("event") == event:
                return
            words.append(said.get("message", line))
            if said.get("event") == "failed":  # it goes on, and says nothing more
                break
        raise DockerError("the pod's volumes could not be moved into the container", detail="\n".join(words))

    def move(self, source: int, target: int, mounts: list[dict[str, Any]]) -> None:
        """Copies mounts of one process's namespace into another's. Raises DockerError."""
        command = {"command": "move", "from": source, "to": target, "mounts": mounts}
        with self._asking:
            self._channel.send(json.dumps(command).encode() + b"\n")
            self.expect("moved")

    def close(self) -> None:
        self._channel.close()


class VolumeService:
    """One session's volumes."""

    def __init__(self, docker: Docker, plan: SessionPlan, helper_image: str) -> None:
        self._docker = docker
        self._plan = plan
        self._image = helper_image
        self._mover: Mover | None = None
        self._failure: TpboxError | None = None
        self.gate = ""

    def prepare(self, cleanup: Cleanup) -> None:
        """Makes the Docker volumes that the helper is created with. Raises DockerError."""
        labels = names.labels(names.Role.VOLUME, self._plan.session, self._plan.facts.owner)
        for name in self._plan.volumes.copies().values():
            cleanup(f"volume {name}", functools.partial(remove, self._docker, name))
            self._docker.create_volume(name, labels)
        if self._plan.volumes.live:
            self.gate = self._ensure_gate()

    def _ensure_gate(self) -> str:
        """The Docker volume that has the gate: Docker fills it from the helper's image when the helper is created. It
        is kept as a cache, one for each helper image, and goes after its image has gone."""
        image = self._docker.image(self._image)
        if image is None:
            raise ImageError(f"the helper's image {self._image} is not here", hint=f"docker pull {self._image}")
        name = GATE + str(image["Id"]).removeprefix("sha256:")[:HASH_LENGTH]
        labels = names.labels(names.Role.IMAGE)
        there = [v for v in self._docker.volumes(labels) if v.startswith(GATE)]
        if name not in there:
            self._docker.create_volume(name, labels)
        for other in there:
            if self._docker.image(other.removeprefix(GATE)) is None:
                with contextlib.suppress(DockerError):  # a container that was made before uses it
                    self._docker.remove_volume(other)
        return name

    @contextlib.contextmanager
    def mover_beside(self, cleanup: Cleanup) -> Iterator[None]:
        """Starts the mover while the block runs; at its end it is ready. Raises DockerError when it is refused."""
        if not self._plan.volumes.live:
            yield
            return
        cleanup("mover", lambda: self._docker.remove(self._plan.mover_name))
        with ThreadPoolExecutor(1, thread_name_prefix="mover") as pool:
            started = pool.submit(self._start_mover)
            yield
            self._mover = started.result()

    def _start_mover(self) -> Mover:
        spec = self._plan.mover(self._image)
        self._docker.create(spec)
        mover = Mover(self._docker.attach(spec.name))
        self._docker.start(spec.name)
        mover.expect("ready")
        return mover

    def mounted(self, seen: Seen, console: Console) -> Mounted:
        """What the user's container is created with. Raises DockerError."""
        for words in (f"volumes are seen {self._plan.volumes.words()}", *seen.remarks()):
            console.detail(words)
        for path in seen.missed:
            console.warn(f"there is no copy of {path}, which is not in the manifest; live volumes have it")
        process = self._plan.request.process
        config = (self._docker.image(process.image) or {}).get("Config") or {}
        return seen.container(process.image, config, self.gate, process.entrypoint, process.command)

    def put_files(self, seen: Seen) -> None:
        """Copies single files into the created container: a Docker volume can only be a directory.

        Raises DockerError.
        """
        for mount, volume in seen.copied.items():
            if mount.is_file:
                source = f"{COPIES}/{volume}/{mount.real_path.rpartition('/')[2]}"
                self._docker.copy_file(self._plan.name, source, self._plan.app_name, mount.path)

    @contextlib.contextmanager
    def moving(self, seen: Seen) -> Iterator[None]:
        """Within, the live mounts are moved into the container as soon as it runs; its gate waits for them. The helper
        has to have said that volumes are up. The mover ends then: the session has this one container.

        Raises DockerError when they could not be moved.
        """
        if not (seen.live and self._mover):
            self.dismiss_mover()
            yield
            return
        ended = threading.Event()
        worker = threading.Thread(target=self._move_once, args=(seen, ended), name="volumes", daemon=True)
        worker.start()
        try:
            yield
        finally:
            ended.set()
            worker.join()
        if self._failure:
            raise self._failure

    def move(self, seen: Seen, pid: int) -> None:
        """Moves the live mounts into the container whose first process is `pid`: one after another, as often as there
        are containers. Raises DockerError.
        """
        if seen.live and self._mover:
            self._mover.move(self._pid(self._plan.name), pid, seen.to_take())

    def dismiss_mover(self) -> None:
        """Nothing more is to be moved: the mover ends, and Docker removes it."""
        if self._mover:
            self._mover.close()

    def _move_once(self, seen: Seen, ended: threading.Event) -> None:
        try:
            while not (pid := self._pid(self._plan.app_name)):
                if ended.wait(APP_POLL):
                    return  # it never ran
            self.move(seen, pid)
        except TpboxError as error:
            if not ended.is_set() and self._pid(self._plan.app_name):  # else it was ended while its gate waited
                self._failure = error
                self._docker.kill(self._plan.app_name, 9)
        finally:
            self.dismiss_mover()

    def _pid(self, container: str) -> int:
        """Its first process as the host counts; 0 when it does not run."""
        return int(((self._docker.inspect(container) or {}).get("State") or {}).get("Pid") or 0)
