from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal, cast

import pytest

from tpbox.cleanup import CleanupStack
from tpbox.errors import DockerError
from tpbox.local import helper, volumes
from tpbox.local.docker import Docker
from tpbox.local.volumes import VolumeService
from tpbox.plan.containers import ContainerSpec
from tpbox.plan.kubeconfig import ApiServer, Credential
from tpbox.plan.request import ProcessOptions, SessionRequest
from tpbox.plan.session import Facts, SessionPlan
from tpbox.plan.volumes import TOKEN_PATH, Mount, VolumeOptions
from tpbox.ui import QUIET, Console

FACTS = Facts(
    "ann@desk", "unix:///d.sock", "dev", "shop", "/k", Credential(server="https://api"),
    ApiServer("10.0.0.1", 6443, "api"), embedded=False,
)  # fmt: skip
TOKEN = Mount(TOKEN_PATH, "/run/secrets/token", read_only=True)


def plan(options: VolumeOptions | None = None) -> SessionPlan:
    return SessionPlan("abcdefgh", SessionRequest(ProcessOptions("myapp"), volumes=options or VolumeOptions()), FACTS)


class FakeChannel:
    """A container that answers each command with the next of its lines."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = False
        self._lines = iter(lines)

    def send(self, data: bytes) -> None:
        self.sent.append(json.loads(data))

    def lines(self) -> Iterator[tuple[Literal["stdout", "stderr"], str]]:
        for line in self._lines:
            yield "stdout", json.dumps(line)

    def close(self) -> None:
        self.closed = True


class FakeDocker:
    """An engine that keeps what is made; `refusing` is part of a container's name that it does not start."""

    def __init__(self, refusing: str = "nothing", mover: FakeChannel | None = None) -> None:
        self.made: list[ContainerSpec] = []
        self.there: dict[str, dict[str, str]] = {"tpbox-gate-old": {}, "tpbox-gate-used": {}, "other": {}}
        self.gone: list[str] = []
        self.killed: list[str] = []
        self.mover = mover or FakeChannel({"event": "ready"}, {"event": "moved"}, {"event": "moved"})
        self._refusing = refusing

    def image(self, reference: str) -> dict[str, Any] | None:
        if reference in ("old", "used"):
            return None
        return {"Id": "sha256:0123456789abcdef", "Config": {"Entrypoint": None, "Cmd": ["serve"]}}

    def volumes(self, labels: object) -> list[str]:
        return list(self.there)

    def create_volume(self, name: str, labels: dict[str, str]) -> None:
        self.there[name] = labels

    def remove_volume(self, name: str) -> None:
        if name.endswith("-used"):
            raise DockerError("volume is in use")
        self.there.pop(name, None)

    def create(self, spec: ContainerSpec) -> None:
        self.made.append(spec)

    def attach(self, name: str) -> FakeChannel:
        return self.mover if name.endswith("-mover") else FakeChannel()

    def start(self, name: str) -> None:
        if self._refusing in name and (name.endswith("-mover") or "/dev/fuse" in self.made[-1].devices):
            raise DockerError(f"Docker could not start container {name}", detail="no")

    def remove(self, name: str) -> None:
        self.gone.append(name)

    def inspect(self, name: str) -> dict[str, Any]:
        return {"State": {"Pid": {"tpbox-abcdefgh": 11, "tpbox-abcdefgh-app": 22}[name]}}

    def kill(self, name: str, number: int) -> None:
        self.killed.append(name)


def start(docker: FakeDocker, made: SessionPlan, replanned: Callable[[SessionPlan], None]) -> VolumeService:
    return helper.start(cast(Docker, docker), made, "tpbox-local:1", CleanupStack().push, replanned)[1]


def never(_: SessionPlan) -> None:
    pytest.fail("planned anew")


def test_live_mounts_are_taken_from_the_helper_and_put_into_the_container() -> None:
    docker = FakeDocker()
    made = plan()
    service = start(docker, made, never)
    seen = made.volumes.seen([TOKEN])
    mounted = service.mounted(seen, made.request.process, Console(QUIET))
    with service.moving(seen, made.app_name, last=True):
        pass
    assert {spec.name for spec in docker.made} == {"tpbox-abcdefgh", "tpbox-abcdefgh-mover"}
    assert mounted.gated == ("1", "30", "myapp", "serve")
    assert docker.mover.sent == [{"command": "move", "from": 11, "to": 22, "mounts": seen.to_take()}]
    assert docker.mover.closed, "it may do much: not longer than it is needed"


def test_one_mover_serves_several_containers() -> None:
    docker = FakeDocker()
    made = plan()
    service = start(docker, made, never)
    seen = made.volumes.seen([TOKEN])
    for _ in range(2):
        with service.moving(seen, made.app_name, last=False):
            pass
    assert [command["to"] for command in docker.mover.sent] == [22, 22]
    assert not docker.mover.closed


def test_the_gates_volume_is_one_for_each_helper_image_and_goes_after_it() -> None:
    docker = FakeDocker()
    docker.there["tpbox-gate-aaaaaaaaaaaa"] = {}  # of another image that is there
    for _ in range(2):
        docker.mover = FakeChannel({"event": "ready"})
        assert start(docker, plan(), never).gate == "tpbox-gate-0123456789ab"
        assert sorted(docker.there) == [
            "other", "tpbox-gate-0123456789ab", "tpbox-gate-aaaaaaaaaaaa", "tpbox-gate-used",
        ]  # fmt: skip
        docker.there["tpbox-gate-old"] = {}
    assert "tpbox.dev/session" not in docker.there["tpbox-gate-0123456789ab"]


@pytest.mark.parametrize("refusing", ["-mover", "abcdefgh"])
def test_where_docker_refuses_what_live_needs_volumes_are_copied(refusing: str) -> None:
    docker = FakeDocker(refusing)
    plans: list[SessionPlan] = []
    service = start(docker, plan(), plans.append)
    assert plans[0].volumes.mode == "copy"
    assert "no" in plans[0].volumes.reason
    assert "tpbox-abcdefgh" in docker.gone, "the first helper has the name of the second"
    assert docker.made[-1].mounts == ("tpbox-abcdefgh-v0:/volumes/tpbox-abcdefgh-v0",)
    assert docker.there["tpbox-abcdefgh-v0"]["tpbox.dev/session"] == "abcdefgh"
    assert service.gate == ""


def test_live_in_so_many_words_is_not_replaced_by_copies() -> None:
    with pytest.raises(DockerError, match="could not start"):
        start(FakeDocker("-mover"), plan(VolumeOptions("live")), never)


def test_a_mover_that_fails_ends_the_container_and_says_why() -> None:
    docker = FakeDocker(mover=FakeChannel({"event": "ready"}, {"event": "failed", "message": "EPERM"}))
    made = plan()
    service = start(docker, made, never)
    seen = made.volumes.seen([TOKEN])
    moving = service.moving(seen, made.app_name, last=True)
    with pytest.raises(DockerError, match="could not be moved") as caught, moving:
        while not docker.killed:
            pass
    assert caught.value.detail == "EPERM"
    assert docker.killed == ["tpbox-abcdefgh-app"]


def test_a_container_that_ends_while_it_waits_has_not_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker shows its process for a moment longer than the mover finds it."""
    docker = FakeDocker(mover=FakeChannel({"event": "ready"}, {"event": "failed", "message": "ENOENT"}))
    made = plan()
    service = start(docker, made, never)
    pids = iter([22, 11, 22, 22])
    looked = threading.Event()

    def inspect(_: str) -> dict[str, Any]:
        pid = next(pids, 0)
        if not pid:
            looked.set()
        return {"State": {"Pid": pid}}

    monkeypatch.setattr(docker, "inspect", inspect)
    with service.moving(made.volumes.seen([TOKEN]), made.app_name, last=False):
        assert looked.wait(5)
    assert docker.killed == []


def test_off_makes_nothing_beside_the_helper() -> None:
    docker = FakeDocker()
    start(docker, plan(VolumeOptions("off")), never)
    assert [spec.name for spec in docker.made] == ["tpbox-abcdefgh"]
    assert sorted(docker.there) == ["other", "tpbox-gate-old", "tpbox-gate-used"]


def test_a_volume_is_removed_when_the_helper_has_let_go_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "REMOVAL_POLL", 0.001)
    refusals = iter([DockerError("in use"), DockerError("in use"), None])
    tried: list[str] = []

    class Busy:
        def remove_volume(self, name: str) -> None:
            tried.append(name)
            if refusal := next(refusals):
                raise refusal

    volumes.remove(cast(Docker, Busy()), "v0")
    assert tried == ["v0"] * 3
    monkeypatch.setattr(volumes, "REMOVAL_PATIENCE", -1.0)
    refusals = iter([DockerError("in use")])
    with pytest.raises(DockerError):
        volumes.remove(cast(Docker, Busy()), "v0")
