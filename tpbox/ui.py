"""What tpbox says, always on stderr: stdout is the user's program's.

console = Console(verbosity=0)
phases = Phases(session, console, events_file)
with phases.phase("pod", "proxy pod"):
    ...
# ✓ proxy pod (1.3 s)

On a terminal a live line shows the phases that run; `--progress plain` and everything else that is no terminal gets
lines; `--progress json` one object a line (docs/report.schema.json, `line`).
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Literal

from tpbox.errors import TpboxError

if TYPE_CHECKING:
    from tpbox.live import LiveLine

QUIET, NORMAL, VERBOSE, DEBUG = -1, 0, 1, 2

Mode = Literal["auto", "plain", "json"]

NOTE_INTERVAL = 5.0  # seconds between two lines of a long build where they cannot overwrite each other
# What the live line calls the phases that are too short for a line of their own at their end.
SHORT_PHASES = {
    "preflight": "a look at Docker and the cluster",
    "images": "images",
    "remote-info": "the pod's environment",
    "process": "container",
    "cleanup": "clean-up",
}


class Console:
    """Lines on stderr, as many as the verbosity asks for, in the form that the mode asks for."""

    def __init__(self, verbosity: int = NORMAL, stream: IO[str] | None = None, mode: Mode = "auto") -> None:
        self.verbosity = verbosity
        self.mode = mode
        self.stream = stream or sys.stderr
        self._live: LiveLine | None = None
        self._noted = 0.0  # time.monotonic() of the last line of a build

    def say(self, text: str) -> None:
        self._line("info", text, NORMAL)

    def done(self, title: str, seconds: float) -> None:
        """A step that has ended well; in JSON its event says so."""
        if self.mode != "json":
            self.say(f"✓ {title} ({seconds:.1f} s)")

    def detail(self, text: str) -> None:
        self._line("detail", text, VERBOSE)

    def warn(self, text: str) -> None:
        self._line("warning", text, QUIET)

    def error(self, error: TpboxError) -> None:
        if self.mode == "json":
            self._json(
                {"error": error.message, "detail": error.detail, "hint": error.hint, "exitCode": error.exit_code}
            )
            return
        first, *rest = error.lines()
        for line in (f"error: {first}", *(f"  {line}" for line in rest)):
            self._write(f"tpbox: {line}")

    def progress(self, line: str) -> None:
        """A line of a long build or pull: overwrites itself on a terminal; elsewhere the first and then one each
        NOTE_INTERVAL, with -v all of them."""
        if self._live is not None and self._live.drawn:
            self._live.note(line)
        elif self.verbosity == NORMAL and self._draws():
            self.stream.write(f"\r\x1b[2K  {line[:100]}")
            self.stream.flush()
        elif self.verbosity >= VERBOSE or time.monotonic() - self._noted > NOTE_INTERVAL:
            self._noted = time.monotonic()
            self._line("progress", line, NORMAL)

    def event(self, event: dict[str, Any]) -> None:
        """An event of a session, as --events writes it; said in JSON only."""
        if self.mode == "json" and self.verbosity >= NORMAL:
            self._json(event)

    @contextlib.contextmanager
    def running(self, title: str) -> Iterator[None]:
        """The live line shows `title` within."""
        if self.verbosity < NORMAL or self.verbosity >= DEBUG or not self._draws():
            yield
            return
        if self._live is None:
            from tpbox.live import LiveLine  # rich takes 0.1 s to import

            self._live = LiveLine(self.stream)
        live = self._live
        live.begin(title)
        try:
            yield
        finally:
            live.end(title)

    def _draws(self) -> bool:
        return self.mode == "auto" and self.stream.isatty() and os.environ.get("TERM") != "dumb"

    def _line(self, kind: str, text: str, wanted: int) -> None:
        if self.verbosity < wanted:
            return
        if self.mode == "json":
            self._json({kind: text})
        else:
            self._write(f"tpbox: warning: {text}" if kind == "warning" else f"tpbox: {text}")

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # a closed terminal must not end a clean-up
            if self._live is not None and self._live.drawn:
                self._live.print(line)
                return
            clear = "\r\x1b[2K" if self._draws() else ""
            self.stream.write(f"{clear}{line}\n")
            self.stream.flush()

    def _json(self, line: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(json.dumps(line) + "\n")
            self.stream.flush()


class _JsonLog(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"log": super().format(record)})


def setup_logging(verbosity: int, file: str | None, mode: Mode = "auto") -> None:
    """-vv shows the log on stderr; --log FILE keeps all of it."""
    handler: logging.Handler
    if file:
        handler = logging.FileHandler(file)
    elif verbosity >= DEBUG:
        handler = logging.StreamHandler()
    else:
        return
    formatter = _JsonLog if mode == "json" and not file else logging.Formatter
    handler.setFormatter(formatter("%(asctime)s %(name)s: %(message)s"))
    root = logging.getLogger("tpbox")
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)


class Phases:
    """Times the phases of a session: for the eye, for --events as they happen, for --report at the end."""

    def __init__(self, session: str, console: Console, events: IO[str] | None = None) -> None:
        self.session = session
        self._console = console
        self._events = events
        self._lock = threading.Lock()  # pod and helper are made side by side
        self._started = time.monotonic()
        self.finished: list[dict[str, Any]] = []

    @contextlib.contextmanager
    def phase(self, name: str, title: str = "") -> Iterator[None]:
        """Times what is done within. With a title a line is said at its end."""
        began = time.monotonic()
        self._emit(name, "start")
        shown = title or SHORT_PHASES.get(name, "")
        try:
            with self._console.running(shown) if shown else contextlib.nullcontext():
                yield
        except BaseException as error:
            self._emit(name, "error", began, str(error))
            raise
        self._emit(name, "end", began)
        took = time.monotonic() - began
        self.finished.append({"phase": name, "ms": round(took * 1000)})
        if title:
            self._console.done(title, took)

    def elapsed(self) -> float:
        """Seconds since the session began."""
        return time.monotonic() - self._started

    def _emit(self, phase: str, state: str, began: float | None = None, detail: str = "") -> None:
        event = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "session": self.session,
            "phase": phase,
            "state": state,
            "ms": None if began is None else round((time.monotonic() - began) * 1000),
            "detail": detail,
        }
        with self._lock:
            self._console.event(event)
            if self._events is not None:
                self._events.write(json.dumps(event) + "\n")
                self._events.flush()
