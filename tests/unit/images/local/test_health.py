from __future__ import annotations

from pathlib import Path

import pytest
from supervisor import link
from supervisor.health import Health


def test_the_file_is_there_exactly_while_the_engine_is_up_and_volumes_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "RUN", tmp_path)
    healthy: list[bool] = []
    passed: list[tuple[str, dict[str, object]]] = []

    def emit(event: str, **fields: object) -> None:
        passed.append((event, fields))
        healthy.append((tmp_path / "healthy").exists())

    health = Health(emit)
    for event, state in [
        ("engine", "up"), ("volumes", "note"), ("volumes", "up"), ("link", "down"), ("engine", "down"),
        ("engine", "up"), ("volumes", "down"), ("engine", "down"),
    ]:  # fmt: skip
        health.emit(event, state=state)
    assert healthy == [False, False, True, True, False, True, True, False]
    assert passed[0] == ("engine", {"state": "up"})


def test_volumes_that_failed_are_not_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "RUN", tmp_path)
    health = Health(lambda event, **fields: None)
    health.emit("volumes", state="failed", reason="no")
    health.emit("engine", state="up", name="netstack")
    assert not (tmp_path / "healthy").exists()
