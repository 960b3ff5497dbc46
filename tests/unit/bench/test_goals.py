from __future__ import annotations

import pytest

from bench import goals
from bench.goals import Goal
from bench.measures import MEASURES, SUSTAINED, Results, Value

RESULTS: Results = {
    "1 stream up, MB/s": {"netstack": Value(60.0), "port-forward": Value(80.0), "broken": Value(note="failed: x")},
    "GET": {"netstack": Value(4.5)},
    "rate": {"netstack": Value(1200.0, "3 stalled")},
}


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (
            Goal("1 stream up, MB/s", "netstack", at_least=0.7, of="port-forward"),
            "met: netstack, 1 stream up, MB/s: 0.75, at least 0.7 of port-forward's",
        ),
        (Goal("GET", "netstack", at_most=4), "SHORT: netstack, GET: 4.5, at most 4"),
        (Goal("rate", "netstack", at_least=1000), "SHORT: netstack, rate: 1.2e+03 (3 stalled), at least 1000"),
        (
            Goal("1 stream up, MB/s", "broken", at_least=0.7, of="port-forward"),
            "unknown: broken, 1 stream up, MB/s: no figure (at least 0.7 of port-forward's)",
        ),
        (
            Goal("GET", "netstack", at_least=1, of="missing"),
            "unknown: netstack, GET: no figure (at least 1 of missing's)",
        ),
    ],
    ids=["met", "short", "met but stalled", "failed", "nothing to compare with"],
)
def test_a_verdict_says_what_was_found_and_what_was_wanted(goal: Goal, words: str) -> None:
    assert goal.verdict(RESULTS) == words


def test_every_goals_figure_is_measured() -> None:
    measured = {name for measure in (*MEASURES, SUSTAINED) for name, _ in measure.figures}
    assert {goal.figure for goal in goals.GOALS} <= measured


def test_start_up_and_memory_have_goals_too() -> None:
    lines = list(goals.verdicts({}, {"to the program": 3500, "exec": 400}, {"helper": 80.4}))
    assert lines[-3:] == [
        "SHORT: start-up: 3500 ms, at most 3000",
        "met: exec: 400 ms, below 1000",
        "met: memory, helper: 80 MB, below 150",
    ]  # fmt: skip
