"""Named sessions on this machine: where each is kept, and whether it lives.

    name = NamedSession("dev")
    with name.held():                        # by the process that is the session; raises UsageError when it is taken
        name.save(Start.here(("up", "dev", "--swap", "web")))
    name.alive()                             # whether somebody holds it
    name.start()                             # how it was started, also after its end

A folder each, 0700: `start.json` how it was started, `pid`, `log` what it says, `socket` where it listens, `lock`.
The lock tells whether it lives: the kernel lets go of it however its holder ends. Who only looks takes it shared, for a
moment: those who look do not see each other, and the session itself tries for a while.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpbox import state
from tpbox.errors import TpboxError, UsageError

TAIL = 2000  # bytes of the log in which its last words are looked for
LOOKED_AT = 1.0  # seconds in which somebody who looks at the lock has let go of it
POLL = 0.02  # seconds
# What of the environment decides where a session lives.
KEPT = ("KUBECONFIG", "TPBOX_POD_IMAGE", "TPBOX_HELPER_IMAGE")
DOCKER = "DOCKER_"


@dataclass(frozen=True)
class Start:
    """How a session was started: `tpbox` with these words, in this folder."""

    words: tuple[str, ...]
    folder: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str = field(default_factory=socket.gethostname)

    @classmethod
    def here(cls, words: tuple[str, ...]) -> Start:
        """By this process, in its folder."""
        return cls(words, str(Path.cwd()), environment={n: value for n, value in os.environ.items() if _decides(n)})

    def within(self, environment: Mapping[str, str]) -> dict[str, str]:
        """`environment` with what decides where the session lives as it was then."""
        return {**{n: value for n, value in environment.items() if not _decides(n)}, **self.environment}


def _decides(variable: str) -> bool:
    """Whether it says where a session lives."""
    return variable in KEPT or variable.startswith(DOCKER)


class NamedSession:
    """One by its name, whether it is there or not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = _all() / name
        self.log = self.folder / "log"

    def make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """This process is the session. Raises UsageError when another one is."""
        descriptor = self._taken_lock()
        try:
            state.write_private(self.folder / "pid", f"{os.getpid()} {state.process_start(os.getpid())}\n")
            yield
        finally:
            os.close(descriptor)

    def alive(self) -> bool:
        """Whether a process holds it. Raises TpboxError when that cannot be known here."""
        with contextlib.suppress(FileNotFoundError):  # it was removed just now
            if self.folder.exists():
                self.check_mine()
                if (descriptor := self._lock(fcntl.LOCK_SH)) is None:
                    return True
                os.close(descriptor)
        return False

    def pid(self) -> int:
        """The process that holds it; 0 when none is known."""
        with contextlib.suppress(OSError, ValueError):
            pid, _, start = (self.folder / "pid").read_text().strip().partition(" ")
            if state.process_start(int(pid)) == start:  # else of one that has ended: the number may be anybody's now
                return int(pid)
        return 0

    def take_log(self) -> None:
        """What this process says goes to the log from now on; what an earlier session has said goes."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        os.close(descriptor)

    def save(self, start: Start) -> None:
        state.write_private(self.folder / "start.json", json.dumps(dataclasses.asdict(start)) + "\n")

    def start(self) -> Start | None:
        """None when there is no such session, or nothing that can be read of it."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            data = json.loads((self.folder / "start.json").read_text())
            known = {field.name: data[field.name] for field in dataclasses.fields(Start) if field.name in data}
            return Start(**{**known, "words": tuple(data["words"])})
        return None

    def save_plan(self, planned: Mapping[str, Any]) -> None:
        """What Docker Compose is to make for the session."""
        state.write_private(self.folder / "planned.json", json.dumps(planned) + "\n")

    def plan(self) -> dict[str, Any] | None:
        """What save_plan() has kept."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "planned.json").read_text()))
        return None

    def composed(self) -> bool:
        """Whether `tpbox compose` has begun it."""
        return (self.folder / "composed.json").exists()

    @property
    def anew(self) -> str:
        """The command that begins it anew."""
        return "tpbox compose up -d" if self.composed() else f"tpbox restart {self.name}"

    def last_words(self) -> str:
        """The last line of its log."""
        with contextlib.suppress(OSError):
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - TAIL))
                lines = file.read().decode(errors="replace").splitlines()
            return lines[-1] if lines else ""
        return ""

    def check_mine(self) -> None:
        """Raises TpboxError when the session is another user's, or runs on another machine (a shared home)."""
        owner, start = self.folder.stat().st_uid, self.start()
        if owner != os.getuid():
            raise TpboxError(f"session '{self.name}' is another user's (uid {owner})", hint="Choose another name.")
        if start and start.host != socket.gethostname():
            raise TpboxError(f"session '{self.name}' runs on host {start.host}", hint="Use it there, or another name.")

    def taken(self) -> UsageError:
        return UsageError(
            f"session '{self.name}' is there already (pid {self.pid()})",
            hint=f"End it: tpbox down {self.name}; or anew: {self.anew}",
        )

    def missing(self) -> UsageError:
        """Why nothing can be done in it: it never was, or has ended."""
        if not self.folder.exists():
            others = [other.name for other in living()]
            hint = f"There is: {', '.join(others)}" if others else f"Start it: tpbox up {self.name} --swap deploy/web"
            return UsageError(f"there is no session '{self.name}'", hint=hint)
        return UsageError(
            f"session '{self.name}' has ended",
            detail=self.last_words(),
            hint=f"Start it anew: {self.anew}; what it said: tpbox logs {self.name}",
        )

    def remove(self) -> None:
        """What is left of it; one that lives stays."""
        with contextlib.suppress(UsageError), self.held():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _taken_lock(self) -> int:
        """A descriptor that holds the lock. Raises UsageError when another process does."""
        deadline = time.monotonic() + LOOKED_AT
        while True:
            self.make_folder()
            with contextlib.suppress(FileNotFoundError):  # it was removed just now
                descriptor = self._lock(fcntl.LOCK_EX)
                if descriptor is not None and self._is_the_lock(descriptor):
                    return descriptor
                if descriptor is not None:
                    os.close(descriptor)
            if time.monotonic() > deadline:
                raise self.taken()
            time.sleep(POLL)

    def _lock(self, kind: int) -> int | None:
        """A descriptor that holds the lock; None when another process does. Raises FileNotFoundError."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _is_the_lock(self, descriptor: int) -> bool:
        """Else its folder was removed while we took it, and the next one finds another file."""
        return os.path.samestat(os.fstat(descriptor), (self.folder / "lock").stat())


def every() -> list[NamedSession]:
    """All that are there, living or ended, by name."""
    return [NamedSession(path.name) for path in sorted(_all().iterdir()) if path.is_dir()]


def living() -> list[NamedSession]:
    """Those that live; of another user's or host's it cannot be known."""
    found = []
    for session in every():
        with contextlib.suppress(TpboxError):
            if session.alive():
                found.append(session)
    return found


def ended() -> list[NamedSession]:
    """Those of which something is left; not those of `tpbox compose`, whose override names their files until `down`."""
    found = []
    for session in every():
        with contextlib.suppress(TpboxError):
            if not session.alive() and session.start() and session.plan() is None:  # without a start it begins just now
                found.append(session)
    return found


def _all() -> Path:
    found = state.directory() / "named"
    found.mkdir(mode=0o700, exist_ok=True)
    return found
