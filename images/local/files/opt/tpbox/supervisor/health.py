"""The file `healthy`: there exactly while the engine is up and the volumes have come up once, or none are wanted.

    emit = Health(protocol.emit).emit

It is kept by the events that the launcher gets, and before they go out. A healthcheck looks for it:
`test -e /run/tpbox/healthy`.
"""

from __future__ import annotations

from pathlib import Path

from supervisor import link
from supervisor.protocol import Emit


class Health:
    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._engine = self._volumes = False

    def emit(self, event: str, **fields: object) -> None:
        """Passes the event on."""
        match event, fields.get("state"):
            case "engine", state:
                self._engine = state == "up"
                self._keep()
            case "volumes", "up":
                self._volumes = True
                self._keep()
        self._emit(event, **fields)

    def _keep(self) -> None:
        if self._engine and self._volumes:
            path().touch()
        else:
            path().unlink(missing_ok=True)


def path() -> Path:
    return link.RUN / "healthy"
