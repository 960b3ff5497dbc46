"""The command line of `make bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path as File
from typing import Any

from bench import files, goals, measures, memory, paths, report, target
from bench.measures import Results, Value
from bench.paths import Path
from bench.target import BenchError
from tpbox.errors import TpboxError

ENGINES = ("netstack", "sshuttle")
STALL_SECONDS = 8
EXECS = 10  # in a row


def main() -> int:
    options = _options()
    began = time.monotonic()
    try:
        found = _measure(options.sessions, options.rounds)
    except (BenchError, TpboxError) as error:
        _say(f"failed: {error}")
        return 1
    found["seconds"] = round(time.monotonic() - began)
    _print(found)
    if options.json:
        serial = {**found, "results": report.as_json(found["results"])}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(serial, indent=1, ensure_ascii=False) + "\n")
    missing = [name for name, row in found["results"].items() if row[ENGINES[0]].figure is None]
    for name in missing:
        _say(f"no figure for {name}: {found['results'][name][ENGINES[0]].note}")
    return 1 if missing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="What a session carries, measured on this machine.")
    parser.add_argument("--json", type=File, help="write all figures to this file")
    parser.add_argument("--sessions", type=int, default=5, help="sessions for the median of the start-up phases")
    parser.add_argument("--rounds", type=int, default=3, help="rounds for the median of the throughput")
    return parser.parse_args()


def _measure(sessions: int, rounds: int) -> dict[str, Any]:
    paths.prepare()
    used: dict[str, float] = {}
    with target.installed() as namespace:
        started = _startup(namespace, sessions)
        with ExitStack() as stack:
            cluster = stack.enter_context(paths.in_cluster(namespace))
            all_paths = [cluster, stack.enter_context(paths.port_forward(namespace, paths.helper_image()))]
            for engine in ENGINES:
                path = stack.enter_context(_session(engine, namespace)).path
                stack.enter_context(_memory(used, f"{engine}, through all of the measures", path, namespace))
                all_paths.append(path)
            results = measures.all_of(all_paths, rounds, _say)
        results |= _under_load(namespace, used)
        volumes, inside = _volumes(namespace, rounds), measures.files_on(cluster)
        results |= {name: {**inside.get(name, {}), **row} for name, row in volumes.items()}
        _stalled(namespace, used)
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, load {os.getloadavg()[2]:.1f}",
        "paths": [path.name for path in all_paths],
        "startup": started,
        "results": results,
        "memory": used,
    }


def _session(engine: str, namespace: str, *options: str) -> AbstractContextManager[paths.Started]:
    return paths.session(engine, namespace, f"--engine={engine}", *options)


@contextmanager
def _memory(used: dict[str, float], what: str, path: Path, namespace: str) -> Iterator[None]:
    """Notes the peaks of helper and proxy pod within the block, in MB."""
    with (
        memory.watched("the helper", memory.of_container(f"tpbox-{path.session}")) as of_helper,
        memory.watched("the agent", memory.of_pod(path.session, namespace)) as of_agent,
    ):
        yield
    used[f"helper, {what}"] = of_helper.bytes / 1e6
    used[f"proxy pod, {what}"] = of_agent.bytes / 1e6


def _startup(namespace: str, sessions: int) -> dict[str, float]:
    seconds, reports = [], []
    for _ in range(sessions):
        with _session(ENGINES[0], namespace) as started:
            seconds.append(started.seconds)
            # The session writes its report when it ends: read before its folder goes.
            started.end()
            reports.append(json.loads(started.report.read_text()))
    _say("start-up")
    return measures.startup(reports, seconds) | {"exec": _exec(namespace)}


def _exec(namespace: str) -> float:
    """The median of ten `tpbox exec` in a row, in milliseconds; one before them is not counted."""
    with paths.named(namespace) as execute:
        execute()
        seconds = [execute() for _ in range(EXECS)]
    _say("exec")
    return statistics.median(seconds) * 1000


def _under_load(namespace: str, used: dict[str, float]) -> Results:
    """What lasts for a while, each in a session of its own."""
    results: Results = {}
    with _session(ENGINES[0], namespace) as started:
        results |= measures.alone(measures.SUSTAINED, started.path)
    for engine in ENGINES:
        with (
            _session(engine, namespace) as started,
            _memory(used, f"{engine}, 500 connections at once", started.path, namespace),
        ):
            for name, row in measures.alone(measures.PARALLEL, started.path).items():
                results.setdefault(name, {}).update(row)
    _say("sustained load, and many connections at once")
    return results


def _volumes(namespace: str, rounds: int) -> Results:
    """Through a session whose pod has the files; `not available` only where its report says that volumes are off."""
    engine = ENGINES[0]
    with _session(engine, namespace, "--like=deploy/client:client", "--volumes=live") as started:
        results = files.of(started.path, rounds)
        started.end()
        if json.loads(started.report.read_text())["volumes"] == "off":
            results = {name: {engine: Value(note="not available")} for name in results}
    _say("volumes")
    return results


def _stalled(namespace: str, used: dict[str, float]) -> None:
    """The peaks while 2 GB are on their way to a reader that has stopped, each way in a session of its own."""
    for engine in ENGINES:
        for direction in ("up", "down"):
            with _session(engine, namespace) as started:
                path = started.path
                with _memory(used, f"{engine}, 2 GB {direction} to a stopped reader", path, namespace):
                    words = ["-direction", direction, "-bytes", "2000000000", "-seconds", str(STALL_SECONDS)]
                    path.load("stall", "-addr", path.server, *words)
    _say("memory with a stopped reader")


def _print(found: dict[str, Any]) -> None:
    print(f"\n{found['machine']}; {found['seconds']} s\n")
    print(report.two_columns(("start-up, median", "ms"), found["startup"]), end="\n\n")
    print(report.table(found["results"], found["paths"]), end="\n\n")
    print(report.two_columns(("peak memory without page cache", "MB"), found["memory"]), end="\n\n")
    for line in goals.verdicts(found["results"], found["startup"], found["memory"]):
        print(line)
    for line in files.ratios(found["results"], ENGINES[0]):
        print(line)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
