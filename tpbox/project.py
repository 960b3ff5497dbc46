"""A Compose project of which some services live in the cluster: sessions, override, and `docker compose` itself.

    project = Project(compose, services, console)
    project.begin(tied=False)                    # a session for each service with x-tpbox, and its helper
    project.foreground("up", "--build")          # docker compose, with the override
    project.end()

Each session is a named one, PROJECT-SERVICE, with a process of its own: `tpbox status`, `logs` and `exec` know them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from tpbox import background, named, process, state
from tpbox.background import Beginning
from tpbox.errors import DockerError, TpboxError
from tpbox.local.compose import Compose, own_words
from tpbox.named import NamedSession, Start
from tpbox.plan.compose import override
from tpbox.plan.compose.project import ClusterService, ComposePlan
from tpbox.plan.request import Composed
from tpbox.process import ProcessError
from tpbox.steps import Prefixed
from tpbox.ui import Console

HELPERS_WITHIN = 120  # seconds for Compose to make networks and helpers
REMOVED_WITHIN = 60


class Project:
    """One project; `plan` has the services that are wanted, or None where only what is there counts."""

    def __init__(self, compose: Compose, name: str, plan: ComposePlan | None, console: Console) -> None:
        self._compose = compose
        self._plan = plan
        self._console = console
        self.name = name
        self._folder = state.directory() / "compose" / name
        self.override = self._folder / "override.yaml"
        self._begun: list[NamedSession] = []

    def begin(self, *, tied: bool) -> None:
        """A session for each service of the plan, where there is none yet, with its helper, up. `tied`: they end with
        this process. Raises TpboxError; what was begun has ended then."""
        assert self._plan
        for warning in self._plan.warnings():
            self._console.warn(warning)
        beginnings = {s.name: one for s in self._plan.services if (one := self._beginning(s, tied))}
        try:
            self._bring_up(self._plan, beginnings)
        except BaseException:
            for one in beginnings.values():
                one.cancel()
            self.end(self._begun)
            raise

    def _beginning(self, service: ClusterService, tied: bool) -> Beginning | None:
        """None where the session is there already, as it is wanted."""
        session = NamedSession(service.session)
        composed = Composed(service.local_names, service.hosts, tied)
        file = session.folder / "composed.json"
        start = Start.here(("up", service.session, *service.words, "--composed", str(file)))
        wanted = {**dataclasses.asdict(composed), "project": self.name}
        if session.alive():
            there, known = session.start(), _read(file)
            if there and there.words == start.words and {**known, "attached": tied} == json.loads(json.dumps(wanted)):
                return None
            self._console.say(f"{service.name}: x-tpbox has changed: its session is begun anew")
            background.end(session, self._console)
        session.make_folder()
        state.write_private(file, json.dumps(wanted) + "\n")
        # Compose looks for it whenever it reads the override; the session writes it.
        state.write_private(session.folder / "environment", "")
        self._begun.append(session)
        return Beginning(session, start, tied=tied)

    def _bring_up(self, plan: ComposePlan, beginnings: Mapping[str, Beginning]) -> None:
        """Waits for the sessions' plans, has Compose make the helpers of them, and waits until all are up."""
        told: queue.Queue[tuple[str, dict[str, Any] | TpboxError]] = queue.Queue()
        for name, one in beginnings.items():
            console = Prefixed(self._console, f"{name}: ")
            threading.Thread(target=_follow, args=(name, one, console, told), name=name, daemon=True).start()
        _wait(told, beginnings, "planned")
        self._write_override(plan)
        helpers = [service.helper for service in plan.services]
        self._captured(HELPERS_WITHIN, "up", "--detach", "--no-deps", *helpers)
        _wait(told, beginnings, "up")

    def _write_override(self, plan: ComposePlan) -> None:
        sessions = {}
        for service in plan.services:
            known = NamedSession(service.session).plan()
            if known is None:
                raise TpboxError(
                    f"session '{service.session}' has not told what it is to be", hint="tpbox compose down"
                )
            sessions[service.name] = override.planned(known)
        state.write_private(self.override, override.dump(override.override(plan, sessions)))

    def text(self) -> str:
        """The override as it is now. Raises TpboxError when there is none."""
        if not self.override.exists():
            raise TpboxError(
                f"project {self.name} has no session, and so no override",
                hint="To begin them: tpbox compose hold (or: up)",
            )
        return self.override.read_text()

    def argv(self, *words: str) -> list[str]:
        """`docker compose`, with the override where there is one."""
        return self._compose.argv(*words, override=str(self.override) if self.override.exists() else "")

    def foreground(self, *words: str) -> int:
        """Runs `docker compose` with our terminal and returns its exit code. The terminal's Ctrl-C comes to both, and
        is Compose's; SIGTERM and SIGHUP end the sessions first, so that nobody misses the services."""
        child = subprocess.Popen(self.argv(*words))

        def end(number: int, _: FrameType | None) -> None:
            if number != signal.SIGINT:
                threading.Thread(target=self._end_before, args=(child,), daemon=True).start()

        previous = {n: signal.signal(n, end) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            code = child.wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        return 128 - code if code < 0 else code

    def _end_before(self, child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(TpboxError):
            self.end(self.sessions())
        child.terminate()

    def sessions(self) -> list[NamedSession]:
        """Those of this project, living or ended."""
        return [one for one in named.every() if _read(one.folder / "composed.json").get("project") == self.name]

    def begun(self) -> list[NamedSession]:
        """Those that begin() has begun."""
        return self._begun

    def end(self, sessions: Sequence[NamedSession]) -> None:
        """Ends sessions, side by side, and removes what Compose has made for them. Raises TpboxError."""
        if not sessions:
            return
        services = [one.name.removeprefix(f"{self.name}-") for one in sessions]
        with ThreadPoolExecutor(len(sessions)) as pool:
            consoles = (Prefixed(self._console, f"{service}: ") for service in services)
            for _ in pool.map(_end, sessions, consoles):
                pass
        if self.override.exists():
            services += [f"{service}-tpbox" for service in services]
            with contextlib.suppress(TpboxError):  # the containers carry the sessions' labels: cleanup finds them
                self._captured(
                    REMOVED_WITHIN,
                    "rm",
                    "--force",
                    "--stop",
                    "--volumes",
                    *services,
                    *(f"{service}-tpbox" for service in services),
                )
        for one in sessions:
            one.remove()
        if not self.sessions():
            self.override.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._folder.rmdir()

    def _captured(self, timeout: float, *words: str) -> None:
        argv = self.argv(*words)
        try:
            process.run(argv, timeout=timeout)
        except ProcessError as error:
            raise DockerError(f"docker compose {words[0]} failed", detail=own_words(error.detail)) from error


def _follow(
    name: str, one: Beginning, console: Console, told: queue.Queue[tuple[str, dict[str, Any] | TpboxError]]
) -> None:
    try:
        for message in one.messages(console):
            told.put((name, message))
    except TpboxError as error:
        told.put((name, error))


def _wait(
    told: queue.Queue[tuple[str, dict[str, Any] | TpboxError]], beginnings: Mapping[str, Beginning], kind: str
) -> None:
    """Until each session has told this. Raises the first error that one tells."""
    missing = set(beginnings)
    while missing:
        name, message = told.get()
        if isinstance(message, TpboxError):
            message.message = f"service {name}: {message.message}"
            raise message
        if kind in message:
            missing.discard(name)


def _end(session: NamedSession, console: Console) -> None:
    if session.alive():
        background.end(session, console)


def _read(file: Path) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(file.read_text()))
    return {}
