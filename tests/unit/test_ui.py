from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from tpbox.errors import TpboxError
from tpbox.ui import NORMAL, QUIET, VERBOSE, Console, Mode, Phases

ERROR = TpboxError("it failed", detail="its own words", hint="what mends it")


def _said(mode: Mode, verbosity: int = NORMAL) -> list[str]:
    """All that a console can say, in two phases, one of which fails."""
    stream, events = io.StringIO(), io.StringIO()
    console = Console(verbosity, stream, mode)
    phases = Phases("abcdefgh", console, events)
    with phases.phase("pod", "proxy pod"):
        console.say("a word")
        console.detail("a detail")
        console.warn("a warning")
        console.progress("a step of a build")
        console.progress("another step")
    with pytest.raises(TpboxError), phases.phase("link"):
        raise ERROR
    console.error(ERROR)
    assert [json.loads(line)["state"] for line in events.getvalue().splitlines()] == ["start", "end", "start", "error"]
    return stream.getvalue().splitlines()


def test_plain_lines() -> None:
    assert _said("plain") == [
        "tpbox: a word",
        "tpbox: warning: a warning",
        "tpbox: a step of a build",
        "tpbox: ✓ proxy pod (0.0 s)",
        "tpbox: error: it failed",
        "tpbox:   its own words",
        "tpbox:   what mends it",
    ]


def test_quiet_says_warnings_and_errors_only() -> None:
    assert [line.split()[1] for line in _said("plain", QUIET)] == ["warning:", "error:", "its", "what"]


def test_verbose_says_details_and_every_step_of_a_build() -> None:
    said = _said("plain", VERBOSE)
    assert "tpbox: a detail" in said
    assert "tpbox: another step" in said


def test_json_lines_are_the_events_and_what_is_said_beside_them() -> None:
    lines = [json.loads(line) for line in _said("json")]
    assert [(line["phase"], line["state"]) for line in lines if "phase" in line] == [
        ("pod", "start"),
        ("pod", "end"),
        ("link", "start"),
        ("link", "error"),
    ]
    assert [line for line in lines if "phase" not in line] == [
        {"info": "a word"},
        {"warning": "a warning"},
        {"progress": "a step of a build"},
        {"error": "it failed", "detail": "its own words", "hint": "what mends it", "exitCode": 125},
    ]


def test_a_stream_that_is_no_terminal_needs_no_rich() -> None:
    script = (
        "import sys; from tpbox.ui import Console, Phases; c = Console()\n"
        "with Phases('abcdefgh', c).phase('pod', 'proxy pod'): c.say('x')\n"
        "sys.exit('rich' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
