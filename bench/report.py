"""What a run found, as a table for people and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.measures import Results, Value

MISSING = "–"
NOTE_LENGTH = 40  # in the table; JSON has all of it


def table(results: Results, columns: Sequence[str]) -> str:
    """A Markdown table: a row for each figure, a column for each path."""
    rows = [["", *columns]]
    for name, values in results.items():
        rows.append([name, *(cell(values.get(column)) for column in columns)])
    return _markdown(rows)


def two_columns(head: tuple[str, str], values: Mapping[str, float], digits: int = 0) -> str:
    """A Markdown table of names and figures."""
    return _markdown([list(head), *([name, f"{value:.{digits}f}"] for name, value in values.items())])


def cell(value: Value | None) -> str:
    """`57.1`, `211 (3 stalled)`, or why there is no figure."""
    if value is None:
        return MISSING
    if value.figure is None:
        return value.note if len(value.note) <= NOTE_LENGTH else f"{value.note[: NOTE_LENGTH - 1]}…"
    digits = 0 if value.figure >= 100 else 1 if value.figure >= 10 else 2
    return f"{value.figure:.{digits}f}" + (f" ({value.note})" if value.note else "")


def as_json(results: Results) -> dict[str, Any]:
    return {name: {path: value.json() for path, value in row.items()} for name, row in results.items()}


def _markdown(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"| {' | '.join(text.ljust(width) for text, width in zip(row, widths, strict=True))} |" for row in rows]
    return "\n".join([lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]])
