from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tpbox.plan import lease


def test_a_micro_time_always_has_six_digits_and_comes_back() -> None:
    moment = datetime(2026, 11, 22, 11, 0, tzinfo=timezone(timedelta(hours=1)))
    assert lease.micro_time(moment) == "2026-11-22T10:00:00.000000Z"
    assert lease.read_time(lease.micro_time(moment)) == moment
    assert lease.read_time("2026-11-22T10:00:00Z") == moment


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_an_age_has_one_unit(seconds: float, words: str) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert lease.age(now - timedelta(seconds=seconds), now) == words
