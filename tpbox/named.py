"""Named sessions on this machine: where each is kept, and whether it lives.

    name = NamedSession("dev")
    with name.held():                        # by the process that is the session; raises UsageError when it is taken
        name.save(Start.here(("up", "dev", "--swap", "web")))
    name.alive()                             # whether somebody holds it
    name.start()                             # how it was started, also after its end

A folder each, 0700: `start.json` how it was started, `pid`, `log` what it says, `socket` where it listens, `lock`.
The lock tells whether it lives: the kernel lets go of it however its holder ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tpbox import state
from tpbox.errors import TpboxError, UsageError

TAIL = 2000  # bytes of the log in which its last words are looked for
# What of the environment decides where a session lives.
KEPT = ("KUBECONFIG", "TPBOX_POD_IMAGE", "TPBOX_HELPER_IMAGE")
DOCKER = "DOCKER_"


@dataclass(frozen=True)
class Start:
    """How a session was started: `tpbox` with these words, in this folder. `session` is its id."""

    words: tuple[str, ...]
    folder: str
    session: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str = field(default_factory=socket.gethostname)

    @classmethod
    def here(cls, words: tuple[str, ...]) -> Start:
        """By this process, in its folder."""
        kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith(DOCKER)}
        return cls(words, str(Path.cwd()), environment=kept)

    def within(self, environment: Mapping[str, str]) -> dict[str, str]:
        """`environment` with what decides where the session lives as it was then."""
        others = {n: value for n, value in environment.items() if n not in KEPT and not n.startswith(DOCKER)}
        return {**others, **self.environment}


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
        self.make_folder()
        descriptor = self._lock()
        try:
            if descriptor is None:
                raise self.taken()
            state.write_private(self.folder / "pid", f"{os.getpid()}\n")
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def alive(self) -> bool:
        """Whether a process holds it. Raises TpboxError when that cannot be known here."""
        if not self.folder.exists():
            return False
        self.check_mine()
        descriptor = self._lock()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def pid(self) -> int:
        """The process that holds it, or held it last; 0 when none is known."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.folder / "pid").read_text())
        return 0

    def save(self, start: Start) -> None:
        state.write_private(self.folder / "start.json", json.dumps(dataclasses.asdict(start)) + "\n")

    def start(self) -> Start | None:
        """None when there is no such session, or nothing that can be read of it."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            data = json.loads((self.folder / "start.json").read_text())
            return Start(**{**data, "words": tuple(data["words"])})
        return None

    def save_plan(self, planned: Mapping[str, Any]) -> None:
        """What Docker Compose is to make for the session."""
        state.write_private(self.folder / "planned.json", json.dumps(planned) + "\n")

    def plan(self) -> dict[str, Any] | None:
        """What save_plan() has kept."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "planned.json").read_text()))
        return None

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
            hint=f"End it: tpbox down {self.name}; or anew: tpbox restart {self.name}",
        )

    def missing(self) -> UsageError:
        """Why nothing can be done in it: it never was, or has ended."""
        if not self.folder.exists():
            others = [other.name for other in every() if other.alive()]
            hint = f"There is: {', '.join(others)}" if others else f"Start it: tpbox up {self.name} --swap deploy/web"
            return UsageError(f"there is no session '{self.name}'", hint=hint)
        return UsageError(
            f"session '{self.name}' has ended",
            detail=self.last_words(),
            hint=f"Start it anew: tpbox restart {self.name}; what it said: tpbox logs {self.name}",
        )

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lock(self) -> int | None:
        """A descriptor that holds the lock; None when another process does."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor


def every() -> list[NamedSession]:
    """All that are there, living or ended, by name."""
    return [NamedSession(path.name) for path in sorted(_all().iterdir()) if path.is_dir()]


def _all() -> Path:
    found = state.directory() / "named"
    found.mkdir(mode=0o700, exist_ok=True)
    return found
