from __future__ import annotations

from pathlib import Path

import pytest
from agent.readiness import FRESH, Readiness


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ready"


def test_it_is_there_while_the_last_beat_says_so(file: Path) -> None:
    with Readiness(file) as ready:
        assert not file.exists()
        ready.beat(True)
        assert file.exists()
        ready.beat(False)
        assert not file.exists()
        ready.beat(True)
    assert not file.exists()


def test_a_beat_counts_for_eight_ticks(file: Path) -> None:
    with Readiness(file) as ready:
        ready.beat(True)
        for _ in range(FRESH - 1):
            ready.tick()
            assert file.exists()
        ready.tick()
        assert not file.exists()
        ready.tick()
        ready.beat(True)
        assert file.exists()


def test_what_an_agent_before_has_left_is_removed(file: Path) -> None:
    file.touch()
    with Readiness(file):
        assert not file.exists()
