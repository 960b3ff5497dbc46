"""Options of the whole suite."""

from __future__ import annotations

import random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-faults", action="store_true", help="every kill at every moment, not the chosen dozen")
    parser.addoption("--fault-seed", type=int, default=random.randrange(10**6), help="the seed of the kills' moments")


def pytest_report_header(config: pytest.Config) -> str:
    return f"fault seed: {config.getoption('--fault-seed')}"
