"""The figures of live volumes beside each other."""

from __future__ import annotations

from bench import files
from bench.measures import Value


def ratios(**figures: float) -> list[str]:
    names = {
        "tunnel": files.TUNNEL,
        "volume": files.VOLUME,
        "small": files.SMALL,
        "idle": files.IDLE,
        "busy": files.BUSY,
    }
    return files.ratios({names[key]: {"tpbox": Value(figure)} for key, figure in figures.items()}, "tpbox")


def test_figures_that_reach_the_goals() -> None:
    assert ratios(tunnel=50, volume=40, small=0.7, idle=10, busy=25) == [
        "a file of 200 MB: 0.80 of the tunnel's speed",
        "1 000 small files: 0.70 s",
        "GET while a file is read: 2.5 times its idle p95",
    ]


def test_figures_that_do_not_say_so() -> None:
    assert ratios(tunnel=50, volume=20, small=2, idle=10, busy=50) == [
        "a file of 200 MB: 0.40 of the tunnel's speed, short of 0.7",
        "1 000 small files: 2.00 s, over 1.5",
        "GET while a file is read: 5.0 times its idle p95, over 4",
    ]
