from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.cluster.fake import JOBS, LEASES, NOW, WEB, FakeCluster, deployment, job
from tpbox import names, preflight
from tpbox.cli.main import run
from tpbox.cluster.api import Api
from tpbox.errors import DockerError, UsageError
from tpbox.local.docker import Docker
from tpbox.named import NamedSession, Start
from tpbox.plan.guard import Guard
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import SwapRecord
from tpbox.state import Exposed, LiveState, ObjectRef, SessionRecord
from tpbox.ui import Console


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """The cluster at hand; there is no Docker."""
    made = FakeCluster()

    def away() -> Docker:
        raise DockerError("Docker does not answer")

    monkeypatch.setattr(Docker, "connect", away)
    monkeypatch.setattr(Api, "connect", lambda *_: made.api)
    monkeypatch.setattr(preflight, "choose_kubeconfig", lambda *_: ("/kubeconfig", "dev"))
    return made


def tpbox(*argv: str, code: int = 0) -> str:
    """What is said on stderr. stdout is pytest's to capture."""
    stream = io.StringIO()
    assert run(list(argv), Console(stream=stream)) == code
    return stream.getvalue()


def living() -> SessionRecord:
    objects = [ObjectRef("job", "tpbox-aaaaaaaa"), ObjectRef("container", "tpbox-aaaaaaaa")]
    objects += [ObjectRef("container", "tpbox-aaaaaaaa-app"), ObjectRef("lease", "tpbox-swap-deployments-web")]
    made = SessionRecord(
        "aaaaaaaa", "ann@desk", "swap deployments/web", "unix:///d", "/k", "dev", "shop",
        created="2026-11-22T09:00:00Z", objects=objects, name="dev",
    )  # fmt: skip
    made.save()
    return made


def elsewhere(cluster: FakeCluster, *, age: float = 4) -> None:
    """A session of the same owner, on another machine, which has the place of deployments/web."""
    plan = Guard("bbbbbbbb", names.owner(), "shop", 30, "job-uid", "deployments", "web")
    workload = cluster.put("/apis/apps/v1/namespaces/shop/deployments", deployment(replicas=2))
    record = SwapRecord.of(WorkloadRef("deployments", "web"), workload, "bbbbbbbb", plan.owner, NOW).manifest()
    record["metadata"]["annotations"]["tpbox.dev/state"] = "down"
    cluster.put(JOBS, job("bbbbbbbb", plan.owner))
    cluster.put(LEASES, plan.lease(NOW - timedelta(seconds=age)))
    cluster.put(LEASES, record)
    cluster.touch(WEB, replicas=0)


def shown(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    tpbox("status", "--output", "json")
    return list(json.loads(capsys.readouterr().out))


def test_no_sessions(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    tpbox("status")
    assert capsys.readouterr().out == "no sessions\n"
    assert shown(capsys) == []


def test_the_table_has_what_the_launcher_wrote_and_what_the_leases_tell(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    living()
    elsewhere(cluster)
    LiveState("aaaaaaaa", "pod-1", "up", 2, (Exposed(8080, 80, True), Exposed(9000, 9000, False))).save()
    tpbox("status")
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == [
        ["SESSION", "NAME", "STATE", "TARGET", "NAMESPACE", "SINCE", "POD", "HELPER", "LINK", "RECONNECTS", "PORTS"],
        [
            "aaaaaaaa", "dev", "running", "swap deployments/web", "shop", "2026-11-22T09:00:00Z", "pod-1",
            "tpbox-aaaaaaaa", "up", "2", "8080:80, 9000:9000 (closed)",
        ],
        [
            "bbbbbbbb", "-", "running", "swap deployments/web", "shop", "2026-11-22T09:57:00Z", "-", "-",
            "renewed 4 s ago", "-", "-",
        ],
    ]  # fmt: skip


def test_json_has_the_same_and_null_for_what_is_not_known(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    record = living()
    elsewhere(cluster, age=99)
    LiveState("aaaaaaaa", link="down", exposed=(Exposed(8080, 80, True),)).save()
    here, there = shown(capsys)
    assert here == {
        "session": "aaaaaaaa", "name": "dev", "state": "running", "owner": "ann@desk", "host": record.host,
        "target": "swap deployments/web", "context": "dev", "namespace": "shop", "since": "2026-11-22T09:00:00Z",
        "pid": record.pid, "pod": None, "helper": "tpbox-aaaaaaaa", "link": "down", "reconnects": 0,
        "exposed": [{"local": 8080, "remote": 80, "listening": True}], "renewedSecondsAgo": None,
        "objects": [{"kind": o.kind, "name": o.name} for o in record.objects],
    }  # fmt: skip
    assert there == {
        "session": "bbbbbbbb", "name": None, "state": "dead", "owner": names.owner(), "host": None,
        "target": "swap deployments/web", "context": "dev", "namespace": "shop", "since": "2026-11-22T09:57:00Z",
        "pid": None, "pod": None, "helper": None, "link": None, "reconnects": None, "exposed": None,
        "renewedSecondsAgo": 99, "objects": [],
    }  # fmt: skip


def test_without_a_cluster_status_shows_this_machines(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    living()
    cluster.away = True
    said = tpbox("status")
    assert "aaaaaaaa" in capsys.readouterr().out
    assert said == ""


def test_cleanup_restores_on_any_machine_by_leases_alone(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere(cluster, age=99)
    what = "session bbbbbbbb: swap of deployments/web in namespace shop, Job tpbox-bbbbbbbb in namespace shop"
    said = tpbox("cleanup", "--dry-run")
    assert "only the cluster's side is looked at: Docker does not answer" in said
    assert capsys.readouterr().out == f"would remove {what}\n"
    assert cluster.written() == []
    tpbox("cleanup")
    assert capsys.readouterr().out == f"removing {what}\ndeployments/web is back at 2 replicas\n"
    assert list(cluster.objects) == [WEB]
    tpbox("cleanup")
    assert capsys.readouterr().out == "nothing to remove\n"


def test_cleanup_leaves_the_living_alone(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere(cluster)
    tpbox("cleanup")
    assert capsys.readouterr().out == "nothing to remove\n"
    with pytest.raises(UsageError, match="still runs"):
        tpbox("cleanup", "--session", "bbbbbbbb")
    assert cluster.written() == []
    tpbox("cleanup", "--all")
    assert "deployments/web is back at 2 replicas" in capsys.readouterr().out


def test_cleanup_that_fails_says_what_is_left(cluster: FakeCluster) -> None:
    elsewhere(cluster, age=99)
    cluster.forbidden.add("PUT /scale")
    said = tpbox("cleanup", code=125)
    assert "warning: swap of deployments/web: may not PUT" in said


def test_cleanup_forgets_named_sessions_that_have_ended(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    session = NamedSession("dev")
    session.make_folder()
    session.save(Start(("up", "dev"), "/"))
    living()
    tpbox("cleanup", "--session", "aaaaaaaa", "--all", "--dry-run")
    assert "dev" not in capsys.readouterr().out
    tpbox("cleanup", "--dry-run")
    with session.held():
        tpbox("cleanup")
    assert session.folder.exists()
    tpbox("cleanup")
    assert not session.folder.exists()
    assert capsys.readouterr().out.splitlines() == [
        "would forget session dev, which has ended", "nothing to remove", "forgetting session dev, which has ended",
    ]  # fmt: skip
