"""--report and --events: what they say is true, and holds to docs/report.schema.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.launcher import CLIENTS, ROOT, Launcher, Result
from tests.e2e.schema import check

SEQUENCE = ["preflight", "images", "link", "remote-info", "engine", "volumes", "process", "running", "cleanup"]
SIDE_BY_SIDE = {"pod", "helper"}


@dataclass(frozen=True)
class Reported:
    result: Result
    report: dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return dict(json.loads((ROOT / "docs" / "report.schema.json").read_text()))


@pytest.fixture(scope="module")
def good(tpbox: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    path = tmp_path_factory.mktemp("report") / "report.json"
    done = tpbox.run("--report", str(path), "--image", CLIENTS, "--", "sh", "-c", "sleep 1; exit 4")
    return Reported(done, json.loads(path.read_text()))


def test_the_report_holds_to_its_schema(good: Reported, schema: dict[str, Any]) -> None:
    check(good.report, schema["$defs"]["report"], schema)


def test_every_event_holds_to_its_schema(good: Reported, schema: dict[str, Any]) -> None:
    assert good.result.events
    for event in good.result.events:
        check(event, schema["$defs"]["event"], schema)


def test_the_report_says_what_was_used(good: Reported, tpbox: Launcher) -> None:
    assert good.report["session"] == good.result.session
    assert (good.report["engine"], good.report["method"]) == ("netstack", "container")
    assert good.report["volumes"] == "live"
    assert (good.report["context"], good.report["namespace"]) == ("tpbox", tpbox.namespace)
    assert good.report["exitCode"] == good.result.code == 4


def test_the_report_times_every_phase(good: Reported) -> None:
    took = {one["phase"]: one["ms"] for one in good.report["phases"]}
    assert set(SEQUENCE) | SIDE_BY_SIDE <= set(took)
    assert 1000 <= took["running"] < 4000
    assert sum(took[phase] for phase in SEQUENCE) <= good.result.seconds * 1000


def test_events_tell_the_session_in_order(good: Reported) -> None:
    events = good.result.events
    ends = [event["phase"] for event in events if event["state"] == "end" and event["phase"] in SEQUENCE]
    assert ends == SEQUENCE
    starts = [event["phase"] for event in events if event["state"] == "start"]
    assert starts.index("images") < starts.index("pod") < starts.index("link")
    assert starts.index("images") < starts.index("helper") < starts.index("link")
    times = [datetime.fromisoformat(event["time"]) for event in events]
    assert all(time.tzinfo for time in times)
    assert times == sorted(times)
    assert {event["session"] for event in events} == {good.result.session}


def test_a_failed_session_is_reported_too(tpbox: Launcher, schema: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = tpbox.run("--report", str(path), "--like", "deploy/nothing", "--image", CLIENTS, "--", "true")
    assert done.code == 125
    report = json.loads(path.read_text())
    check(report, schema["$defs"]["report"], schema)
    assert report["exitCode"] == 125
    assert "nothing" in report["error"]
    assert "error" in {event["state"] for event in done.events}
