"""What the figures are to be (issue 6), and whether they are. Pure.

for line in goals.verdicts(results, startup, memory): print(line)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.measures import Results, Value

STARTUP = 3000  # milliseconds to the user's first instruction
EXEC = 1000  # milliseconds of `tpbox exec` (issue 7)
MEMORY = 150  # MB, of helper and of proxy pod


@dataclass(frozen=True)
class Goal:
    """A figure of one path: at least or at most a number, or that part of another path's figure."""

    figure: str
    path: str
    at_least: float = 0.0
    at_most: float = 0.0
    of: str = ""

    def verdict(self, results: Results) -> str:
        value = results.get(self.figure, {}).get(self.path, Value())
        whole = results.get(self.figure, {}).get(self.of, Value()).figure if self.of else 1.0
        wanted = f"at least {self.at_least:g}" if self.at_least else f"at most {self.at_most:g}"
        wanted += f" of {self.of}'s" if self.of else ""
        if value.figure is None or not whole:
            return f"unknown: {self.path}, {self.figure}: no figure ({wanted})"
        found = value.figure / whole
        met = not value.note and (found >= self.at_least if self.at_least else found <= self.at_most)
        note = f" ({value.note})" if value.note else ""
        return f"{'met' if met else 'SHORT'}: {self.path}, {self.figure}: {found:.3g}{note}, {wanted}"


_STREAMS = [f"{streams} {direction}, MB/s" for streams in ("1 stream", "4 streams") for direction in ("up", "down")]
GOALS = (
    *(Goal(name, "netstack", at_least=0.7, of="port-forward") for name in _STREAMS),
    *(Goal(name, "sshuttle", at_least=0.3, of="port-forward") for name in _STREAMS),
    Goal("GET, new connection, p50, ms", "netstack", at_most=4),
    Goal("GET, new connection, p95, ms", "netstack", at_most=7),
    Goal("new connections for 60 s, 50 clients, 1/s", "netstack", at_least=1000),
    Goal("DNS, fresh name, p50, ms", "netstack", at_most=2.5),
)


def verdicts(results: Results, startup: Mapping[str, float], memory: Mapping[str, float]) -> Iterator[str]:
    """A line for each goal."""
    for goal in GOALS:
        yield goal.verdict(results)
    took = startup["to the program"]
    yield f"{'met' if took <= STARTUP else 'SHORT'}: start-up: {took:.0f} ms, at most {STARTUP}"
    took = startup["exec"]
    yield f"{'met' if took < EXEC else 'SHORT'}: exec: {took:.0f} ms, below {EXEC}"
    for name, used in memory.items():
        yield f"{'met' if used < MEMORY else 'SHORT'}: memory, {name}: {used:.0f} MB, below {MEMORY}"
