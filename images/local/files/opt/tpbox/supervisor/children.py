"""The one door to other programs.

    async with children.running("kubectl", ["kubectl", "port-forward", ...]) as forward:
        line = await forward.stdout.readline()
        ...
        await forward.ended()
    words = await children.run(["ip", "-json", "route"])

Each program is a process group of its own, so that what it starts ends with it. Its stderr is passed on to ours, a
line each with its name, and its last words are kept for the event that says why something failed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

TAIL_LINES = 3
LINE_LIMIT = 16 * 1024 * 1024  # bytes; the agent's info is one line and holds the Pod's whole environment
STOP_STEPS = ((signal.SIGTERM, 0.3), (signal.SIGKILL, 1.0))  # seconds

T = TypeVar("T")


class CommandError(Exception):
    """A program that should have done its work and returned 0 did not; the text is its last words, `stderr` all."""

    def __init__(self, message: str, stderr: str = "") -> None:
        super().__init__(message)
        self.stderr = stderr


class EngineError(Exception):
    """The engine could not be started, or has ended; the text is its own last words."""


class Child:
    """A running program. `stdin` and `stdout` are asyncio streams."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout and process.stderr
        self.name = name
        self.stdin = process.stdin
        self.stdout = process.stdout
        self._process = process
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._pump = asyncio.create_task(self._pump_stderr(process.stderr))

    def words(self) -> str:
        """The last lines of stderr, newline-separated; empty when there were none."""
        return "\n".join(self._tail)

    async def ended(self) -> str:
        """Waits for the end; returns the last words, or else the exit code in words."""
        code = await self._process.wait()
        # The pipe may outlive the program (a process it left behind): the words are all there by then.
        await asyncio.wait([self._pump], timeout=0.2)
        return self.words() or f"{self.name} ended with {code}"

    async def stop(self) -> None:
        """Ends the program and its group, and waits until nobody holds its stderr any more.

        sshuttle's firewall process is not in the group: it undoes its rules when sshuttle is gone, and must have
        done so before the next sshuttle makes its own.
        """
        self.stdin.close()
        for signum, seconds in STOP_STEPS:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signum)
            done, _ = await asyncio.wait([self._pump], timeout=seconds)
            if done:
                break
        self._pump.cancel()
        await self._process.wait()

    async def _pump_stderr(self, stream: asyncio.StreamReader) -> None:
        async for line in stream:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._tail.append(text)
                sys.stderr.write(f"{self.name}: {text}\n")


@asynccontextmanager
async def running(name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> AsyncIterator[Child]:
    """Starts a program; it is stopped when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
        start_new_session=True,
        env=dict(env) if env is not None else None,
    )
    child = Child(name, process)
    try:
        yield child
    finally:
        await child.stop()


async def run(argv: Sequence[str], *, input: str = "", env: Mapping[str, str] | None = None) -> str:
    """Runs a program to its end and returns its stdout; it is killed when this is cancelled. Raises CommandError."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(env) if env is not None else None,
    )
    try:
        out, err = await process.communicate(input.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        words = err.decode(errors="replace").strip()
        tail = " ".join(words.splitlines()[-TAIL_LINES:])
        raise CommandError(f"{argv[0]} ended with {process.returncode}: {tail}", words)
    return out.decode()


async def first_of(*awaitables: Awaitable[T]) -> T:
    """The outcome of the one that ends first; the others are cancelled, and have ended, on return."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
