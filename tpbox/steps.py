"""What a process in the background says, said by the one that has started it, until it is ready.

reading, child = steps.spawn(words, log, …)          # the starter
for message in steps.replayed(reading, console): ... # what is no line for the console

pipe = steps.in_background()                         # the process in the background
console = steps.RelayedConsole(console, pipe)
console.end_with_starter()
console.tell_last(up="dev")                          # to the starter, who may go now
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from tpbox.errors import TpboxError
from tpbox.ui import NORMAL, Console

PIPE = "TPBOX_STEPS"  # the descriptor's number, in the environment of the process in the background
STARTER_POLL = 200  # milliseconds
SAID = ("say", "detail", "warn", "progress", "event")


def spawn(
    words: list[str], log: Path, folder: str, environment: Mapping[str, str], *, tied: bool = False
) -> tuple[IO[str], subprocess.Popen[bytes]]:
    """Starts a process that outlives us and our terminal; its lines come by the pipe that is returned.

    With `tied` its stdin is a pipe of ours, which the kernel closes when we end.
    """
    reading, writing = os.pipe()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(
            words, stdin=subprocess.PIPE if tied else subprocess.DEVNULL, stdout=descriptor, stderr=descriptor,
            pass_fds=[writing], start_new_session=True, cwd=folder, env={**environment, PIPE: str(writing)},
        )  # fmt: skip
    finally:
        os.close(writing)
        os.close(descriptor)
    return os.fdopen(reading), child


def in_background() -> IO[str] | None:
    """Where to say the steps, when this process was started by spawn(); our children do not have it."""
    number = os.environ.pop(PIPE, None)
    if not number:
        return None
    os.set_inheritable(int(number), False)
    return os.fdopen(int(number), "w")


class RelayedConsole(Console):
    """Its own lines go to the log, with the time; all of them to whoever has started us."""

    def __init__(self, console: Console, pipe: IO[str]) -> None:
        super().__init__(console.verbosity, console.stream, "plain")
        self._pipe: IO[str] | None = pipe
        self._telling = threading.Lock()
        self._following = False

    def tell(self, **message: Any) -> bool:
        """Returns whether somebody still reads it."""
        with self._telling:
            if self._pipe is None:
                return False
            try:
                self._pipe.write(json.dumps(message) + "\n")
                self._pipe.flush()
            except (OSError, ValueError):
                self.let_go()
                return False
        return True

    def end_with_starter(self) -> None:
        """Until tell_last(), the end of the one who has started us is a SIGTERM for us."""
        if self._pipe is not None:
            self._following = True
            descriptor = os.dup(self._pipe.fileno())
            threading.Thread(target=self._follow_starter, args=(descriptor,), name="starter", daemon=True).start()

    def _follow_starter(self, descriptor: int) -> None:
        poll = select.poll()
        poll.register(descriptor, 0)  # what is asked for by nobody comes all the same: POLLERR, nobody reads any more
        while self._following:
            if poll.poll(STARTER_POLL) and self._following:
                self.warn("whoever started it has gone")
                os.kill(os.getpid(), signal.SIGTERM)
                break
        os.close(descriptor)

    def tell_last(self, **message: Any) -> bool:
        """The starter may go now. Returns whether it was still there."""
        self._following = False
        there = self.tell(**message)
        self.let_go()
        return there

    def let_go(self) -> None:
        """The starter need not wait any more."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()

    def say(self, text: str) -> None:
        self.tell(say=text)
        super().say(text)

    def done(self, title: str, seconds: float) -> None:
        self.tell(done=[title, seconds])
        if self.verbosity >= NORMAL:
            self._write(f"tpbox: ✓ {title} ({seconds:.1f} s)")

    def detail(self, text: str) -> None:
        self.tell(detail=text)
        super().detail(text)

    def warn(self, text: str) -> None:
        self.tell(warn=text)
        super().warn(text)

    def progress(self, line: str) -> None:
        if not self.tell(progress=line):
            super().progress(line)

    def event(self, event: dict[str, Any]) -> None:
        self.tell(event=event)

    def error(self, error: TpboxError) -> None:
        self.tell(error=[error.message, error.detail, error.hint, error.exit_code])
        super().error(error)

    @contextlib.contextmanager
    def running(self, title: str) -> Iterator[None]:
        self.tell(begin=title)
        try:
            yield
        finally:
            self.tell(end=title)

    def _write(self, line: str) -> None:
        super()._write(f"{datetime.now().strftime('%H:%M:%S')} {line}")


def without_time(line: str) -> str:
    """A line of the log as a console is to say it."""
    return re.sub(r"^\d\d:\d\d:\d\d (tpbox: )?", "", line)


class Prefixed(Console):
    """Another console, of one of several that speak at once."""

    def __init__(self, console: Console, prefix: str) -> None:
        super().__init__(console.verbosity, console.stream, console.mode)
        self._console = console
        self._prefix = prefix

    def say(self, text: str) -> None:
        self._console.say(self._prefix + text)

    def done(self, title: str, seconds: float) -> None:
        self._console.done(self._prefix + title, seconds)

    def detail(self, text: str) -> None:
        self._console.detail(self._prefix + text)

    def warn(self, text: str) -> None:
        self._console.warn(self._prefix + text)

    def progress(self, line: str) -> None:
        self._console.progress(self._prefix + line)

    def event(self, event: dict[str, Any]) -> None:
        self._console.event(event)

    @contextlib.contextmanager
    def running(self, title: str) -> Iterator[None]:
        with self._console.running(self._prefix + title):
            yield


def replayed(reading: IO[str], console: Console) -> Iterator[dict[str, Any]]:
    """Says on `console` what comes, and yields what is no line for it. Raises the error that comes, if one does."""
    with contextlib.ExitStack() as stack:
        running: dict[str, contextlib.ExitStack] = {}
        for line in reading:
            try:
                message = json.loads(line)
            except ValueError:  # an interrupt has cut a line in two
                continue
            [(kind, value)] = message.items()
            if kind in SAID:
                getattr(console, kind)(value)
            elif kind == "done":
                console.done(*value)
            elif kind == "begin":
                running[value] = stack.enter_context(contextlib.ExitStack())
                running[value].enter_context(console.running(value))
            elif kind == "end" and value in running:
                running.pop(value).close()
            elif kind == "error":
                raise relayed_error(*value)
            elif kind != "end":
                yield message


def relayed_error(message: str, detail: str, hint: str, exit_code: int) -> TpboxError:
    """An error of another process, as ours."""
    error = TpboxError(message, detail=detail, hint=hint)
    error.exit_code = exit_code
    return error
