from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tpbox import door
from tpbox.errors import TpboxError, UsageError
from tpbox.local import terminal
from tpbox.named import NamedSession
from tpbox.plan.process import from_json
from tpbox.plan.request import ProcessOptions
from tpbox.ui import Console

OPTIONS = ProcessOptions(image="myapp", command=("true",), environment={"A": "1"}, volumes=("./a:/a",))
Answer = Callable[[socket.socket, dict[str, Any]], None]


@contextlib.contextmanager
def session(answer: Answer, greeting: str = json.dumps(door.GREETING) + "\n") -> Iterator[NamedSession]:
    """A session that greets like this, and answers the first request."""
    name = NamedSession("dev")

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("r") as lines:
            connection.sendall(greeting.encode())
            if greeting and (line := lines.readline()):
                answer(connection, json.loads(line))

    with name.held(), door.listen(name) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield name
        thread.join(5)


def says(*messages: dict[str, Any]) -> Answer:
    return lambda connection, _: connection.sendall("".join(json.dumps(m) + "\n" for m in messages).encode())


def execute(name: NamedSession) -> tuple[int, str]:
    stream = io.StringIO()
    return door.execute(name, OPTIONS, Console(stream=stream)), stream.getvalue()


RUN = {"run": {"container": "tpbox-a-app", "tty": False, "docker": {"DOCKER_HOST": "unix:///theirs"}}}


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been attached to; it ends with 3, after a SIGTERM."""
    calls: list[Any] = []

    def attach(argv: list[str], *, tty: bool, on_signal: Callable[[int], None], env: dict[str, str]) -> int:
        calls.append((argv[1], argv[-1], tty, env["DOCKER_HOST"], env.get("DOCKER_CONTEXT")))
        on_signal(15)
        return 3

    monkeypatch.setenv("DOCKER_CONTEXT", "ours")
    monkeypatch.setattr(terminal, "attach", attach)
    return calls


def test_a_process_is_run_here_by_the_sessions_engine_and_its_code_is_the_sessions_word(attached: list[Any]) -> None:
    told: list[dict[str, Any]] = []

    def answer(connection: socket.socket, request: dict[str, Any]) -> None:
        told.append(request)
        says({"say": "pulling myapp"}, RUN)(connection, request)
        with connection.makefile("r") as lines:
            told.extend(json.loads(lines.readline()) for _ in range(2))
        says({"exit": 7})(connection, request)

    with session(answer) as name:
        assert execute(name) == (7, "tpbox: pulling myapp\n")
    assert from_json(told[0]["exec"]) == OPTIONS
    assert told[1:] == [{"signal": 15}, {"ended": 3}]
    assert attached == [("start", "tpbox-a-app", False, "unix:///theirs", None)]


def test_an_error_of_the_session_is_ours() -> None:
    with session(says({"error": ["no image", "", "name it", 2]})) as name, pytest.raises(TpboxError) as raised:
        execute(name)
    assert (raised.value.message, raised.value.hint, raised.value.exit_code) == ("no image", "name it", 2)


@pytest.mark.parametrize("answer", [says(), says(RUN)], ids=["at once", "while it runs"])
def test_a_session_that_ends_under_it_is_said(answer: Answer, attached: list[Any]) -> None:
    with session(answer) as name, pytest.raises(TpboxError, match="ended under it"):
        execute(name)


@pytest.mark.parametrize(
    ("greeting", "version"),
    [('{"tpbox": "0.0.9", "protocol": 0}\n', "0.0.9"), ("rubbish\n", "unknown"), ("[]\n", "unknown")],
)
def test_another_version_is_to_be_restarted(greeting: str, version: str) -> None:
    with session(says(), greeting) as name, pytest.raises(TpboxError, match=f"another version.*{version}") as raised:
        execute(name)
    assert raised.value.hint == "tpbox restart dev"


def test_one_that_hangs_up_or_hangs_or_does_not_listen_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with session(says(), "") as name, pytest.raises(TpboxError, match="does not answer"):
        execute(name)
    with name.held(), pytest.raises(TpboxError, match="does not answer"):
        execute(name)
    monkeypatch.setattr(door, "GREETED_WITHIN", 0.1)
    with name.held(), door.listen(name), pytest.raises(TpboxError, match="does not answer"):
        execute(name)


def test_one_that_has_ended_is_missing() -> None:
    with pytest.raises(UsageError, match="there is no session 'dev'"):
        execute(NamedSession("dev"))
