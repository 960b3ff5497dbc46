"""Projects of Docker Compose, made of examples/compose with the test's own namespace.

with composing.project(tpbox, tmp_path) as shop:
    shop("up", "-d").ok()
    shop.run("web", "getent", "hosts", "db")
# here nothing of it is left
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.e2e import host, shop
from tests.e2e.launcher import ROOT, Launcher, Result, Running, state_directory

EXAMPLE = ROOT / "examples" / "compose"
LIMIT = 90  # seconds; images are built the first time

Change = Callable[[dict[str, Any]], None]


@dataclass
class Project:
    """One project: its folder, its name, and `tpbox compose` for it."""

    launcher: Launcher
    folder: Path
    name: str
    port: int  # of the host, where web listens
    file_name: str = "compose.yaml"
    ids: set[str] = field(default_factory=set)  # of all sessions that it has had

    @property
    def options(self) -> list[str]:
        return ["-p", self.name, "-f", str(self.folder / self.file_name)]

    @property
    def override(self) -> Path:
        return state_directory() / "compose" / self.name / "override.yaml"

    def __call__(self, *words: str, timeout: float = LIMIT, env: Mapping[str, str] | None = None) -> Result:
        """`tpbox compose …` to its end."""
        try:
            return self.launcher("compose", *self.options, *words, timeout=timeout, env=env)
        finally:
            self.sessions()

    def start(self, *words: str) -> Running:
        """`tpbox compose …` beside the test."""
        return self.launcher.begin("compose", *self.options, *words)

    def plain(self, *words: str) -> str:
        """`docker compose` itself, with the override where there is one."""
        override = ["-f", str(self.override)] if self.override.exists() else []
        return shop.docker("compose", *self.options, *override, *words, timeout=LIMIT)

    def run(self, service: str, *words: str) -> str:
        """What a program in a running service prints."""
        return shop.docker("exec", f"{self.name}-{service}-1", *words)

    def file(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.folder / "compose.yaml").read_text()))

    def change(self, change: Change) -> None:
        """Writes the file anew."""
        model = self.file()
        change(model)
        (self.folder / "compose.yaml").write_text(yaml.safe_dump(model))

    def sessions(self) -> dict[str, str]:
        """The ids of the sessions that are there, by service; those that are up or have been planned."""
        found = {}
        for file in (state_directory() / "named").glob(f"{self.name}-*/planned.json"):
            found[file.parent.name.removeprefix(f"{self.name}-")] = json.loads(file.read_text())["session"]
        self.ids.update(found.values())
        return found

    def containers(self) -> dict[str, dict[str, Any]]:
        """All of the project's containers as `docker inspect` has them, by service."""
        label = f"com.docker.compose.project={self.name}"
        names = shop.docker("ps", "-aq", "--filter", f"label={label}").split()
        found = json.loads(shop.docker("inspect", *names)) if names else []
        return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in found}

    def helper(self, service: str) -> str:
        return f"tpbox-{self.sessions()[service]}"

    def get(self, path: str = "/") -> dict[str, Any]:
        """What web answers at its port of this machine; empty when it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return dict(json.load(answer))
        except (OSError, ValueError):
            return {}

    def expect_nothing_of_tpbox(self) -> None:
        """Fails the test when a session, folder, container or volume of ours is left."""
        host.expect_nothing_of(self.ids)
        assert list((state_directory() / "named").glob(f"{self.name}-*")) == []
        assert not self.override.parent.exists()

    def close(self) -> None:
        self.sessions()
        self("down", "--volumes", "--remove-orphans", "--rmi", "local").ok()
        self.expect_nothing_of_tpbox()
        for kind in ("container", "volume", "network"):
            every = ["--all"] if kind == "container" else []
            label = f"label=com.docker.compose.project={self.name}"
            assert shop.docker(kind, "ls", "-q", *every, "--filter", label) == ""


@contextlib.contextmanager
def project(launcher: Launcher, folder: Path, change: Change = lambda _: None) -> Iterator[Project]:
    """The example in a folder of its own; `change` gets the file as data. It has gone at the end."""
    name = f"e2e{secrets.token_hex(3)}"
    made = Project(launcher, folder / name, name, free_port())
    shutil.copytree(EXAMPLE, made.folder)

    def adapt(model: dict[str, Any]) -> None:
        for service in model["services"].values():
            if "x-tpbox" in service:
                service["x-tpbox"] |= {"namespace": launcher.namespace, "context": "tpbox"}
        model["services"]["web"]["ports"] = [f"127.0.0.1:{made.port}:8080"]
        change(model)

    made.change(adapt)
    try:
        yield made
    finally:
        made.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def ask(namespace: str, url: str) -> str:
    """What a pod of the cluster that no test swaps is answered; "" for nothing."""
    script = ["sh", "-c", '"$@" 2>/dev/null || true', "sh", "curl", "-sS", "-m", "3", url]
    return shop.kubectl("-n", namespace, "exec", "cache-0", "--", *script)
