from __future__ import annotations

import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tpbox import process
from tpbox.errors import ClusterError, DockerError, ImageError
from tpbox.local import lock
from tpbox.local.docker import Docker
from tpbox.local.embedded import Embedded, free_port
from tpbox.plan import node


class FakeDocker:
    """Docker as the embedded cluster sees it, without one."""

    host = "unix:///nowhere"

    def __init__(self, *, taken: frozenset[str] = frozenset(), networks: list[dict[str, Any]] | None = None) -> None:
        self.taken = taken
        self.existing = networks or []
        self.created: list[tuple[str, str | None]] = []

    def inspect(self, name: str) -> None:
        return None

    def image(self, reference: str) -> None:
        return None

    def networks(self, name: str) -> list[dict[str, Any]]:
        return self.existing

    def create_network(self, name: str, subnet: str, labels: dict[str, str], dynamic: str | None) -> None:
        if subnet in self.taken:
            raise DockerError("Docker could not create network", detail="Pool overlaps with other one")
        self.created.append((subnet, dynamic))


def embedded(docker: FakeDocker) -> Embedded:
    return Embedded(cast(Docker, docker))


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield tmp_path


def test_free_port_prefers_the_wanted_one() -> None:
    port = free_port(0)
    assert free_port(port) == port


def test_free_port_is_another_where_somebody_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        found = free_port(taken)
    assert found != taken
    assert found > 1023


def test_network_is_the_first_that_is_free() -> None:
    docker = FakeDocker(taken=frozenset({node.NETWORKS[0].subnet}))
    assert embedded(docker)._network() == node.NETWORKS[1]
    assert docker.created == [(node.NETWORKS[1].subnet, node.NETWORKS[1].dynamic)]


def test_network_that_exists_is_kept() -> None:
    docker = FakeDocker(networks=[{"IPAM": {"Config": [{"Subnet": "10.9.8.0/24"}]}}])
    assert embedded(docker)._network() == node.Network("10.9.8.0/24")
    assert docker.created == []


def test_no_free_network_is_said_with_what_was_tried() -> None:
    docker = FakeDocker(taken=frozenset(n.subnet for n in node.NETWORKS))
    with pytest.raises(DockerError) as raised:
        embedded(docker)._network()
    assert node.NETWORKS[0].subnet in raised.value.message
    assert "Pool overlaps" in raised.value.detail
    assert "docker network" in raised.value.hint


def test_load_names_an_image_that_docker_has_not() -> None:
    with pytest.raises(ImageError, match="Docker has no image nosuch:1") as raised:
        embedded(FakeDocker()).load(["nosuch:1"], lambda _: None)
    assert "docker build -t nosuch:1" in raised.value.hint


def test_status_of_no_cluster_is_absent() -> None:
    assert embedded(FakeDocker()).status().state == "absent"


def test_a_node_that_ends_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], **options: object) -> str:
        if "exec" in argv:
            raise process.ProcessError(argv, 1, "container is not running")
        return "node: etcd ended; its last lines:\nno space left on device\n"

    monkeypatch.setattr(process, "run", run)
    with pytest.raises(ClusterError, match="node ended") as raised:
        embedded(FakeDocker())._wait_until_ready()
    assert "no space left on device" in raised.value.lines()[1]
    assert "docker logs tpbox-cluster" in raised.value.hint


def test_kubeconfig_lies_below_the_state_directory(state_home: Path) -> None:
    path = embedded(FakeDocker()).kubeconfig_path()
    assert path == state_home / "tpbox" / "cluster" / "kubeconfig"


def test_lock_keeps_another_process_out_and_says_so(state_home: Path) -> None:
    script = (
        "from tpbox.local import lock\n"
        "with lock.held('x', lambda: print('waits', flush=True)):\n"
        "    print('has it', flush=True)\n"
    )
    with lock.held("x"):
        other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "waits\n"
        assert other.poll() is None
    assert other.communicate(timeout=10)[0] == "has it\n"
    assert other.returncode == 0


def test_lock_is_private(state_home: Path) -> None:
    with lock.held("x"):
        assert stat.S_IMODE((state_home / "tpbox" / "locks" / "x").stat().st_mode) == 0o600
