"""A Compose project of which some services live in the cluster: sessions, override, and `docker compose` itself.

    project = Project(compose, "shop", console)
    project.begin(plan, wanted, tied=False)      # a session for each of these services, and its helper
    project.foreground("up", "--build")          # docker compose, with the override
    project.end(project.sessions())

Each session is a named one, PROJECT-SERVICE, with a process of its own: `tpbox status`, `logs` and `exec` know them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

from tpbox import background, named, process, signals, state
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
UP_WITHIN = 180  # seconds from there until the sessions are up; what has to be built or pulled is there by then

Told = queue.Queue[tuple[str, dict[str, Any] | TpboxError]]  # a service, and what its session says


class Project:
    """One project on this machine. `override` is the file, whether it is there or not."""

    def __init__(self, compose: Compose, name: str, console: Console) -> None:
        self._compose = compose
        self._console = console
        self.name = name
        self._folder = state.directory() / "compose" / name
        self.override = self._folder / "override.yaml"
        self._begun: list[Beginning] = []  # their pipes are what ties the sessions to us

    def begin(self, plan: ComposePlan, wanted: Sequence[ClusterService], *, tied: bool) -> None:
        """A session for each of these services, where there is none yet, with its helper, up. `tied`: they end with
        this process. Raises TpboxError, InterruptedSession at a signal; what was begun has ended then."""
        for warning in (warning for service in wanted for warning in service.warnings):
            self._console.warn(warning)
        beginnings: dict[str, Beginning] = {}
        try:
            with signals.interrupting():
                for service in wanted:
                    if one := self._beginning(service, tied):
                        beginnings[service.name] = one
                self._bring_up(plan, wanted, beginnings)
        except BaseException:
            with signals.shielded(self._console.say):
                self._abandon(beginnings.values())
            raise
        self._begun = list(beginnings.values())

    def begun(self) -> list[NamedSession]:
        """Those that begin() has begun; others were there."""
        return [one.session for one in self._begun]

    def _beginning(self, service: ClusterService, tied: bool) -> Beginning | None:
        """None where the session is there already, as it is wanted. Raises UsageError where it is somebody else's."""
        session = NamedSession(service.session)
        composed = Composed(service.local_names, service.hosts, tied, str(self._folder / f"{service.name}.env"))
        file = session.folder / "composed.json"
        words = ("up", service.session, *service.words, "--composed", str(file))
        wanted = json.loads(json.dumps({**dataclasses.asdict(composed), "project": self.name}))
        if session.alive():
            start, known = session.start(), _read(file)
            if known.get("project") != self.name:
                raise session.taken()
            if start and start.words == words and {**known, "attached": tied} == wanted:
                return None
            self._console.say(f"{service.name}: x-tpbox or its networks have changed: its session is begun anew")
            background.end(session, Prefixed(self._console, f"{service.name}: "))
        session.make_folder()
        state.write_private(file, json.dumps(wanted) + "\n")
        # Compose looks for it whenever it reads the override; the session writes it.
        state.write_private(Path(composed.env_file), "")
        # Paths in x-tpbox are the project's, wherever its files were named from.
        start = dataclasses.replace(Start.here(words), folder=str(self._compose.directory()))
        return Beginning(session, start, tied=tied)

    def _bring_up(
        self, plan: ComposePlan, wanted: Sequence[ClusterService], beginnings: Mapping[str, Beginning]
    ) -> None:
        """Waits for the sessions' plans, has Compose make the helpers of them, and waits until all are up."""
        told: Told = queue.Queue()
        for name, one in beginnings.items():
            console = Prefixed(self._console, f"{name}: ")
            threading.Thread(target=_follow, args=(name, one, console, told), name=name, daemon=True).start()
        _wait(told, beginnings, "planned", None)  # images may have to be built; a session that dies says so
        self._write_override(plan, {service.name for service in wanted})
        if wanted:
            helpers = [service.helper for service in wanted]
            self._captured(HELPERS_WITHIN, "up", "--detach", "--no-deps", *helpers)
        _wait(told, beginnings, "up", UP_WITHIN)

    def _abandon(self, beginnings: Collection[Beginning]) -> None:
        """They end, side by side."""
        for one in beginnings:
            one.cancel()
        for one in beginnings:
            try:
                one.wait()
            except TpboxError as error:
                self._console.warn(error.message)
                continue
            if not one.crashed:  # else its log is all that there is to say
                one.session.remove()
        self._tidy()

    def _write_override(self, plan: ComposePlan, wanted: Collection[str]) -> None:
        """With the services that are wanted, and those that have a session already."""
        mine = {session.name for session in self.sessions() if session.alive()}
        services = [service for service in plan.services if service.name in wanted or service.session in mine]
        if not services:
            self._tidy()
            return
        planned = {}
        for service in services:
            known = NamedSession(service.session).plan()
            if known is None:
                raise TpboxError(f"session '{service.session}' has not begun yet", hint="Once more, when it has.")
            planned[service.name] = override.planned(known)
        state.write_private(self.override, override.dump(override.override(plan.only(planned), planned)))

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

    def foreground(self, *words: str, ending: Sequence[NamedSession] = ()) -> int:
        """Runs `docker compose` with our terminal and returns its exit code. SIGINT is Compose's; SIGTERM and SIGHUP
        end the sessions of `ending` first, so that nobody misses the services."""
        # A terminal's Ctrl-C comes to both of us, and Compose takes a second one for impatience.
        told_by_us = not signals.of_terminal()
        child = subprocess.Popen(self.argv(*words), process_group=0 if told_by_us else None)
        first = threading.Thread(target=self._stop_and_terminate, args=(ending, child), daemon=True)

        def hear(number: int, _: FrameType | None) -> None:
            if number == signal.SIGINT:
                if told_by_us:
                    child.send_signal(signal.SIGINT)
            elif first.ident is None:
                first.start()

        with signals.handled_by(hear):
            code = child.wait()
        if first.ident is not None:
            first.join()
        return 128 - code if code < 0 else code

    def _stop_and_terminate(self, sessions: Sequence[NamedSession], child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(TpboxError):
            self._stop(sessions)
        child.terminate()

    def sessions(self, services: Collection[str] = ()) -> list[NamedSession]:
        """Those of this project, living or ended; of these services, if some are named."""
        mine = [one for one in named.every() if _read(one.folder / "composed.json").get("project") == self.name]
        return [one for one in mine if not services or self._service(one) in services]

    def end(self, sessions: Sequence[NamedSession]) -> None:
        """Ends sessions, with their containers; and the override with the last. Raises TpboxError."""
        self._stop(sessions)
        for one in sessions:
            one.remove()
        self._tidy()

    def _stop(self, sessions: Sequence[NamedSession]) -> None:
        if sessions:
            with ThreadPoolExecutor(len(sessions)) as pool:
                consoles = (Prefixed(self._console, f"{self._service(one)}: ") for one in sessions)
                for _ in pool.map(_end, sessions, consoles):
                    pass

    def _tidy(self) -> None:
        """Without sessions the override is of no use, and nor is the network that only it has."""
        if self.sessions():
            return
        if self.override.exists() and override.OUTWARD in self.override.read_text():
            with contextlib.suppress(ProcessError):
                process.run(["docker", "network", "rm", f"{self.name}_{override.OUTWARD}"])
        shutil.rmtree(self._folder, ignore_errors=True)

    def _service(self, session: NamedSession) -> str:
        return session.name.removeprefix(f"{self.name}-")

    def _captured(self, timeout: float, *words: str) -> None:
        argv = self.argv(*words)
        try:
            process.run(argv, timeout=timeout)
        except ProcessError as error:
            raise DockerError(f"docker compose {words[0]} failed", detail=own_words(error.detail)) from error


def _follow(name: str, one: Beginning, console: Console, told: Told) -> None:
    try:
        for message in one.messages(console):
            told.put((name, message))
    except TpboxError as error:
        told.put((name, error))


def _wait(told: Told, services: Collection[str], kind: str, timeout: float | None) -> None:
    """Until the session of each service has told this. Raises the first error that one tells; also when a service says
    nothing for `timeout` seconds."""
    missing = set(services)
    while missing:
        try:
            name, message = told.get(timeout=timeout)
        except queue.Empty:
            waiting = ", ".join(sorted(missing))
            raise TpboxError(f"service {waiting}: its session is not up within {timeout:.0f} s") from None
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
