"""The socket of a named session: `tpbox exec` on this side, tpbox.session.held on the other.

    code = door.execute(NamedSession("dev"), options, console)

JSON, a line each. The session greets with its version; then comes one request:

    -> {"exec": {…ProcessOptions…}, "folder": "/home/me"}
    <- lines for the console (tpbox.steps), then {"run": {"container": "…", "tty": false, "docker": {…}}}
    -> {"signal": 15} …, {"ended": 0}
    <- {"exit": 0}, or {"error": […]}

The connection holds the process: when it ends, however that comes about, the container is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tpbox import __version__, steps
from tpbox.errors import TpboxError
from tpbox.local import terminal
from tpbox.named import DOCKER, NamedSession
from tpbox.plan.process import to_json
from tpbox.plan.request import ProcessOptions
from tpbox.ui import Console

SOCKET = "socket"
PROTOCOL = 1
GREETING = {"tpbox": __version__, "protocol": PROTOCOL}
GREETED_WITHIN = 10  # seconds
BACKLOG = 64


def listen(name: NamedSession) -> socket.socket:
    """The session's side. By a relative path: the absolute one may be longer than a socket's may be, unix(7)."""
    with contextlib.chdir(name.folder):
        Path(SOCKET).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(SOCKET)
        Path(SOCKET).chmod(stat.S_IRUSR | stat.S_IWUSR)
    listener.listen(BACKLOG)
    return listener


def docker_environment() -> dict[str, str]:
    """Which Docker engine this process uses, for a docker command elsewhere."""
    return {name: value for name, value in os.environ.items() if name.startswith(DOCKER)}


def execute(name: NamedSession, options: ProcessOptions, console: Console) -> int:
    """Runs a process in a session, in the foreground, and returns its exit code. Raises TpboxError."""
    with _connected(name) as door, contextlib.suppress(ConnectionError):
        door.send({"exec": to_json(options), "folder": str(Path.cwd())})
        for message in steps.replayed(door.lines, console):
            if "exit" in message:
                return int(message["exit"])
            door.send({"ended": _run(door, **message["run"])})
    raise TpboxError(f"session '{name.name}' ended under it", detail=name.last_words(), hint=f"tpbox logs {name.name}")


@dataclass(frozen=True)
class _Door:
    connection: socket.socket
    lines: IO[str]

    def send(self, message: dict[str, Any]) -> None:
        self.connection.sendall(json.dumps(message).encode() + b"\n")


def _run(door: _Door, container: str, tty: bool, docker: dict[str, str]) -> int:
    def on_signal(number: int) -> None:
        with contextlib.suppress(OSError):  # the session has gone, and the container with it
            door.send({"signal": number})

    others = {name: value for name, value in os.environ.items() if not name.startswith(DOCKER)}
    return terminal.attach(terminal.docker_start(container), tty=tty, on_signal=on_signal, env={**others, **docker})


@contextlib.contextmanager
def _connected(name: NamedSession) -> Iterator[_Door]:
    """Raises TpboxError when the session is not there, or is of another version."""
    if not name.alive():
        raise name.missing()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            with contextlib.chdir(name.folder):
                connection.connect(SOCKET)
        except OSError as error:
            raise _silent(name) from error
        connection.settimeout(GREETED_WITHIN)
        with connection.makefile("r") as lines:
            _check_greeting(name, lines)
            connection.settimeout(None)
            yield _Door(connection, lines)


def _silent(name: NamedSession) -> TpboxError:
    return TpboxError(
        f"session '{name.name}' does not answer: it is beginning, or ending",
        detail=name.last_words(),
        hint=f"What it says: tpbox logs {name.name}",
    )


def _check_greeting(name: NamedSession, lines: IO[str]) -> None:
    try:
        line = lines.readline()
    except OSError as error:  # TimeoutError is one
        raise _silent(name) from error
    if not line:
        raise _silent(name)
    greeting: Any = None
    with contextlib.suppress(ValueError):
        greeting = json.loads(line)
    if greeting != GREETING:
        version = greeting.get("tpbox") if isinstance(greeting, dict) else None
        raise TpboxError(
            f"session '{name.name}' was started by another version of tpbox ({version or 'unknown'}; this is "
            f"{__version__})",
            hint=name.anew,
        )
