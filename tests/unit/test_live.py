from __future__ import annotations

import io

from tpbox.live import LiveLine
from tpbox.ui import Console, Phases


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_two_steps_at_once_are_in_one_line_and_what_is_said_is_above() -> None:
    screen = Screen()
    live = LiveLine(screen)
    assert not live.drawn
    live.begin("proxy pod")
    live.begin("helper")
    assert live.drawn
    live.print("tpbox: above [not markup]")
    live.end("helper")
    live.end("proxy pod")
    assert not live.drawn
    shown = screen.getvalue()
    assert "tpbox: above [not markup]" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor comes back


def test_the_line_names_the_steps_that_run_with_their_times_and_the_last_note() -> None:
    live = LiveLine(Screen())
    live.begin("proxy pod")
    live.begin("helper")
    live.note("Step 3/9")
    text = str(live.line())
    live.end("helper")
    live.end("proxy pod")
    assert text == "proxy pod 0.0 s · helper 0.0 s  Step 3/9"


def test_phases_on_a_terminal_are_live_and_leave_their_lines() -> None:
    screen = Screen()
    phases = Phases("abcdefgh", Console(stream=screen))
    with phases.phase("pod", "proxy pod"), phases.phase("helper", "helper"):
        pass
    with phases.phase("running"):
        before = len(screen.getvalue())
    assert "tpbox: ✓ helper (0.0 s)" in screen.getvalue()
    assert "tpbox: ✓ proxy pod (0.0 s)" in screen.getvalue()
    assert len(screen.getvalue()) == before  # the terminal is the program's
