"""The command line, run as a user runs it.

    done = launcher.run("--image", CLIENTS, "--", "sh", "-c", "exit 3")      # to its end
    assert done.code == 3

    with launcher.start("--image", CLIENTS, "--", "sleep", "60") as running:  # beside the test
        running.wait_phase("running")
        running.interrupt()
        assert running.finish().code == 130

What is started here is ended here, whatever the test does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = "tpbox-example-clients:1"
MYAPP = "myapp"
RUNTIMES = "tpbox-example-runtimes:1"
SHOP = "tpbox-example-shop:1"

COMMAND = [sys.executable, "-m", "tpbox"]
CLEANUP_LIMIT = 30  # seconds from a SIGTERM to the end of the launcher
POLL = 0.05
EVENTS = "events"

T = TypeVar("T")


def environment() -> dict[str, str]:
    """Ours, less what would point tpbox to a cluster or image of the user's own."""
    return {k: v for k, v in os.environ.items() if k != "KUBECONFIG" and not k.startswith("TPBOX_")}


def wait_for(what: str, look: Callable[[], T], timeout: float) -> T:
    """Returns the first true answer of `look`. Fails the test when there is none within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(POLL)
    raise AssertionError(f"not within {timeout:.0f} s: {what}")


def read_events(path: Path) -> tuple[dict[str, Any], ...]:
    """The events that a file has so far; none when it is not there."""
    text = path.read_text() if path.exists() else ""
    return tuple(json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n"))


@dataclass(frozen=True)
class Result:
    code: int
    stdout: bytes
    stderr: str
    seconds: float
    events: tuple[dict[str, Any], ...] = ()

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def session(self) -> str:
        return str(self.events[0]["session"])

    def ok(self) -> Self:
        """Itself; fails the test when the exit code is not 0."""
        assert self.code == 0, f"exit code {self.code}\n{self.stderr}"
        return self


class Running:
    """One tpbox process. Its output goes to files, so that nothing blocks and the test may look at any time."""

    def __init__(self, argv: list[str], folder: Path, stdin: bytes, env: Mapping[str, str]) -> None:
        self._out, self._err, self._events = folder / "stdout", folder / "stderr", folder / EVENTS
        (folder / "stdin").write_bytes(stdin)
        argv = [str(self._events) if word == "{events}" else word for word in argv]
        self._began = time.monotonic()
        with (folder / "stdin").open("rb") as source, self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*COMMAND, *argv],
                cwd=ROOT,
                env={**environment(), **env},
                stdin=source,
                stdout=out,
                stderr=err,
                process_group=0,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(CLEANUP_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def events(self) -> tuple[dict[str, Any], ...]:
        return read_events(self._events)

    def stdout(self) -> bytes:
        return self._out.read_bytes()

    def stderr(self) -> str:
        return self._err.read_text(errors="replace")

    def wait_phase(self, phase: str, state: str = "start", timeout: float = 40) -> dict[str, Any]:
        """Waits for an event and returns it."""

        def look() -> dict[str, Any] | None:
            found = (e for e in self.events() if e["phase"] == phase and e["state"] == state)
            return next(found, None)

        return self._wait(f"{state} of phase {phase}", look, timeout)

    def wait_output(self, word: bytes, timeout: float = 40) -> None:
        self._wait(f"{word!r} on stdout", lambda: word in self.stdout(), timeout)

    def _wait(self, what: str, look: Callable[[], T | None], timeout: float) -> T:
        def alive_or_found() -> T | None:
            ended = self.process.poll() is not None  # before the look: what was written last still counts
            found = look()
            assert found or not ended, f"tpbox ended with {self.process.returncode} before: {what}\n{self.stderr()}"
            return found

        found = wait_for(what, alive_or_found, timeout)
        assert found is not None
        return found

    @property
    def session(self) -> str:
        return str(self.events()[0]["session"])

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """What a terminal does at Ctrl-C: SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self, *, with_watchdog: bool = False) -> None:
        """kill -9 of the launcher, after that of its watchdog where one is to die too."""
        if with_watchdog:
            self.kill_watchdog()
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def kill_watchdog(self) -> None:
        os.kill(_pid_of(f"tpbox.watchdog\0{self.session}\0"), signal.SIGKILL)

    def finish(self, timeout: float = 60) -> Result:
        """Waits for the end. Fails the test when it does not come within `timeout` seconds."""
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"tpbox runs on after {timeout:.0f} s\n{self.stderr()}") from None
        return Result(code, self.stdout(), self.stderr(), time.monotonic() - self._began, self.events())


def _pid_of(ending: str) -> int:
    """The process whose command line ends like this; it has 3 seconds to be there."""

    def look() -> int | None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if path.read_bytes().endswith(ending.encode()):
                    return int(path.parent.name)
        return None

    found = wait_for(f"process {ending!r}", look, 3)
    assert found
    return found


@dataclass
class Launcher:
    """tpbox on the embedded cluster, in one namespace."""

    namespace: str
    folder: Path
    engine: str = ""  # "": the default
    _started: list[Path] = field(default_factory=list, init=False)

    def __call__(
        self, *argv: str, stdin: bytes = b"", timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> Result:
        """Runs any command line to its end."""
        with self.begin(*argv, stdin=stdin, env=env) as running:
            return running.finish(timeout)

    def begin(self, *argv: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Running:
        """Starts any command line. `{events}` among its words is the events file."""
        return Running(list(argv), self.new_folder(), stdin, env or {})

    def new_folder(self) -> Path:
        """For what one command reads and writes."""
        self._started.append(Path(tempfile.mkdtemp(dir=self.folder)))
        return self._started[-1]

    def take_sessions(self) -> set[str]:
        """The ids of the sessions that were started since this was last asked."""
        files = [folder / EVENTS for folder in self._started]
        self._started.clear()
        return {event["session"] for file in files for event in read_events(file)}

    def words(self, *options: str, namespace: str = "", verbosity: str = "", command: str = "run") -> list[str]:
        """The command line of a session: `options` are those of `tpbox run`, image and program included."""
        where = ["--context", "tpbox", "-n", namespace or self.namespace, *self.engine_option]
        return [*([verbosity] if verbosity else []), command, *where, "--events", "{events}", *options]

    @property
    def engine_option(self) -> list[str]:
        return ["--engine", self.engine] if self.engine else []

    def run(
        self,
        *options: str,
        namespace: str = "",
        verbosity: str = "",
        stdin: bytes = b"",
        timeout: float = 60,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        words = self.words(*options, namespace=namespace, verbosity=verbosity)
        return self(*words, stdin=stdin, timeout=timeout, env=env)

    def start(self, *options: str, namespace: str = "", stdin: bytes = b"") -> Running:
        return self.begin(*self.words(*options, namespace=namespace), stdin=stdin)


def state_directory() -> Path:
    """Where tpbox keeps its records: `$XDG_STATE_HOME/tpbox`."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "tpbox"


def error_lines(stderr: str) -> list[str]:
    """The error as tpbox prints it: the line that begins it, and the indented ones behind it."""
    lines = stderr.splitlines()
    first = next((n for n, line in enumerate(lines) if line.startswith("tpbox: error:")), len(lines))
    behind = lines[first + 1 :]
    length = next((n for n, line in enumerate(behind) if not line.startswith("tpbox:   ")), len(behind))
    return lines[first : first + 1 + length]
