"""The command line of `make bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import files, measures, memory, paths, report, target
from bench.measures import Results, Value
from bench.target import BenchError
from tpbox.errors import TpboxError

PATCHED, SHIPPED = "tpbox", "sshuttle as shipped"
STALL_SECONDS = 8
GOAL = 3.0  # times what sshuttle carries as shipped (issue 4)


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
    missing = [name for name, row in found["results"].items() if row[PATCHED].figure is None]
    for name in missing:
        _say(f"no figure for {name}: {found['results'][name][PATCHED].note}")
    return 1 if missing else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="What a session carries, measured on this machine.")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--sessions", type=int, default=5, help="sessions for the median of the start-up phases")
    parser.add_argument("--rounds", type=int, default=3, help="rounds for the median of the throughput")
    return parser.parse_args()


def _measure(sessions: int, rounds: int) -> dict[str, Any]:
    paths.prepare()
    helper, unpatched = paths.helper_image(), paths.helper_image(patched=False)
    with target.installed() as namespace:
        started = _startup(namespace, sessions)
        with ExitStack() as stack:
            cluster = stack.enter_context(paths.in_cluster(namespace))
            forward = stack.enter_context(paths.port_forward(namespace, helper))
            tpbox = stack.enter_context(paths.session(PATCHED, namespace)).path
            shipped = stack.enter_context(paths.session(SHIPPED, namespace, f"--helper-image={unpatched}")).path
            all_paths = [cluster, forward, tpbox, shipped]
            with (
                memory.watched("the helper", memory.of_container(f"tpbox-{tpbox.session}")) as of_helper,
                memory.watched("the agent", memory.of_pod(tpbox.session, namespace)) as of_agent,
            ):
                results = measures.all_of(all_paths, rounds, _say)
        volumes, inside = _volumes(namespace, rounds), measures.files_on(cluster)
        results |= {name: {**inside.get(name, {}), **row} for name, row in volumes.items()}
        stalled = _stalled(namespace)
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, load {os.getloadavg()[2]:.1f}",
        "paths": [path.name for path in all_paths],
        "startup": started,
        "results": results,
        "memory": {
            "helper, through all of the above": of_helper.bytes / 1e6,
            "proxy pod, through all of the above": of_agent.bytes / 1e6,
            **stalled,
        },
    }


def _startup(namespace: str, sessions: int) -> dict[str, float]:
    seconds, reports = [], []
    for _ in range(sessions):
        with paths.session(PATCHED, namespace) as started:
            seconds.append(started.seconds)
            # The session writes its report when it ends: read before its folder goes.
            started.end()
            reports.append(json.loads(started.report.read_text()))
    _say("start-up")
    return measures.startup(reports, seconds)


def _volumes(namespace: str, rounds: int) -> Results:
    """Through a session whose pod has the files; `not available` only where its report says that volumes are off."""
    with paths.session(PATCHED, namespace, "--like=deploy/client:client", "--volumes=live") as started:
        results = files.of(started.path, rounds)
        started.end()
        if json.loads(started.report.read_text())["volumes"] == "off":
            results = {name: {PATCHED: Value(note="not available")} for name in results}
    _say("volumes")
    return results


def _stalled(namespace: str) -> dict[str, float]:
    """The peaks while 2 GB are on their way to a reader that has stopped, each way in a session of its own."""
    peaks = {}
    for direction in ("up", "down"):
        with paths.session(PATCHED, namespace) as started:
            path = started.path
            with (
                memory.watched("the helper", memory.of_container(f"tpbox-{path.session}")) as of_helper,
                memory.watched("the agent", memory.of_pod(path.session, namespace)) as of_agent,
            ):
                words = ["-direction", direction, "-bytes", "2000000000", "-seconds", str(STALL_SECONDS)]
                path.load("stall", "-addr", path.server, *words)
        peaks[f"helper, 2 GB {direction} to a stopped reader"] = of_helper.bytes / 1e6
        peaks[f"proxy pod, 2 GB {direction} to a stopped reader"] = of_agent.bytes / 1e6
    _say("memory with a stopped reader")
    return peaks


def _print(found: dict[str, Any]) -> None:
    print(f"\n{found['machine']}; {found['seconds']} s\n")
    print(report.two_columns(("start-up, median", "ms"), found["startup"]), end="\n\n")
    print(report.table(found["results"], found["paths"]), end="\n\n")
    print(report.two_columns(("peak memory without page cache", "MB"), found["memory"]), end="\n\n")
    for name in found["results"]:
        if "stream" in name:
            times = report.ratio(found["results"], name, PATCHED, SHIPPED)
            verdict = "" if times >= GOAL else f", short of {GOAL:.0f}"
            print(f"{name.rpartition(',')[0]}: {times:.1f} times sshuttle as shipped{verdict}")
    print(*files.ratios(found["results"], PATCHED), sep="\n")


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
