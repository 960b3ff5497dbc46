"""The table rows x engines, made from the end-to-end tests: no cell that an engine is in the way of is empty."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rows import ENGINES

ROOT = Path(__file__).parents[2]
# What goes through the engine, by the rows of docs/acceptance.md. Of 18 and 19 docs/engines.md says what each does.
THROUGH_THE_ENGINE = (15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 30, 31, 33, 34, 38)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    words = ["--collect-only", "-q", "-p", "no:cacheprovider", "-p", "tests.rows", "--rows", str(path), "tests/e2e"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(path.read_text()))


@pytest.mark.parametrize("row", THROUGH_THE_ENGINE)
def test_a_row_that_the_engine_is_in_the_way_of_is_shown_with_each(table: dict[str, dict[str, int]], row: int) -> None:
    assert set(table.get(str(row), {})) == set(ENGINES)
