"""The user's process: a container in the helper's network namespace.

create(plan, environment, mounted, warn=console.warn)
code = run(docker, plan)                                   # in the foreground, for `tpbox run`
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping

from tpbox import signals
from tpbox.errors import EXIT_TPBOX, DockerError, TpboxError, UsageError
from tpbox.local import terminal
from tpbox.local.docker import Docker
from tpbox.plan.environment import transport
from tpbox.plan.process import ProcessPlan
from tpbox.plan.volumes import Mounted

log = logging.getLogger(__name__)

START_POLL = 0.05  # seconds
STARTING = ("created", "running")  # it may have begun to run since the signal was refused
TERM_PATIENCE = 10  # seconds between a SIGTERM handed on and the SIGKILL, as `docker stop` has it

ENDING = (signal.SIGTERM, signal.SIGHUP)

# Not executable and not found: https://docs.docker.com/reference/cli/docker/container/run/#exit-status
COMMAND_CODES = (126, 127)
USAGE_CODE = 125  # of the docker command itself, for options that it does not understand


class StartError(DockerError):
    """The image has not got the command, or may not run it; with docker's exit code for it."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def create(
    plan: ProcessPlan, environment: Mapping[str, str], mounted: Mounted, warn: Callable[[str], None], folder: str = ""
) -> None:
    """Creates the container; it does not run yet. Relative paths are `folder`'s, else ours.

    Raises DockerError or UsageError with docker's words.
    """
    packed = transport(environment)
    if packed.dropped:
        warn(f"not passed on, since no environment can hold them: {', '.join(packed.dropped)}")
    reading, writing = os.pipe()
    # Written by a thread: the pipe holds 64 KiB, the environment may be larger.
    writer = threading.Thread(target=_feed, args=(writing, packed.file.encode()), daemon=True)
    writer.start()
    try:
        argv = plan.create_command(f"/dev/fd/{reading}", tuple(packed.by_name), mounted)
        with signals.deferring():  # in a process group of its own, the terminal's Ctrl-C does not cut it short either
            done = subprocess.run(
                argv, env={**os.environ, **packed.by_name}, pass_fds=[reading], stdin=subprocess.DEVNULL,
                capture_output=True, text=True, check=False, process_group=0, cwd=folder or None,
            )  # fmt: skip
    finally:
        os.close(reading)
        writer.join()
    if done.returncode != 0:
        raise _create_error(done.returncode, done.stderr)


def run(docker: Docker, plan: ProcessPlan, before_end: Callable[[], None] | None = None) -> int:
    """Starts the container in the foreground and returns its exit code.

    A first SIGTERM or SIGHUP is handed on when `before_end` has returned. Raises StartError when its command cannot be
    started.
    """
    handing = Signals(docker, plan.name, before_end)
    code = terminal.attach(terminal.docker_start(plan.name), tty=plan.options.tty, on_signal=handing.hand_on)
    return exit_code(docker, plan, code)


def exit_code(docker: Docker, plan: ProcessPlan, code: int) -> int:
    """How the container has ended; `code` is what the docker command says of it. Raises StartError."""
    state = (docker.inspect(plan.name) or {}).get("State", {})
    if state.get("Running"):  # the docker command has ended first: nobody reads our stdout any more
        return code
    if state.get("Error"):
        failed = state["ExitCode"] if state.get("ExitCode") in COMMAND_CODES else EXIT_TPBOX
        # docker has said why on stderr, which is the same as ours.
        raise StartError(f"the command could not be started in image {plan.options.image}", exit_code=failed)
    return int(state.get("ExitCode", code))


class Signals:
    """Hands tpbox's signals on to a container that is being started or runs."""

    def __init__(self, docker: Docker, container: str, before_end: Callable[[], None] | None = None) -> None:
        self._docker = docker
        self._container = container
        self._before_end = before_end

    def hand_on(self, number: int) -> None:
        """Returns at once. The first signal that ends waits for `before_end`; a second one does not."""
        before, self._before_end = (self._before_end, None) if number in ENDING else (None, self._before_end)
        if before is None and self._docker.kill(self._container, number):
            self._see_to_the_end(number)
        else:
            threading.Thread(target=self._later, args=(number, before), name="signal", daemon=True).start()

    def _later(self, number: int, before: Callable[[], None] | None) -> None:
        if before:
            try:
                before()
            except Exception:  # a fault of ours: the signal is the user's all the same
                log.debug("before the end", exc_info=True)
        # It may come just before the container runs, where nobody would get it.
        while not self._docker.kill(self._container, number):
            if (self._docker.inspect(self._container) or {}).get("State", {}).get("Status") not in STARTING:
                return
            time.sleep(START_POLL)
        self._see_to_the_end(number)

    def _see_to_the_end(self, number: int) -> None:
        if number in ENDING:
            timer = threading.Timer(TERM_PATIENCE, self._docker.kill, (self._container, signal.SIGKILL))
            timer.daemon = True
            timer.start()


def _feed(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _create_error(code: int, words: str) -> TpboxError:
    """`words`: what `docker create` wrote to stderr. Its own usage is no help here."""
    said = words.partition("\nUsage:")[0].partition("\nSee 'docker")[0].strip().splitlines() or ["docker create failed"]
    kind = UsageError if code == USAGE_CODE else DockerError
    return kind("Docker refused the container", detail=said[-1].removeprefix("Error response from daemon: "))
