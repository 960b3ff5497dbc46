from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from tpbox.errors import DockerError, UsageError
from tpbox.local.app import Signals, _create_error
from tpbox.local.docker import Docker

USAGE = "\n\nUsage:  docker create [OPTIONS] IMAGE [COMMAND]\n\nRun 'docker create --help' for more information\n"


@pytest.mark.parametrize(
    ("code", "words", "kind", "detail"),
    [
        (125, f'invalid argument "zz" for "-m, --memory" flag: invalid size: \'zz\'{USAGE}', UsageError,
         'invalid argument "zz" for "-m, --memory" flag: invalid size: \'zz\''),
        (125, "unknown flag: --nosuch\nSee 'docker create --help'.\n", UsageError, "unknown flag: --nosuch"),
        (1, "Error response from daemon: No command specified\n", DockerError, "No command specified"),
        (1, "WARNING: no swap limit\nError response from daemon: bad mode\n", DockerError, "bad mode"),
        (1, "", DockerError, "docker create failed"),
    ],
)  # fmt: skip
def test_dockers_words_are_kept_without_its_usage(code: int, words: str, kind: type, detail: str) -> None:
    error = _create_error(code, words)
    assert (type(error), error.detail) == (kind, detail)


class FakeDocker:
    """A container that is started by the test, or has ended."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.got: list[int] = []

    def kill(self, _: str, number: int) -> bool:
        if self.status == "running":
            self.got.append(number)
        return self.status == "running"

    def inspect(self, _: str) -> dict[str, Any]:
        return {"State": {"Status": self.status}}


def handing(docker: FakeDocker, before_end: Callable[[], None] | None = None) -> Signals:
    return Signals(cast(Docker, docker), "app", before_end)


def wait_until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_signal_that_comes_just_before_the_container_runs_is_not_lost() -> None:
    docker = FakeDocker("created")
    handing(docker).hand_on(signal.SIGTERM)
    time.sleep(0.1)
    assert docker.got == []
    docker.status = "running"
    wait_until(lambda: docker.got == [signal.SIGTERM])


def test_a_signal_for_a_container_that_has_ended_is_for_nobody() -> None:
    docker = FakeDocker("exited")
    handing(docker).hand_on(signal.SIGTERM)
    wait_until(lambda: not any(thread.name == "signal" for thread in threading.enumerate()))
    assert docker.got == []


def test_the_first_ending_signal_waits_for_what_comes_before_the_end_and_the_second_does_not() -> None:
    docker, go = FakeDocker("running"), threading.Event()
    signals = handing(docker, lambda: cast(None, go.wait(5)))
    signals.hand_on(signal.SIGUSR1)
    assert docker.got == [signal.SIGUSR1]
    signals.hand_on(signal.SIGTERM)
    time.sleep(0.1)
    assert docker.got == [signal.SIGUSR1]
    signals.hand_on(signal.SIGTERM)
    assert docker.got == [signal.SIGUSR1, signal.SIGTERM]
    go.set()
    wait_until(lambda: docker.got == [signal.SIGUSR1, signal.SIGTERM, signal.SIGTERM])
