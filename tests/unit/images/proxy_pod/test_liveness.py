from __future__ import annotations

from agent.liveness import Liveness


def ticks_until_gone(clock: Liveness) -> int:
    return next(count for count in range(1, 1000) if clock.tick())


def test_the_first_client_has_five_seconds_more() -> None:
    assert ticks_until_gone(Liveness(grace=5)) == 11


def test_after_a_beat_the_grace_time_counts() -> None:
    clock = Liveness(grace=5)
    clock.beat()
    assert ticks_until_gone(clock) == 6


def test_each_beat_starts_it_again() -> None:
    clock = Liveness(grace=2)
    for _ in range(10):
        clock.beat()
        assert not clock.tick()
        assert not clock.tick()
    assert clock.tick()
