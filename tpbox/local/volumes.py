"""The pod's volumes on the way into the user's container, as tpbox.plan.volumes has decided.

    service = VolumeService(docker, plan, helper_image)
    service.prepare(stack.push)                    # Docker volumes: the gate's, and one for each copy
    with service.mover_beside(stack.push): ...     # the mover starts while the helper does
    mounted = service.mounted(seen, process)       # for `docker create`
    with service.moving(seen, process): ...        # the container runs: live mounts go in as soon as it exists

A live volume is taken out of the helper's mount namespace and put into the container's by the mover, so that the host
never has a mount. One mover serves all of a session's containers, one at a time.
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
from tpbox.plan.request import ProcessOptions
from tpbox.plan.session import SessionPlan
from tpbox.plan.volumes import COPIES, Mounted, Seen
from tpbox.ui import Console

APP_POLL = 0.02  # seconds
END_SEEN_WITHIN = 1.0  # seconds, by which Docker shows that a container has ended
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
    """The container that moves mounts (images/local, `mover`), spoken to line by line."""

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
            if said.get("event") == "failed":
                break
        raise DockerError("the pod's volumes could not be moved into the container", detail="\n".join(words))

    def move(self, source: int, target: int, mounts: list[dict[str, Any]]) -> None:
        """From one container's process to another's, both as the host counts. Raises DockerError."""
        command = {"command": "move", "from": source, "to": target, "mounts": mounts}
        with self._asking:
            self._channel.send(json.dumps(command).encode() + b"\n")
            self.expect("moved")

    def close(self) -> None:
        """It ends."""
        self._channel.close()


class VolumeService:
    """One session's volumes."""

    def __init__(self, docker: Docker, plan: SessionPlan, helper_image: str) -> None:
        self._docker = docker
        self._plan = plan
        self._image = helper_image
        self._mover: Mover | None = None
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

    def mounted(self, seen: Seen, process: ProcessOptions, console: Console) -> Mounted:
        """What the user's container is created with. The helper has to have said that volumes are up.

        Raises DockerError.
        """
        for words in (f"volumes are seen {self._plan.volumes.words()}", *seen.remarks()):
            console.detail(words)
        for path in seen.missed:
            console.warn(f"there is no copy of {path}, which the session began without; live volumes have it")
        config = (self._docker.image(process.image) or {}).get("Config") or {}
        return seen.container(process.image, config, self.gate, process.entrypoint, process.command)

    def put_files(self, seen: Seen, container: str) -> None:
        """Copies single files into the created container: a Docker volume can only be a directory.

        Raises DockerError.
        """
        for mount, volume in seen.copied.items():
            if mount.is_file:
                source = f"{COPIES}/{volume}/{mount.real_path.rpartition('/')[2]}"
                self._docker.copy_file(self._plan.name, source, container, mount.path)

    @contextlib.contextmanager
    def moving(self, seen: Seen, container: str, *, last: bool) -> Iterator[None]:
        """Within, the live mounts are put into the container as soon as it runs; its gate waits for them. After the
        `last` container the mover ends: it may do much.

        Raises DockerError when they could not be.
        """
        if not (seen.live and self._mover):
            if last and self._mover:
                self._mover.close()
            yield
            return
        move = _Move(self._docker, self._mover, self._plan.name, container, seen, last)
        with ThreadPoolExecutor(1, thread_name_prefix="volumes") as pool:
            moved = pool.submit(move.work)
            try:
                yield
            finally:
                move.ended.set()
        if failure := moved.result():
            raise failure


class _Move:
    """The live mounts on their way into one container."""

    def __init__(self, docker: Docker, mover: Mover, helper: str, container: str, seen: Seen, last: bool) -> None:
        self._docker = docker
        self._mover = mover
        self._last = last
        self._helper = helper
        self._container = container
        self._seen = seen
        self.ended = threading.Event()

    def work(self) -> TpboxError | None:
        """Waits until the container runs, and moves them. A failure ends the container, whose gate would wait."""
        try:
            while not (pid := self._pid(self._container)):
                if self.ended.wait(APP_POLL):
                    return None  # it never ran
            self._mover.move(self._pid(self._helper), pid, self._seen.to_take())
            if self._last:
                self._mover.close()
        except TpboxError as error:
            if not self._has_ended():  # while its gate waited
                self._docker.kill(self._container, 9)
                return error
        return None

    def _has_ended(self) -> bool:
        deadline = time.monotonic() + END_SEEN_WITHIN
        while time.monotonic() < deadline:
            if self.ended.wait(APP_POLL) or not self._pid(self._container):
                return True
        return False

    def _pid(self, container: str) -> int:
        """Its first process as the host counts; 0 when it does not run."""
        return int(((self._docker.inspect(container) or {}).get("State") or {}).get("Pid") or 0)
