"""What is measured, one after another on each path.

    results = measures.all_of(paths, rounds=3, say=print)      # {"1 stream up": {"tpbox": Value(57.1), ...}, ...}

A measure goes over all paths before the next begins, `rounds` times; the median is kept.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.paths import Path
from bench.target import BenchError


@dataclass(frozen=True)
class Value:
    """A figure, or why there is none."""

    figure: float | None = None
    note: str = ""

    def json(self) -> dict[str, Any]:
        return {"figure": self.figure, "note": self.note}


@dataclass(frozen=True)
class Measure:
    """One run of the load program, and the figures that it gives: their names and their keys in its answer."""

    words: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    repeated: bool = False  # in each round, for figures that scatter
    needs_names: bool = False  # DNS has to be carried
    limit: float = 90  # seconds

    def on(self, path: Path) -> dict[str, Value]:
        """The figures on one path, by name."""
        if self.needs_names and not path.names:
            return {name: Value(note="not carried") for name, _ in self.figures}
        words = [word.format(server=path.server, page=path.page, address=path.address) for word in self.words]
        try:
            answer = path.load(*words, limit=self.limit)
        except BenchError as error:
            return {name: Value(note=f"failed: {error}") for name, _ in self.figures}
        troubles = [f"{answer[key]} {key}" for key in ("failed", "stalled") if answer.get(key)]
        return {name: Value(float(answer[key]), ", ".join(troubles)) for name, key in self.figures}


def _throughput(direction: str, streams: int) -> Measure:
    name = f"{streams} stream{'s' if streams > 1 else ''} {direction}, MB/s"
    words = (direction, "-addr", "{server}", "-streams", str(streams), "-seconds", "1.5")
    return Measure(words, ((name, "MBps"),), repeated=True)


def _connects(clients: int) -> Measure:
    words = ("connect", "-url", "{address}", "-clients", str(clients), "-seconds", "3")
    return Measure(words, ((f"new connections, {clients} clients, 1/s", "perSecond"),))


def _percentiles(name: str) -> tuple[tuple[str, str], ...]:
    return ((f"{name} p50, ms", "p50"), (f"{name} p95, ms", "p95"))


MEASURES = (
    *(_throughput(direction, streams) for streams in (1, 4) for direction in ("up", "down")),
    Measure(("get", "-url", "{address}", "-count", "300"), _percentiles("GET, new connection,")),
    Measure(
        ("get", "-url", "{page}", "-count", "200"), _percentiles("GET, name and new connection,"), needs_names=True
    ),
    Measure(("get", "-url", "{page}", "-count", "200", "-keep-alive"), _percentiles("GET, keep-alive,")),
    Measure(("dns", "-count", "100"), _percentiles("DNS, fresh name,"), needs_names=True),
    # Last: a port-forward ends when one of its connections is reset.
    _connects(8),
    _connects(50),
)
# Only on what is to last so long.
SUSTAINED = Measure(
    ("connect", "-url", "{address}", "-clients", "50", "-seconds", "60"),
    (("new connections for 60 s, 50 clients, 1/s", "perSecond"),),
)
PARALLEL = Measure(("parallel", "-addr", "{server}", "-count", "500"), (("500 connections at once, s", "seconds"),))
FILES = (
    Measure(("files", "-path", "/files/large"), (("volume, file of 200 MB, MB/s", "MBps"),)),
    Measure(("files", "-path", "/files/small"), (("volume, 1 000 files of 4 kB, s", "seconds"),)),
)

Results = dict[str, dict[str, Value]]


def all_of(paths: Sequence[Path], rounds: int, say: Callable[[str], None]) -> Results:
    """Every measure on every path: by the figure's name, then by the path's."""
    found: dict[str, dict[str, list[Value]]] = {}
    for measure in MEASURES:
        for _ in range(rounds if measure.repeated else 1):
            for path in paths:
                for name, value in measure.on(path).items():
                    found.setdefault(name, {}).setdefault(path.name, []).append(value)
        say(", ".join(name for name, _ in measure.figures))
    return {name: {path: median(values) for path, values in row.items()} for name, row in found.items()}


def median(values: Iterable[Value]) -> Value:
    """The median of the figures, with the last note; the last note alone when there is no figure."""
    values = list(values)
    figures = [value.figure for value in values if value.figure is not None]
    notes = [value.note for value in values if value.note]
    return Value(statistics.median(figures) if figures else None, notes[-1] if notes else "")


def alone(measure: Measure, path: Path) -> Results:
    """One measure on one path."""
    return {name: {path.name: value} for name, value in measure.on(path).items()}


def files_on(path: Path) -> Results:
    """How fast a path reads its volume."""
    return {name: {path.name: value} for measure in FILES for name, value in measure.on(path).items()}


def startup(reports: Sequence[dict[str, Any]], seconds: Sequence[float]) -> dict[str, float]:
    """The median of each start-up phase and of the whole, in milliseconds, over several sessions."""
    by_phase: dict[str, list[float]] = {}
    for report in reports:
        for phase in report["phases"]:
            by_phase.setdefault(phase["phase"], []).append(phase["ms"])
    by_phase.pop("running", None)
    medians = {phase: statistics.median(ms) for phase, ms in by_phase.items()}
    return {**medians, "to the program": statistics.median(seconds) * 1000}
