"""A pytest plugin that tells which tests show which row of docs/acceptance.md, and with which engine.

pytest --collect-only -p tests.rows --rows FILE tests/e2e        # {"18": {"netstack": 30, "sshuttle": 30}, …}

A row is a mark's (`row(18)`) or a name's (`test_row_18_…`); the engine is the test's parameter, else the default.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

DEFAULT = "netstack"
ENGINES = (DEFAULT, "sshuttle")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", type=Path, help="write the rows that the collected tests show to this file")


def pytest_collection_finish(session: pytest.Session) -> None:
    if path := session.config.getoption("--rows"):
        path.write_text(json.dumps(shown(session.items), indent=1))


def shown(items: list[pytest.Item]) -> dict[str, Counter[str]]:
    """How many tests show each row with each engine."""
    found: dict[str, Counter[str]] = {}
    for item in items:
        for row in _rows(item):
            found.setdefault(str(row), Counter())[_engine(item)] += 1
    return found


def _rows(item: pytest.Item) -> set[int]:
    marked = {int(mark.args[0]) for mark in item.iter_markers("row")}
    named = re.match(r"test_rows?_([0-9]+)(?:_and_([0-9]+))?_", item.name)
    return marked | ({int(number) for number in named.groups() if number} if named else set())


def _engine(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    chosen = [value for value in callspec.params.values() if value in ENGINES] if callspec else []
    return str(chosen[0]) if chosen else DEFAULT
