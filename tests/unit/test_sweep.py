from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.cluster.fake import DEPLOYMENTS, JOBS, LEASES, NOW, RECORD, WEB, FakeCluster, deployment, job
from tpbox import names, sweep
from tpbox.cleanup import Failure
from tpbox.cluster.api import Api
from tpbox.errors import DockerError, UsageError
from tpbox.local.docker import Container, Docker
from tpbox.plan.guard import Guard
from tpbox.plan.request import WorkloadRef
from tpbox.plan.swap import State, SwapRecord
from tpbox.state import ObjectRef, SessionRecord


class FakeDocker:
    def __init__(self, *containers: tuple[str, str]) -> None:
        owner = names.owner()
        self.there = [
            Container(f"id-{name}", name, "running", names.labels(names.Role.APP, session, owner))
            for session, name in containers
        ]
        self.volume_names = {"gone": ["tpbox-gone-v0"]}
        self.refuses = ""

    def containers(self, labels: dict[str, str]) -> list[Container]:
        assert labels[names.OWNER] == names.owner_label(names.owner())
        return list(self.there)

    def volumes(self, labels: dict[str, str]) -> list[str]:
        return self.volume_names.get(labels[names.SESSION], [])

    def remove(self, name: str) -> None:
        if name == self.refuses:
            raise DockerError("busy")
        self.there = [c for c in self.there if c.name != name]

    def remove_volume(self, name: str) -> None:
        self.volume_names = {s: [v for v in found if v != name] for s, found in self.volume_names.items()}


def cluster_with(*sessions: str) -> FakeCluster:
    cluster = FakeCluster()
    for session in sessions:
        cluster.put(JOBS, job(session, names.owner()))
    return cluster


def swapped(cluster: FakeCluster, session: str, owner: str = "", *, state: State = "down", age: float = 0) -> None:
    """A session that has the place of deployments/web; its agent was heard `age` seconds ago."""
    plan = Guard(session, owner or names.owner(), "shop", 30, "job-uid", "deployments", "web")
    workload = cluster.put(DEPLOYMENTS, deployment(replicas=2))
    ref = WorkloadRef("deployments", "web")
    made = SwapRecord.of(ref, workload, session, plan.owner, NOW)
    cluster.put(JOBS, job(session, plan.owner))
    cluster.put(LEASES, plan.lease(NOW - timedelta(seconds=age)))
    cluster.put(LEASES, replace(made, state=state).manifest())
    cluster.touch(WEB, replicas=0)


def record(session: str, *, alive: bool, lease: str = "") -> SessionRecord:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    made = SessionRecord(
        session=session, owner="ann@desk", target="new pod", docker_host="unix:///d", kubeconfig="/k", context="dev",
        namespace="shop", objects=[ObjectRef("job", f"tpbox-{session}")],
    )  # fmt: skip
    if lease:
        made.objects.append(ObjectRef("lease", lease))
    if not alive:
        made.pid, made.pid_start = ended.pid, "1"
    made.save()
    return made


def find(docker: FakeDocker | None, cluster: FakeCluster | None, **asked: Any) -> dict[str, sweep.Found]:
    found = sweep.find(cast(Docker | None, docker), cluster.api if cluster else None, **asked)
    return {one.session: one for one in found}


def remove(found: sweep.Found, docker: FakeDocker | None, cluster: FakeCluster) -> tuple[list[Failure], list[str]]:
    said: list[str] = []
    return sweep.remove(found, cast(Docker | None, docker), lambda _: cluster.api, said.append), said


def test_records_containers_and_jobs_make_one_list_of_sessions() -> None:
    record("here", alive=True)
    record("gone", alive=False)
    found = find(FakeDocker(("gone", "tpbox-gone"), ("lost", "tpbox-lost-app")), cluster_with("far"))
    assert {s: f.alive for s, f in found.items()} == {"here": True, "gone": False, "lost": False, "far": False}
    assert found["gone"].objects() == [
        "container tpbox-gone", "volume tpbox-gone-v0", "Job tpbox-gone in namespace shop",
    ]  # fmt: skip
    assert found["far"].jobs == (("shop", "tpbox-far"),)


def test_who_may_not_list_all_namespaces_sees_the_contexts_own() -> None:
    cluster = cluster_with("far")
    cluster.forbidden |= {"GET v1/jobs", "GET v1/leases"}
    assert list(find(FakeDocker(), cluster)) == ["far"]


def test_a_cluster_that_is_not_asked_is_said() -> None:
    record("here", alive=True)
    cluster, warned = cluster_with("far"), list[str]()
    cluster.away = True
    assert list(find(FakeDocker(), cluster, warn=warned.append)) == ["here"]
    assert warned == ["sessions of context 'dev' are not looked for: the API server cannot be reached"]


def test_all_of_a_dead_session_is_removed_and_then_its_record() -> None:
    dead = record("gone", alive=False)
    docker, cluster = FakeDocker(("gone", "tpbox-gone")), cluster_with("gone")
    assert remove(find(docker, cluster)["gone"], docker, cluster) == ([], [])
    assert (docker.there, docker.volume_names["gone"], cluster.objects) == ([], [], {})
    assert not dead.path.exists()


def test_of_a_file_with_secrets_the_text_goes(tmp_path: Path) -> None:
    secrets = tmp_path / "web.env"
    secrets.write_text("TOKEN=s3cret")
    dead = record("gone", alive=False)
    dead.objects += [ObjectRef("file", str(secrets)), ObjectRef("file", str(tmp_path / "never.env"))]
    dead.save()
    docker, cluster = FakeDocker(("gone", "tpbox-gone")), cluster_with("gone")
    assert remove(find(docker, cluster)["gone"], docker, cluster) == ([], [])
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*.env")] == [("web.env", "")]


def test_a_record_stays_as_long_as_something_does() -> None:
    dead = record("gone", alive=False)
    docker, cluster = FakeDocker(("gone", "tpbox-gone")), cluster_with("gone")
    docker.refuses = "tpbox-gone"
    [failure], _ = remove(find(docker, cluster)["gone"], docker, cluster)
    assert (failure.step, failure.error.message) == ("container tpbox-gone", "busy")
    assert cluster.objects == {}
    assert dead.path.exists()


def test_a_cluster_that_is_away_does_not_keep_the_containers() -> None:
    record("gone", alive=False)
    docker = FakeDocker(("gone", "tpbox-gone"))
    found = find(docker, cluster_with())["gone"]
    cluster = FakeCluster()
    cluster.away = True
    [failure], _ = remove(found, docker, cluster)
    assert failure.error.message == "the API server cannot be reached"
    assert docker.there == []


# Swaps


@pytest.mark.parametrize(
    ("local", "age", "state"),
    [
        ("living", 0, "running"),
        ("living", 99, "running"),  # a laptop that slept: the launcher itself sees what has become of its swap
        ("dead", 0, "dead"),  # the agent has not noticed yet
        ("dead", 99, "dead"),
        ("none", 0, "running"),  # on another machine
        ("none", 40, "running"),
        ("none", 41, "dead"),
        ("none", None, "unknown"),
    ],
)
def test_who_is_alive(local: str, age: float | None, state: str) -> None:
    cluster = FakeCluster()
    swapped(cluster, "aaaaaaaa", age=age or 0)
    if age is None:
        del cluster.objects[f"{LEASES}/tpbox-aaaaaaaa"]
    if local != "none":
        record("aaaaaaaa", alive=local == "living")
    found = find(FakeDocker(), cluster)["aaaaaaaa"]
    assert (found.state, found.alive) == (state, state == "running")


def test_a_swap_is_given_back_first_and_then_all_is_removed() -> None:
    cluster = FakeCluster()
    swapped(cluster, "aaaaaaaa", age=99)
    found = find(FakeDocker(), cluster)["aaaaaaaa"]
    assert found.objects() == ["swap of deployments/web in namespace shop", "Job tpbox-aaaaaaaa in namespace shop"]
    cluster.calls.clear()
    assert remove(found, FakeDocker(), cluster) == ([], ["deployments/web is back at 2 replicas"])
    assert cluster.written()[:2] == [
        "PUT /apis/apps/v1/deployments/web/scale",
        "DELETE /apis/coordination.k8s.io/v1/leases/tpbox-swap-deployments-web",
    ]
    assert cluster.written()[-1] == "DELETE /apis/batch/v1/jobs/tpbox-aaaaaaaa"
    assert list(cluster.objects) == [WEB]
    assert cluster.objects[WEB]["spec"]["replicas"] == 2


def test_a_swap_that_cannot_be_given_back_leaves_the_agent_to_do_it() -> None:
    dead = record("aaaaaaaa", alive=False)
    docker, cluster = FakeDocker(("aaaaaaaa", "tpbox-aaaaaaaa")), FakeCluster()
    swapped(cluster, "aaaaaaaa")
    cluster.forbidden.add("PUT /scale")
    [failure], _ = remove(find(docker, cluster)["aaaaaaaa"], docker, cluster)
    assert failure.step == "swap of deployments/web"
    assert {f"{JOBS}/tpbox-aaaaaaaa", f"{LEASES}/tpbox-aaaaaaaa", RECORD} <= set(cluster.objects)
    assert docker.there == []
    assert dead.path.exists()


def test_what_somebody_else_has_taken_over_is_left_to_him() -> None:
    cluster = FakeCluster()
    swapped(cluster, "bbbbbbbb", "bob@lap")
    dead = record("aaaaaaaa", alive=False, lease="tpbox-swap-deployments-web")
    assert remove(find(FakeDocker(), cluster)["aaaaaaaa"], FakeDocker(), cluster) == ([], [])
    assert {f"{JOBS}/tpbox-bbbbbbbb", f"{LEASES}/tpbox-bbbbbbbb", RECORD} <= set(cluster.objects)
    assert cluster.objects[WEB]["spec"]["replicas"] == 0
    assert not dead.path.exists()


@pytest.mark.parametrize("docker_answers", [True, False])
def test_the_watchdog_finds_the_swap_by_the_record_alone(monkeypatch: pytest.MonkeyPatch, docker_answers: bool) -> None:
    cluster = FakeCluster()
    swapped(cluster, "aaaaaaaa")
    dead = record("aaaaaaaa", alive=False, lease="tpbox-swap-deployments-web")

    def connect() -> Docker:
        if not docker_answers:
            raise DockerError("away")
        return cast(Docker, FakeDocker())

    monkeypatch.setattr(Docker, "connect", connect)
    monkeypatch.setattr(Api, "connect", lambda *_: cluster.api)
    failures = sweep.remove_dead(dead)
    assert cluster.objects[WEB]["spec"]["replicas"] == 2
    assert list(cluster.objects) == [WEB]
    assert [failure.step for failure in failures] == ([] if docker_answers else ["containers"])
    assert dead.path.exists() == (not docker_answers)


def test_a_dead_session_that_any_command_removes_says_what_it_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, warned = FakeCluster(), list[str]()
    swapped(cluster, "aaaaaaaa")
    record("aaaaaaaa", alive=False, lease="tpbox-swap-deployments-web")
    monkeypatch.setattr(Docker, "connect", FakeDocker)
    monkeypatch.setattr(Api, "connect", lambda *_: cluster.api)
    sweep.remove_all_dead(warned.append)
    assert warned == ["of a dead session: deployments/web is back at 2 replicas"]


def test_a_launcher_of_another_host_is_not_ended_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a process of this host has that pid"))
    away = record("aaaaaaaa", alive=True)
    away.host = "elsewhere"
    away.save()
    cluster = cluster_with("aaaaaaaa")
    [failure], _ = remove(find(FakeDocker(), cluster)["aaaaaaaa"], FakeDocker(), cluster)
    assert "runs on host elsewhere" in failure.error.message
    assert f"{JOBS}/tpbox-aaaaaaaa" in cluster.objects


# What cleanup chooses


def chosen(session: str = "", *, everything: bool = False) -> list[str]:
    """Of mine, dead and alive, and of bob's, dead and alive."""
    cluster = FakeCluster()
    for name, owner, age in (
        ("minedead", "", 99), ("minelive", "", 0), ("bobsdead", "bob@lap", 99), ("bobslive", "bob@lap", 0),
    ):  # fmt: skip
        plan = Guard(name, owner or names.owner(), "shop", 30, "job-uid", "deployments", "web")
        cluster.put(JOBS, job(name, plan.owner))
        cluster.put(LEASES, plan.lease(NOW - timedelta(seconds=age)))
    found = list(find(FakeDocker(), cluster, session=session).values())
    return [one.session for one in sweep.choose(found, session, everything)]


def test_cleanup_takes_mine_that_are_dead() -> None:
    assert chosen() == ["minedead"]


def test_cleanup_all_takes_mine() -> None:
    assert chosen(everything=True) == ["minedead", "minelive"]


@pytest.mark.parametrize("session", ["minedead", "bobsdead"])
@pytest.mark.parametrize("everything", [True, False])
def test_cleanup_of_one_takes_it_whoever_owns_it(session: str, everything: bool) -> None:
    assert chosen(session, everything=everything) == [session]


@pytest.mark.parametrize(("session", "whose"), [("minelive", names.owner()), ("bobslive", "bob@lap")])
def test_cleanup_of_one_that_lives_needs_all(session: str, whose: str) -> None:
    assert chosen(session, everything=True) == [session]
    with pytest.raises(UsageError, match=rf"session {session} still runs \(of {whose}, by its Lease\)") as raised:
        chosen(session)
    assert f"tpbox cleanup --session {session} --all" in raised.value.hint


def test_cleanup_of_one_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="there is no session 'zzzzzzzz'"):
        chosen("zzzzzzzz")


def test_a_living_launcher_is_named_by_its_pid() -> None:
    here = record("here", alive=True)
    with pytest.raises(UsageError, match=rf"session here still runs \(pid {here.pid}\)"):
        sweep.choose(list(find(FakeDocker(), None).values()), "here", everything=False)
