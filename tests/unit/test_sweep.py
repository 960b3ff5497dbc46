from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import pytest

from tpbox import names, sweep
from tpbox.cluster.api import Api
from tpbox.errors import ClusterError, DockerError
from tpbox.local.docker import Container, Docker
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


class FakeApi:
    namespace = "shop"

    def __init__(self, *jobs: tuple[str, str]) -> None:
        self.jobs = list(jobs)
        self.forbidden = False

    def get(self, path: str, **_: str) -> dict[str, Any]:
        if self.forbidden and path == "/apis/batch/v1/jobs":
            raise ClusterError("forbidden")
        if path.endswith("/pods"):
            return {"items": []}
        return {"items": [_job(namespace, session) for namespace, session in self.jobs]}

    def delete(self, path: str, **_: Any) -> None:
        self.jobs = [j for j in self.jobs if path != f"/apis/batch/v1/namespaces/{j[0]}/jobs/tpbox-{j[1]}"]


def _job(namespace: str, session: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": f"tpbox-{session}", "labels": {names.SESSION: session}}}


def record(session: str, *, alive: bool) -> SessionRecord:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    made = SessionRecord(
        session=session, owner="ann@desk", target="new pod", docker_host="unix:///d", kubeconfig="/k", context="dev",
        namespace="shop", objects=[ObjectRef("job", f"tpbox-{session}")],
    )  # fmt: skip
    if not alive:
        made.pid, made.pid_start = ended.pid, "1"
    made.save()
    return made


def find(docker: FakeDocker, api: FakeApi) -> dict[str, sweep.Found]:
    return {f.session: f for f in sweep.find(cast(Docker, docker), cast(Api, api))}


def test_records_containers_and_jobs_make_one_list_of_sessions() -> None:
    record("here", alive=True)
    record("gone", alive=False)
    found = find(FakeDocker(("gone", "tpbox-gone"), ("lost", "tpbox-lost-app")), FakeApi(("shop", "far")))
    assert {s: f.alive for s, f in found.items()} == {"here": True, "gone": False, "lost": False, "far": False}
    assert found["gone"].objects() == [
        "container tpbox-gone", "volume tpbox-gone-v0", "Job tpbox-gone in namespace shop",
    ]  # fmt: skip
    assert found["far"].jobs == (("shop", "tpbox-far"),)


def test_who_may_not_list_all_namespaces_sees_the_contexts_own() -> None:
    api = FakeApi(("shop", "far"))
    api.forbidden = True
    assert list(find(FakeDocker(), api)) == ["far"]


def test_all_of_a_dead_session_is_removed_and_then_its_record() -> None:
    dead = record("gone", alive=False)
    docker, api = FakeDocker(("gone", "tpbox-gone")), FakeApi(("shop", "gone"))
    assert sweep.remove(find(docker, api)["gone"], cast(Docker, docker), lambda _: cast(Api, api)) == []
    assert (docker.there, docker.volume_names["gone"], api.jobs) == ([], [], [])
    assert not dead.path.exists()


def test_a_record_stays_as_long_as_something_does() -> None:
    dead = record("gone", alive=False)
    docker, api = FakeDocker(("gone", "tpbox-gone")), FakeApi(("shop", "gone"))
    docker.refuses = "tpbox-gone"
    [failure] = sweep.remove(find(docker, api)["gone"], cast(Docker, docker), lambda _: cast(Api, api))
    assert (failure.step, failure.error.message) == ("container tpbox-gone", "busy")
    assert api.jobs == []
    assert dead.path.exists()


def test_a_cluster_that_is_away_does_not_keep_the_containers(monkeypatch: pytest.MonkeyPatch) -> None:
    record("gone", alive=False)
    docker = FakeDocker(("gone", "tpbox-gone"))

    def away(_: object) -> Api:
        raise ClusterError("unreachable")

    [failure] = sweep.remove(find(docker, FakeApi())["gone"], cast(Docker, docker), away)
    assert failure.error.message == "unreachable"
    assert docker.there == []
