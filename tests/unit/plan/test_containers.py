from __future__ import annotations

from typing import Any

from tpbox.plan.containers import pull_words


def test_a_pull_is_counted_over_its_layers() -> None:
    def part(layer: str, current: int, status: str = "Downloading") -> dict[str, Any]:
        return {"id": layer, "status": status, "progressDetail": {"current": current, "total": 10_000_000}}

    layers: dict[str, tuple[int, int]] = {}
    assert pull_words("i:1", {"status": "Pulling from i", "id": "1"}, layers) == ""
    assert pull_words("i:1", part("a", 1_000_000), layers) == "pulling i:1: 1.0 of 10.0 MB"
    assert pull_words("i:1", part("b", 2_500_000), layers) == "pulling i:1: 3.5 of 20.0 MB"
    assert pull_words("i:1", part("a", 10_000_000), layers) == "pulling i:1: 12.5 of 20.0 MB"
    assert pull_words("i:1", part("a", 10_000_000, "Extracting"), layers) == ""
