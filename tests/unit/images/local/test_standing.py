from __future__ import annotations

from typing import Any

import pytest
from supervisor.standing import Standing


class Heard(list[dict[str, Any]]):
    def __call__(self, event: str, **fields: Any) -> None:
        self.append({"event": event, **fields})


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def standing(heard: Heard) -> Standing:
    return Standing(heard)


def news(standing: Standing) -> bool:
    found = standing.changed.is_set()
    standing.changed.clear()
    return found


def test_only_changes_are_told_and_only_those_of_readiness_are_urgent(standing: Standing, heard: Heard) -> None:
    urgent = []
    for listening, ready in (([], False), ([], False), ([80], False), ([80, 81], True), ([80, 81], True), ([], False)):
        standing.exposed(listening, ready)
        urgent.append(news(standing))
    assert [(event["listening"], event["ready"]) for event in heard] == [
        ([], False), ([80], False), ([80, 81], True), ([], False),
    ]  # fmt: skip
    assert urgent == [True, False, False, True, False, True]


def test_withdrawn_is_not_ready_any_more_and_confirmed_by_the_agents_answer(standing: Standing, heard: Heard) -> None:
    standing.exposed([80], True)
    news(standing)
    standing.withdraw()
    assert (standing.ready, news(standing)) == (False, True)
    assert heard[-1] == {"event": "expose", "state": "changed", "listening": [80], "ready": False}
    standing.told(True)  # the answer to a beat that was sent before
    assert heard[-1]["event"] == "expose"
    standing.told(False)
    standing.told(False)
    standing.exposed([80], True)
    assert heard[2:] == [{"event": "withdrawn"}]


def test_a_process_that_was_not_ready_is_withdrawn_as_well(standing: Standing, heard: Heard) -> None:
    standing.withdraw()
    assert news(standing)
    standing.told(False)
    assert heard == [{"event": "withdrawn"}]


def test_a_guard_is_urgent_and_its_answer_is_told(standing: Standing, heard: Heard) -> None:
    standing.guard = {"token": "T"}
    assert news(standing)
    standing.guarded({"guard": "up"})
    standing.guarded({"guard": "failed", "reason": "Unauthorized"})
    standing.guarded({"beat": 4})
    assert heard == [
        {"event": "guard", "state": "up"},
        {"event": "guard", "state": "failed", "reason": "Unauthorized"},
        {"event": "guard", "state": "failed", "reason": "the agent does not say why"},
    ]
