from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tpbox import background, process
from tpbox.errors import InterruptedSession, TpboxError, UsageError
from tpbox.named import NamedSession, Start
from tpbox.ui import Console

# In the place of `tpbox up`: holds the session, says what its first word asks for, and ends at SIGTERM.
SESSION = """
import signal, sys, threading
from tpbox import steps
from tpbox.errors import UsageError
from tpbox.named import NamedSession, Start
from tpbox.ui import Console
session, over = NamedSession("dev"), threading.Event()
console = steps.RelayedConsole(Console(), steps.in_background())
with session.held():
    session.take_log()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    session.save(Start(("up",), "/"))
    console.say("a step")
    match sys.argv[1]:
        case "fails":
            console.error(UsageError("a wrong word"))
            sys.exit()
        case "dies":
            sys.exit("its last word")
        case "up":
            console.tell(up="dev")
            console.let_go()
    over.wait()
    console.say("ending")
"""


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path.cwd()))
    monkeypatch.setattr(process, "ours", lambda _, *words: [sys.executable, "-c", SESSION, *words])


def begin(word: str) -> tuple[NamedSession, str]:
    session, stream = NamedSession("dev"), io.StringIO()
    background.begin(session, Start.here((word,)), Console(stream=stream))
    return session, stream.getvalue()


def end(session: NamedSession) -> str:
    stream = io.StringIO()
    background.end(session, Console(stream=stream))
    return stream.getvalue()


def test_it_lives_when_it_is_up_and_is_ended_with_what_it_says() -> None:
    session, said = begin("up")
    assert said == "tpbox: a step\n"
    assert session.alive()
    with session.log.open() as log:
        assert log.readline().endswith("tpbox: a step\n")
        following = background.followed(log, session)
        assert next(following) == ""
        assert end(session) == "tpbox: ending\n"
        assert "".join(following).endswith("tpbox: ending\n")
    assert not session.alive()


def test_its_error_is_the_starters() -> None:
    with pytest.raises(TpboxError, match="a wrong word") as raised:
        begin("fails")
    assert raised.value.exit_code == UsageError.exit_code
    with pytest.raises(TpboxError, match="ended while it began") as raised:
        begin("dies")
    assert raised.value.detail == "its last word"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_begins(number: signal.Signals) -> None:
    session = NamedSession("dev")

    def interrupt() -> None:
        while session.start() is None:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    threading.Thread(target=interrupt).start()
    with pytest.raises(InterruptedSession) as raised:
        begin("waits")
    assert raised.value.exit_code == 128 + number
    assert not session.alive()


def test_nobody_is_told_to_end_while_the_process_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process 0 would be our own group."""
    session, _ = begin("up")
    (session.folder / "pid").rename(session.folder / "elsewhere")
    threading.Timer(0.3, lambda: (session.folder / "elsewhere").rename(session.folder / "pid")).start()
    assert end(session) == "tpbox: ending\n"
    session, _ = begin("up")
    monkeypatch.setattr(background, "END_WITHIN", 0.2)
    pid = (session.folder / "pid").read_text()
    (session.folder / "pid").unlink()
    with pytest.raises(TpboxError, match="has not ended"):
        end(session)
    os.kill(int(pid.split()[0]), signal.SIGTERM)


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(TpboxError, match="which is gone"):
        background.begin(NamedSession("dev"), Start((), str(tmp_path / "gone")), Console(stream=io.StringIO()))


@pytest.mark.parametrize(
    ("words", "seconds"), [("--restore-wait 600", 600), ("--restore-wait=5 -n shop", 5), ("-n shop", 0)]
)
def test_the_end_may_take_as_long_as_its_own_words_allow(words: str, seconds: int) -> None:
    session = NamedSession("dev")
    session.make_folder()
    session.save(Start(("up", "dev", *words.split()), "/"))
    assert background._restore_wait(session) == seconds
