"""The user's process in the foreground: docker's own attach, with the terminal and the signals where they belong.

    code = attach(docker_start(name), tty=False, on_signal=kill_container)

The docker command runs in a process group of its own, so that the terminal's Ctrl-C comes to tpbox alone and is
handed on once. With a tty the terminal is handed over instead, as a shell does with its jobs: then Ctrl-C is a byte
that the container's own terminal turns into a signal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

BACKGROUND_POLL = 0.2  # seconds
# docker's own, ctrl-p ctrl-q, would swallow the shell's ctrl-p.
DETACH_KEYS = "ctrl-^,ctrl-^,ctrl-^"
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def docker_start(container: str) -> list[str]:
    """The command line that runs a created container in the foreground."""
    return ["docker", "start", "--attach", "--interactive", "--detach-keys", DETACH_KEYS, container]


def attach(
    argv: Sequence[str], *, tty: bool, on_signal: Callable[[int], None], env: Mapping[str, str] | None = None
) -> int:
    """Runs `argv` to its end with tpbox's stdin, stdout and stderr and returns its exit code.

    `on_signal` is called for each signal that tpbox gets meanwhile.
    """
    copied = not tty and os.isatty(0)  # docker's process group may not read the terminal: SIGTTIN, tty(4)
    if copied:
        # In the background (`tpbox run … &`) a read of the terminal then fails, instead of stopping tpbox. Never
        # undone: the thread that reads outlives the child.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    with _forwarding(on_signal):
        child = subprocess.Popen(argv, stdin=subprocess.PIPE if copied else None, process_group=0, env=env)
        if copied:
            threading.Thread(target=_copy_terminal, args=(child,), name="stdin", daemon=True).start()
        with _terminal_given(child.pid) if tty else contextlib.nullcontext():
            return _wait(child)


@contextlib.contextmanager
def _forwarding(on_signal: Callable[[int], None]) -> Iterator[None]:
    previous = {number: signal.signal(number, lambda received, _: on_signal(received)) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _terminal_given(group: int) -> Iterator[None]:
    """Makes a process group the terminal's foreground one, and takes the terminal back at the end."""
    own = os.getpgrp()
    previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else tcsetpgrp from the background stops us
    try:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(0, group)
            os.killpg(group, signal.SIGCONT)  # it may have reached for the terminal a moment too early
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(0, own)
        signal.signal(signal.SIGTTOU, previous)


def _wait(child: subprocess.Popen[bytes]) -> int:
    code = child.wait()
    return 128 - code if code < 0 else code


def _copy_terminal(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    with contextlib.suppress(OSError, ValueError):
        while data := _read_terminal():
            child.stdin.write(data)
            child.stdin.flush()
    with contextlib.suppress(OSError, ValueError):
        child.stdin.close()


def _read_terminal() -> bytes:
    """What was typed; b"" at its end. In the background it waits until the shell brings tpbox to the fore.

    Raises OSError when the terminal is gone.
    """
    while True:
        try:
            return os.read(0, 65536)
        except OSError:
            if os.tcgetpgrp(0) == os.getpgrp():
                raise
            time.sleep(BACKGROUND_POLL)
