from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest

from tpbox import steps
from tpbox.errors import TpboxError
from tpbox.steps import Prefixed, RelayedConsole, replayed
from tpbox.ui import Console, Mode, Phases


def relayed() -> tuple[str, str]:
    """What a session says to its starter, and what to its log."""
    pipe, log = io.StringIO(), io.StringIO()
    pipe.close = lambda: None  # type: ignore[method-assign]
    console = RelayedConsole(Console(stream=log), pipe)
    phases = Phases("abcdefgh", console)
    with phases.phase("pod", "proxy pod"):
        console.say("a word")
        console.warn("a warning")
        console.progress("a step of a build")
    console.tell(up="dev")
    console.error(TpboxError("it failed", detail="its words", hint="what mends it"))
    console.let_go()
    console.say("for the log alone")
    return pipe.getvalue(), log.getvalue()


def said(mode: Mode = "auto") -> list[str]:
    stream = io.StringIO()
    with pytest.raises(TpboxError) as raised:
        assert list(replayed(io.StringIO(relayed()[0]), Console(stream=stream, mode=mode))) == [{"up": "dev"}]
    error = raised.value
    assert (error.message, error.detail, error.hint, error.exit_code) == (
        "it failed",
        "its words",
        "what mends it",
        125,
    )
    return stream.getvalue().splitlines()


def test_the_starter_says_what_the_session_says() -> None:
    assert said() == [
        "tpbox: a word", "tpbox: warning: a warning", "tpbox: a step of a build", "tpbox: ✓ proxy pod (0.0 s)",
    ]  # fmt: skip


def test_in_json_it_is_the_events_too() -> None:
    lines = [json.loads(line) for line in said("json")]
    assert [line["state"] for line in lines if "phase" in line] == ["start", "end"]
    assert {"info": "a word"} in lines
    assert all("✓" not in json.dumps(line, ensure_ascii=False) for line in lines)


def test_the_log_has_all_lines_with_their_times() -> None:
    lines = [steps.without_time(line) for line in relayed()[1].splitlines()]
    assert lines == [
        "a word", "warning: a warning", "✓ proxy pod (0.0 s)", "error: it failed", "  its words", "  what mends it",
        "for the log alone",
    ]  # fmt: skip


def test_a_line_that_was_cut_is_passed_over() -> None:
    assert list(replayed(io.StringIO('": "x"}\n{"up": "dev"}\n'), Console(stream=io.StringIO()))) == [{"up": "dev"}]


def test_a_starter_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    log = io.StringIO()
    console = RelayedConsole(Console(stream=log), os.fdopen(writing, "w"))
    assert not console.tell(up="dev")
    console.say("goes on")
    assert "goes on" in log.getvalue()


def test_several_are_told_apart_by_their_prefix() -> None:
    stream = io.StringIO()
    console = Prefixed(Console(stream=stream), "web: ")
    console.say("a word")
    console.done("helper", 1)
    assert stream.getvalue() == "tpbox: web: a word\ntpbox: ✓ web: helper (1.0 s)\n"


def test_a_process_in_the_background_tells_by_a_pipe_that_its_children_do_not_have(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys; from tpbox import steps; from tpbox.ui import Console; p = steps.in_background(); "
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ.get(\"TPBOX_STEPS\"))']); "
        "steps.RelayedConsole(Console(), p).tell(up=os.getcwd())"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    reading, child = steps.spawn([sys.executable, "-c", code], tmp_path / "log", str(tmp_path), environment)
    with reading:
        assert list(replayed(reading, Console())) == [{"up": str(tmp_path)}]
    assert child.wait() == 0
    assert (tmp_path / "log").read_text() == "None\n"
    assert steps.in_background() is None


@pytest.mark.parametrize("told", [False, True], ids=["begins", "is up"])
def test_a_starter_that_dies_while_it_begins_ends_it(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "STARTER_POLL", 1)
    killed = threading.Event()
    monkeypatch.setattr(os, "kill", lambda *_: killed.set())
    reading, writing = os.pipe()
    console = RelayedConsole(Console(stream=io.StringIO()), os.fdopen(writing, "w"))
    console.end_with_starter()
    if told:
        assert console.tell_last(up="dev")
    os.close(reading)
    assert killed.wait(0.2 if told else 10) is not told
    assert console.tell_last(up="dev") is False
