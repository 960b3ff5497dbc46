from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from bench import measures
from bench.measures import MEASURES, Measure, Value
from bench.paths import Path
from bench.target import BenchError

RATE = Measure(("connect", "-url", "{page}", "-addr", "{server}"), (("rate, 1/s", "perSecond"),))


@dataclass(frozen=True)
class FakePath(Path):
    answer: dict[str, Any] | None = None

    def load(self, *words: str, limit: float = 0) -> dict[str, Any]:
        if self.answer is None:
            raise BenchError("lost connection to pod")
        return {**self.answer, "words": list(words)}


def test_a_figure_comes_with_what_failed_or_stalled() -> None:
    path = FakePath("one", (), answer={"perSecond": 211, "failed": 0, "stalled": 3})
    assert RATE.on(path) == {"rate, 1/s": Value(211.0, "3 stalled")}


def test_a_failure_is_a_figure_that_says_why() -> None:
    assert RATE.on(FakePath("one", ())) == {"rate, 1/s": Value(None, "failed: lost connection to pod")}


def test_names_are_not_asked_for_where_they_are_not_carried() -> None:
    dns = next(measure for measure in MEASURES if measure.needs_names)
    found = dns.on(FakePath("one", (), names=False))
    assert {value.note for value in found.values()} == {"not carried"}


def test_the_words_name_server_and_page_of_the_path() -> None:
    heard: list[str] = []

    class Listening(FakePath):
        def load(self, *words: str, limit: float = 0) -> dict[str, Any]:
            heard.extend(words)
            return {"perSecond": 1}

    RATE.on(Listening("one", (), server="127.0.0.1:7000", page="http://127.0.0.1:8000/"))
    assert heard == ["connect", "-url", "http://127.0.0.1:8000/", "-addr", "127.0.0.1:7000"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([Value(1), Value(9), Value(2)], Value(2)),
        ([Value(1), Value(note="failed: x"), Value(3)], Value(2, "failed: x")),
        ([Value(note="failed: x")], Value(None, "failed: x")),
    ],
)
def test_the_median_keeps_what_went_wrong(values: list[Value], expected: Value) -> None:
    assert measures.median(values) == expected


def test_every_measure_on_every_path() -> None:
    answer = {"MBps": 2, "p50": 2, "p95": 2, "perSecond": 2}
    found = measures.all_of([FakePath("one", (), answer=answer), FakePath("two", ())], rounds=2, say=lambda _: None)
    assert set(found) == {name for measure in MEASURES for name, _ in measure.figures}
    assert all(row["one"] == Value(2.0) and row["two"].figure is None for row in found.values())


def test_start_up_is_the_median_of_each_phase() -> None:
    reports = [{"phases": [{"phase": "link", "ms": ms}, {"phase": "running", "ms": 9}]} for ms in (10, 30, 20)]
    assert measures.startup(reports, [2.0, 4.0, 3.0]) == {"link": 20, "to the program": 3000}
