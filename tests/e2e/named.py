"""Sessions that stay, as the tests use them: a name of its own for each, and its end whatever the test does.

with named(tpbox) as dev:
    dev.up("--image", CLIENTS).ok()
    assert dev.exec("--", "echo", "hello").ok().text == "hello\\n"
    dev.down().ok()
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.launcher import Launcher, Result, Running, state_directory, wait_for
from tests.e2e.shop import docker

END_LIMIT = 90  # seconds, a swapped workload's start included


@dataclass(frozen=True)
class Named:
    """A session by its name, whether it is there or not."""

    tpbox: Launcher
    name: str

    @property
    def folder(self) -> Path:
        return state_directory() / "named" / self.name

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text().split()[0])

    def words(self, *options: str, before: tuple[str, ...] = ()) -> list[str]:
        return [*before, *self.tpbox.words(self.name, *options, command="up")]

    def up(self, *options: str, before: tuple[str, ...] = ()) -> Result:
        return self.tpbox(*self.words(*options, before=before))

    def begin(self, *options: str) -> Running:
        return self.tpbox.begin(*self.words(*options))

    def exec(self, *words: str, stdin: bytes = b"", before: tuple[str, ...] = ()) -> Result:
        return self.tpbox(*before, "exec", self.name, *words, stdin=stdin)

    def start(self, *words: str) -> Running:
        """`exec` beside the test."""
        return self.tpbox.begin("exec", self.name, *words)

    def down(self) -> Result:
        return self.tpbox("down", self.name, timeout=END_LIMIT)

    def restart(self) -> Result:
        return self.tpbox("restart", self.name, timeout=END_LIMIT)

    def logs(self, *options: str) -> Result:
        return self.tpbox("logs", self.name, *options)

    def status(self) -> dict[str, Any]:
        """What `tpbox status` says of it; nothing when it is not listed."""
        listed = json.loads(self.tpbox("status", "--output", "json").ok().text)
        return next((dict(one) for one in listed if one["name"] == self.name), {})

    @property
    def session(self) -> str:
        """Its id, while it lives."""
        return str(self.status()["session"])

    def containers(self, role: str = "app") -> list[str]:
        words = ("--filter", f"label=tpbox.dev/session={self.session}", "--filter", f"label=tpbox.dev/role={role}")
        return docker("ps", *words, "--format", "{{.Names}}").split()

    def wait_no_process(self, timeout: float = 5) -> None:
        wait_for("no process in the session", lambda: not self.containers(), timeout)


@contextlib.contextmanager
def named(tpbox: Launcher) -> Iterator[Named]:
    """A name that nobody has; what is there of it afterwards is ended."""
    session = Named(tpbox, f"e2e-{secrets.token_hex(3)}")
    try:
        yield session
    finally:
        if session.folder.exists():
            session.down()
