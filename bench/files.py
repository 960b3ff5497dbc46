"""What live volumes carry beside what the tunnel does, and what they leave to requests at the same time.

    found = files.of(started.path, rounds=3)
    files.ratios(found, "tpbox")          # ["a file of 200 MB: 0.81 of the tunnel's speed", …]

All of it alternates within one session, since a busy machine is another one a minute later.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import measures
from bench.measures import FILES, Measure, Results, Value
from bench.paths import Path
from bench.target import BenchError, run

LARGE = "/files/large/file"
TUNNEL = "ssh alone, file of 200 MB, MB/s"
VOLUME, SMALL = (name for measure in FILES for name, _ in measure.figures)
IDLE, BUSY = "GET beside no file, p95, ms", "GET while a file is read, p95, ms"
SPEED_GOAL, SMALL_GOAL, GET_GOAL = 0.7, 1.5, 4.0  # of the tunnel's speed; seconds; times the idle p95 (issue 6)
SETTLE = 0.5  # seconds
LIMIT = 60


def of(path: Path, rounds: int) -> Results:
    """The figures of a session whose pod has the files, the medians of `rounds`."""
    found: dict[str, list[Value]] = {}
    for _ in range(rounds):
        for name, value in _round(path).items():
            found.setdefault(name, []).append(value)
    return {name: {path.name: measures.median(values)} for name, values in found.items()}


def ratios(results: Results, path: str) -> list[str]:
    """What the figures are beside each other, and whether that is short of the goal."""

    def figure(name: str) -> float:
        return results.get(name, {}).get(path, Value()).figure or 0.0

    speed, small = figure(VOLUME) / (figure(TUNNEL) or 1), figure(SMALL)
    wait = figure(BUSY) / (figure(IDLE) or 1)
    short = f", short of {SPEED_GOAL}" if speed < SPEED_GOAL else ""
    slow = f", over {SMALL_GOAL}" if small > SMALL_GOAL else ""
    starved = f", over {GET_GOAL:.0f}" if wait > GET_GOAL else ""
    return [
        f"a file of 200 MB: {speed:.2f} of the tunnel's speed{short}",
        f"1 000 small files: {small:.2f} s{slow}",
        f"GET while a file is read: {wait:.1f} times its idle p95{starved}",
    ]


def _round(path: Path) -> dict[str, Value]:
    found = {TUNNEL: _tunnel(path)}
    for measure in FILES:
        found |= measure.on(path)
    found |= _get(IDLE).on(path)
    with _reading(path):
        found |= _get(BUSY).on(path)
    return found


def _get(name: str) -> Measure:
    return Measure(("get", "-url", "{page}", "-count", "200"), ((name, "p95"),))


def _tunnel(path: Path) -> Value:
    """The file by an ssh of its own through the same port-forward, from its first byte on: what the tunnel can."""
    ssh = f"ssh -F /run/tpbox/ssh_config pod cat {LARGE}"
    script = f"{ssh} | {{ head -c 1 >/dev/null; date +%s.%N; wc -c; date +%s.%N; }}"
    try:
        said = run("docker", "exec", f"tpbox-{path.session}", "sh", "-c", script, timeout=LIMIT).split()
        begin, size, end = map(float, said)
    except (BenchError, ValueError) as error:
        return Value(note=f"failed: {error}")
    return Value(size / 1e6 / (end - begin))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Within, the file is read again and again."""
    loop = "while load files -path /files/large >/dev/null; do :; done"
    with subprocess.Popen([*path.prefix, "timeout", str(LIMIT), "sh", "-c", loop]) as reader:
        try:
            time.sleep(SETTLE)
            yield
        finally:
            run(*path.prefix, "sh", "-c", "for p in /proc/[0-9]*; do grep -q '^timeout' $p/cmdline && "
                "kill ${p#/proc/}; done; true")  # fmt: skip
            reader.wait(LIMIT)
