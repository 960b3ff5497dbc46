"""The embedded cluster's life, in the order of the tests in this file: each goes on where the one before ended."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from typing import Any

import pytest

from tpbox.errors import ClusterError, ImageError
from tpbox.local import embedded
from tpbox.local.docker import Docker
from tpbox.local.embedded import NAME, Embedded
from tpbox.local.images import BASE
from tpbox.plan import node
from tpbox.ui import QUIET, Console

CONSOLE = Console(QUIET)


def kubectl(cluster: Embedded, *argv: str) -> str:
    """The node's own kubectl, so that the host needs none."""
    command = ["docker", "exec", cluster.name, "kubectl", "--kubeconfig", node.KUBECONFIG, *argv]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout


def inspect(docker: Docker, cluster: Embedded) -> dict[str, Any]:
    found = docker.inspect(cluster.name)
    assert found is not None
    return found


def run_pod(cluster: Embedded, name: str, *command: str, image: str = BASE) -> None:
    argv = ["run", name, "--image", image, "--image-pull-policy=Never", "--restart=Always", "--command", "--", *command]
    kubectl(cluster, *argv)
    kubectl(cluster, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=30s")


def in_pod(cluster: Embedded, name: str, script: str) -> str:
    return kubectl(cluster, "exec", name, "--", "bash", "-c", script)


def test_nothing_works_before_up(cluster: Embedded) -> None:
    assert cluster.status().state == "absent"
    with pytest.raises(ClusterError, match="not up") as raised:
        cluster.load([BASE], lambda _: None)
    assert "tpbox cluster up" in raised.value.hint


def test_two_processes_at_once_make_one_cluster(docker: Docker, cluster: Embedded) -> None:
    script = (
        "from tpbox.local.docker import Docker\nfrom tpbox.local.embedded import Embedded\n"
        "from tpbox.ui import Console\n"
        f"Embedded(Docker.connect(), name={cluster.name!r}).up(Console())"
    )
    both = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted("waiting for another tpbox" in words for words in said) == [False, True]
    assert cluster.status().state == "up"


def test_it_is_the_kubernetes_that_was_promised(docker: Docker, cluster: Embedded) -> None:
    found = cluster.status()
    assert found.version == "v1.34.4"
    assert found.images == ("localhost/pause:1",)
    assert inspect(docker, cluster)["HostConfig"]["Privileged"] is False
    kubectl(cluster, "wait", "node", "--all", "--for=condition=Ready", "--timeout=1s")
    kubectl(cluster, "wait", "-n", "kube-system", "deployment/coredns", "--for=condition=Available", "--timeout=1s")


def test_the_api_is_published_on_loopback_only(docker: Docker, cluster: Embedded) -> None:
    bindings = inspect(docker, cluster)["NetworkSettings"]["Ports"]["6443/tcp"]
    assert [b["HostIp"] for b in bindings] == ["127.0.0.1"]
    assert cluster.status().server == f"https://127.0.0.1:{bindings[0]['HostPort']}"


def test_the_kubeconfig_is_private_and_works(cluster: Embedded) -> None:
    path = cluster.kubeconfig_path()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    script = (
        "import sys; from kubernetes import client, config\n"
        "api = config.new_client_from_config(sys.argv[1], context='tpbox')\n"
        "print(client.VersionApi(api).get_code().git_version)"
    )
    asked = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert asked.stdout == "v1.34.4\n", asked.stderr


def test_up_again_changes_nothing_and_is_quick(docker: Docker, cluster: Embedded) -> None:
    before, written = inspect(docker, cluster), cluster.kubeconfig_path().stat().st_mtime_ns
    began = time.monotonic()
    cluster.up(CONSOLE)
    assert time.monotonic() - began < 1
    after = inspect(docker, cluster)
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert cluster.kubeconfig_path().stat().st_mtime_ns == written


def test_up_brings_a_lost_kubeconfig_back(cluster: Embedded) -> None:
    text = cluster.kubeconfig_path().read_text()
    cluster.kubeconfig_path().unlink()
    cluster.up(CONSOLE)
    assert cluster.kubeconfig_path().read_text() == text


def test_load_copies_an_image_once(cluster: Embedded) -> None:
    assert cluster.load([BASE], lambda _: None) == [BASE]
    assert cluster.load([BASE], lambda _: None) == []
    run_pod(cluster, "probe", "sleep", "3600")
    assert in_pod(cluster, "probe", "grep -c trixie /etc/os-release").strip() != "0"


def test_load_copies_a_rebuilt_image_again(docker: Docker, cluster: Embedded) -> None:
    tag = "tpbox-integration-test:rebuilt"
    built = []
    try:
        for word in ("one", "two"):
            build = ["docker", "build", "-q", "-t", tag, "-"]
            dockerfile = f"FROM {BASE}\nENV WORD={word}\n"
            built.append(subprocess.run(build, input=dockerfile, text=True, check=True, capture_output=True).stdout)
            assert cluster.load([tag, BASE], lambda _: None) == [tag]
            assert cluster.load([tag, BASE], lambda _: None) == []
            run_pod(cluster, word, "sleep", "3600", image=tag)
            assert in_pod(cluster, word, "echo $WORD") == f"{word}\n"
    finally:
        for image in built:
            docker.remove_image(image.strip())


def test_load_of_an_unknown_image_loads_nothing(cluster: Embedded) -> None:
    before = cluster.status().images
    with pytest.raises(ImageError, match="Docker has no image tpbox-nosuch:1"):
        cluster.load([BASE, "tpbox-nosuch:1"], lambda _: None)
    assert cluster.status().images == before


def test_pods_resolve_and_reach_services(cluster: Embedded) -> None:
    assert in_pod(cluster, "probe", "getent hosts kubernetes.default").split()[0] == "10.96.0.1"
    in_pod(cluster, "probe", "exec 3<>/dev/tcp/kubernetes.default.svc.cluster.local/443")


def test_names_and_addresses_outside_are_refused_at_once(cluster: Embedded) -> None:
    # 2 is getent's "one or more names could not be found"; a server failure would take its time-outs.
    began = time.monotonic()
    assert in_pod(cluster, "probe", "getent hosts nosuch.example.com; echo $?").strip() == "2"
    assert time.monotonic() - began < 3
    connect = "(exec 3<>/dev/tcp/{}/80) 2>&1 | tail -n 1"
    assert "refused" in in_pod(cluster, "probe", connect.format("10.96.77.77"))
    assert "refused" in in_pod(cluster, "probe", connect.format("203.0.113.1"))


def test_the_filtered_address_is_silent(cluster: Embedded) -> None:
    tried = in_pod(cluster, "probe", "timeout 2 bash -c 'exec 3<>/dev/tcp/192.0.2.1/80' 2>/dev/null; echo $?")
    assert tried.strip() == "124"


def test_a_finished_job_goes_by_itself(cluster: Embedded) -> None:
    container = {"name": "x", "image": BASE, "imagePullPolicy": "Never", "command": ["true"]}
    pod = {"restartPolicy": "OnFailure", "containers": [container]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "ends"},
        "spec": {"ttlSecondsAfterFinished": 0, "template": {"spec": pod}},
    }
    command = ["docker", "exec", "-i", cluster.name, "kubectl", "--kubeconfig", node.KUBECONFIG, "create", "-f", "-"]
    subprocess.run(command, input=json.dumps(job), text=True, check=True, capture_output=True)
    kubectl(cluster, "wait", "job/ends", "--for=delete", "--timeout=20s")
    assert kubectl(cluster, "get", "pods", "-l", "job-name=ends", "-o", "name") == ""


def test_objects_and_images_outlive_a_stop(docker: Docker, cluster: Embedded) -> None:
    kubectl(cluster, "create", "configmap", "kept", "--from-literal=word=hello")
    address = cluster.status().address
    kubeconfig = cluster.kubeconfig_path().read_text()
    docker.stop(cluster.name, 10)
    assert cluster.status().state == "stopped"
    cluster.up(CONSOLE)
    found = cluster.status()
    assert (found.state, found.address) == ("up", address)
    assert f"server: {found.server}\n" in kubeconfig
    assert kubectl(cluster, "get", "configmap", "kept", "-o", "jsonpath={.data.word}") == "hello"
    assert cluster.load([BASE], lambda _: None) == []
    kubectl(cluster, "wait", "pod/probe", "--for=condition=Ready", "--timeout=30s")
    assert in_pod(cluster, "probe", "getent hosts kubernetes.default").split()[0] == "10.96.0.1"


# What a container leaves that died together with its Docker engine: its network namespace, with its addresses.
SQUATTER = """
ip link set eth0 down; ip link set eth0 address {mac}; ip link set eth0 up
ip address add {address}/24 dev eth0
while :; do echo > /dev/udp/{gateway}/9; sleep 0.02; done
"""


def test_a_dead_node_that_is_still_on_the_network_is_left_behind_by_the_next_up(
    docker: Docker, cluster: Embedded
) -> None:
    [before] = docker.networks(cluster.name)
    docker.stop(cluster.name, 10)
    cluster.up(CONSOLE)
    [after] = docker.networks(cluster.name)
    assert after["Id"] != before["Id"]


def test_up_does_not_take_a_cluster_for_ready_that_this_machine_cannot_reach(
    docker: Docker, cluster: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = inspect(docker, cluster)["NetworkSettings"]["Networks"][cluster.name]
    script = SQUATTER.format(mac=network["MacAddress"], address=network["IPAddress"], gateway=network["Gateway"])
    options = ["--rm", "--detach", "--network", cluster.name, "--cap-add", "NET_ADMIN"]
    run = ["docker", "run", *options, "tpbox-example-clients:1", "bash", "-c", script]
    squatter = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()
    try:
        deadline = time.monotonic() + 10
        while embedded.answers(int(cluster.status().server.rpartition(":")[2])):
            assert time.monotonic() < deadline, "the squatter gets no traffic"
            time.sleep(0.1)
        monkeypatch.setattr(embedded, "READY_WITHIN", 20)
        with pytest.raises(ClusterError, match="does not answer on this machine"):
            cluster.up(CONSOLE)
    finally:
        docker.remove(squatter)
    cluster.up(CONSOLE)
    assert embedded.answers(int(cluster.status().server.rpartition(":")[2]))


def test_a_component_that_dies_ends_the_node_and_is_named(docker: Docker, cluster: Embedded) -> None:
    subprocess.run(["docker", "exec", cluster.name, "pkill", "-x", "kube-scheduler"], check=True)
    end = time.monotonic() + 10
    while inspect(docker, cluster)["State"]["Running"]:
        assert time.monotonic() < end, "the node still runs"
        time.sleep(0.1)
    assert inspect(docker, cluster)["State"]["ExitCode"] == 1
    log = subprocess.run(["docker", "logs", cluster.name], capture_output=True, text=True, check=True)
    assert "kube-scheduler ended; its last lines:" in log.stderr
    cluster.up(CONSOLE)
    assert cluster.status().state == "up"


def test_down_leaves_nothing(docker: Docker, cluster: Embedded) -> None:
    assert cluster.down() is True
    assert docker.inspect(cluster.name) is None
    assert docker.networks(cluster.name) == []
    assert cluster.name not in docker.volumes(node.LABELS)
    assert not cluster.kubeconfig_path().exists()
    assert cluster.down() is False
    # The user's own was never touched.
    assert cluster.name != NAME
