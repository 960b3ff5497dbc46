"""The one door to other programs.

    output = process.run(["docker", "version"], timeout=10)
    process.pipe(["docker", "save", image], ["docker", "exec", "-i", node, "ctr", "images", "import", "-"])

Arguments are lists, never shell text. A program that fails raises ProcessError with its last words.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tpbox.errors import TpboxError

log = logging.getLogger(__name__)

TAIL_LINES = 5

_RUN = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class ProcessError(TpboxError):
    """A program could not be started, took too long, or returned another code than 0."""

    def __init__(self, argv: Sequence[str], code: int | None, tail: str) -> None:
        ended = "took too long" if code is None else f"ended with {code}"
        super().__init__(f"`{shlex.join(argv)}` {ended}", detail=tail)
        self.argv = list(argv)
        self.code = code
        self.tail = tail


def ours(module: str, *words: str) -> list[str]:
    """The command line of another process of ours. `-m` alone would look for modules in the user's folder first, where
    something may be called as one of ours is; `-P` keeps it from that."""
    return [sys.executable, "-P", "-c", _RUN, str(Path(__file__).parents[1]), module, *words]


def run(
    argv: Sequence[str], *, timeout: float = 60, input: bytes | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Runs a program to its end and returns its standard output. `timeout` is in seconds.

    Raises ProcessError.
    """
    log.debug("run: %s", shlex.join(argv))
    try:
        done = subprocess.run(argv, input=input, capture_output=True, timeout=timeout, env=env, check=False)
    except FileNotFoundError as error:
        raise ProcessError(argv, 127, f"{argv[0]}: not found") from error
    except subprocess.TimeoutExpired as error:
        raise ProcessError(argv, None, _tail(error.stderr or b"")) from error
    if done.returncode != 0:
        raise ProcessError(argv, done.returncode, _tail(done.stderr or done.stdout))
    return done.stdout.decode(errors="replace")


def stream(argv: Sequence[str], on_line: Callable[[str], None], *, timeout: float) -> None:
    """Runs a program to its end; `on_line` gets each line of its output and of its errors. `timeout` is in seconds.

    Raises ProcessError.
    """
    log.debug("run: %s", shlex.join(argv))
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace",
        )  # fmt: skip
    except FileNotFoundError as error:
        raise ProcessError(argv, 127, f"{argv[0]}: not found") from error
    timer = threading.Timer(timeout, child.kill)
    with child:
        timer.start()
        assert child.stdout is not None
        for line in child.stdout:
            if line.strip():
                tail.append(line.strip())
                on_line(line.strip())
    expired = not timer.is_alive()
    timer.cancel()
    if child.returncode != 0:
        raise ProcessError(argv, None if expired else child.returncode, "\n".join(tail))


def pipe(source: Sequence[str], sink: Sequence[str], *, timeout: float = 600) -> None:
    """Runs `source | sink`; both must succeed. `timeout` is in seconds. Raises ProcessError."""
    log.debug("run: %s | %s", shlex.join(source), shlex.join(sink))
    with subprocess.Popen(source, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        try:
            done = subprocess.run(sink, stdin=first.stdout, capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            first.kill()
            raise ProcessError(sink, None, "") from error
        assert first.stdout is not None and first.stderr is not None
        first.stdout.close()
        words = first.stderr.read()
    if first.returncode > 0:  # below 0 is a signal, SIGPIPE: the sink ended first, and says why
        raise ProcessError(source, first.returncode, _tail(words))
    if done.returncode != 0:
        raise ProcessError(sink, done.returncode, _tail(done.stderr))


def _tail(words: bytes) -> str:
    return "\n".join(words.decode(errors="replace").strip().splitlines()[-TAIL_LINES:])
