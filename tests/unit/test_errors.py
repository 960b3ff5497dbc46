from __future__ import annotations

import signal

from tpbox.errors import InterruptedSession, TpboxError, UsageError


def test_an_error_is_one_to_three_lines() -> None:
    assert TpboxError("failed").lines() == ["failed"]
    assert TpboxError("failed", detail="a\nb\nc\n", hint="mend").lines() == ["failed", "b c", "mend"]


def test_exit_codes() -> None:
    assert (TpboxError("").exit_code, UsageError("").exit_code) == (125, 2)
    assert InterruptedSession(signal.SIGTERM).exit_code == 143
