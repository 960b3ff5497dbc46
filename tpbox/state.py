"""What tpbox keeps on this machine: the state directory, and one record for each session in it.

    record = SessionRecord(...)
    record.save()                            # sessions/ID.json, 0600, before anything that it names is made
    ...
    LiveState(record.session, link="up").save()     # sessions/ID.state.json, while it runs: for `tpbox status`
    record.remove()                          # when nothing of the session is left; both files

A record whose process is gone names what `tpbox cleanup` has to remove.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

VERSION = 1
LIVE_SUFFIX = ".state.json"


def directory() -> Path:
    """`$XDG_STATE_HOME/tpbox`, made 0700 when it is not there."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    found = Path(home) / "tpbox"
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def empty(path: Path) -> None:
    """Takes a file's text, where it is there; somebody may still look for the file."""
    if path.exists():
        write_private(path, "")


@dataclass(frozen=True)
class ObjectRef:
    """Something that a session makes, by its kind (`job`, `container`, `volume`, `lease`: a swap record; `file`) and
    name."""

    kind: str
    name: str


@dataclass
class SessionRecord:
    """What is needed to remove all that a session made, without the process that made it."""

    session: str
    owner: str
    target: str
    docker_host: str
    kubeconfig: str
    context: str
    namespace: str
    pid: int = field(default_factory=os.getpid)
    pid_start: str = ""
    boot_id: str = ""
    host: str = field(default_factory=socket.gethostname)
    created: str = ""
    objects: list[ObjectRef] = field(default_factory=list)
    version: int = VERSION
    name: str = ""  # of `tpbox up`

    def __post_init__(self) -> None:
        self.pid_start = self.pid_start or process_start(self.pid)
        self.boot_id = self.boot_id or _boot_id()
        self.created = self.created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def path(self) -> Path:
        return _record_path(self.session)

    def save(self) -> None:
        write_private(self.path, json.dumps(_to_json(self), indent=1) + "\n")

    def remove(self) -> None:
        _live_path(self.session).unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def alive(self) -> bool:
        """Whether the process that holds the session still runs: the same pid, started at the same time, in the
        same boot. A record of another host (a shared home directory) counts as alive: it cannot be known here."""
        if self.host != socket.gethostname():
            return True
        return self.boot_id == _boot_id() and self.pid_start == process_start(self.pid) != ""


def records() -> list[SessionRecord]:
    """All session records, oldest first. A file that cannot be read as one is passed over."""
    found = []
    for path in _sessions().glob("*.json"):
        if path.name.endswith(LIVE_SUFFIX):
            continue
        try:
            found.append(_from_json(json.loads(path.read_text())))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda record: record.created)


@dataclass(frozen=True)
class Exposed:
    """A port of the proxy pod that leads to one of the process; `listening`: somebody answers there."""

    local: int
    remote: int
    listening: bool


@dataclass(frozen=True)
class LiveState:
    """What only a living launcher knows of its session. It may be old when the launcher is dead."""

    session: str
    pod: str = ""
    link: Literal["starting", "up", "down"] = "starting"
    reconnects: int = 0
    exposed: tuple[Exposed, ...] = ()

    def save(self) -> None:
        """Replaces the file, of a session whose record is there; one thread at a time. A disk that is full keeps no
        session from running."""
        if _record_path(self.session).exists():
            with contextlib.suppress(OSError):
                write_private(_live_path(self.session), json.dumps(dataclasses.asdict(self)) + "\n")


def live_state(session: str) -> LiveState | None:
    """What the session's launcher has last written, None when there is nothing that can be read."""
    try:
        data = json.loads(_live_path(session).read_text())
        return LiveState(**{**data, "exposed": tuple(Exposed(**port) for port in data["exposed"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def process_start(pid: int) -> str:
    """When a process started, in whatever unit the system counts; "" when there is no such process, or when it has
    ended and its parent has not noticed yet."""
    if sys.platform == "linux":
        try:
            # Fields 3 and 22, counted behind the command's name, which may hold blanks and parentheses: proc(5).
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    shown = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def _boot_id() -> str:
    if sys.platform == "linux":
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    shown = subprocess.run(["sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def _sessions() -> Path:
    found = directory() / "sessions"
    found.mkdir(mode=0o700, exist_ok=True)
    return found


def _record_path(session: str) -> Path:
    return _sessions() / f"{session}.json"


def _live_path(session: str) -> Path:
    return _sessions() / f"{session}{LIVE_SUFFIX}"


_KEYS = {"pid_start": "pidStart", "boot_id": "bootId", "docker_host": "dockerHost"}


def _to_json(record: SessionRecord) -> dict[str, Any]:
    return {_KEYS.get(name, name): value for name, value in dataclasses.asdict(record).items()}


def _from_json(data: dict[str, Any]) -> SessionRecord:
    data = {"name": "", **data}  # records of older versions have none
    fields = {f.name: data[_KEYS.get(f.name, f.name)] for f in dataclasses.fields(SessionRecord)}
    fields["objects"] = [ObjectRef(o["kind"], o["name"]) for o in fields["objects"]]
    return SessionRecord(**fields)
