from __future__ import annotations

import pytest

from bench import report
from bench.measures import Results, Value

RESULTS: Results = {
    "1 stream up, MB/s": {"tpbox": Value(57.12), "shipped": Value(11.4)},
    "DNS p50, ms": {"tpbox": Value(3.456), "forward": Value(note="not carried")},
}


def test_the_table() -> None:
    assert report.table(RESULTS, ["tpbox", "forward"]).splitlines() == [
        "|                   | tpbox | forward     |",
        "|-------------------|-------|-------------|",
        "| 1 stream up, MB/s | 57.1  | –           |",
        "| DNS p50, ms       | 3.46  | not carried |",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(Value(637.2), "637"), (Value(20.04), "20.0"), (Value(3.0, "2 failed"), "3.00 (2 failed)"), (None, "–")],
)
def test_a_cell(value: Value | None, text: str) -> None:
    assert report.cell(value) == text


def test_json_has_figure_and_note() -> None:
    assert report.as_json(RESULTS)["DNS p50, ms"]["forward"] == {"figure": None, "note": "not carried"}
