from __future__ import annotations

import ipaddress

import pytest
import yaml

from tpbox.plan import node
from tpbox.plan.containers import ContainerSpec, PortBinding

ADMIN = """\
apiVersion: v1
kind: Config
clusters: [{name: k, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: Y2E=}}]
users: [{name: u, user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
current-context: c
"""

# `ctr images ls` of containerd 1.7, shortened.
LISTING = """\
REF                          TYPE                             DIGEST      SIZE      PLATFORMS   LABELS
docker.io/library/myapp:1    application/vnd.docker.v2+json   sha256:d1   1.2 MiB   linux/amd64 a=b,tpbox.dev/docker-id=sha256:i1
docker.io/library/myapp:2    application/vnd.docker.v2+json   sha256:d2   1.2 MiB   linux/amd64 tpbox.dev/docker-id=sha256:i2
localhost/pause:1            application/vnd.docker.v2+json   sha256:d3   1.2 MiB   linux/amd64 -
sha256:i1                    application/vnd.docker.v2+json   sha256:d1   1.2 MiB   linux/amd64 a=b
"""  # noqa: E501


def test_container_is_complete_and_not_privileged() -> None:
    network = node.Network("172.30.77.0/24")
    assert node.container("tpbox-cluster", "image:1", network, port=7443, modules=True) == ContainerSpec(
        name="tpbox-cluster",
        image="image:1",
        labels={"app.kubernetes.io/managed-by": "tpbox", "tpbox.dev/role": "cluster"},
        hostname="tpbox-cluster",
        network="tpbox-cluster",
        ip_address="172.30.77.2",
        cgroup_namespace="private",
        cap_add=("ALL",),
        cap_drop=("SYS_RESOURCE",),
        security_opt=("seccomp=unconfined", "apparmor=unconfined"),
        system_paths_masked=False,
        devices=("/dev/kmsg:/dev/kmsg:r",),
        device_cgroup_rules=("a *:* rwm",),
        tmpfs={"/run": "", "/tmp": ""},
        mounts=("tpbox-cluster:/var/lib/node", "/lib/modules:/lib/modules:ro"),
        ports=(PortBinding("127.0.0.1", 7443, 6443),),
    )


def test_container_has_no_mount_of_modules_where_there_are_none() -> None:
    spec = node.container("n", "image:1", node.NETWORKS[0], port=6443, modules=False)
    assert spec.mounts == ("n:/var/lib/node",)


@pytest.mark.parametrize("network", node.NETWORKS, ids=str)
def test_network_gives_the_nodes_address_to_nobody_else(network: node.Network) -> None:
    subnet, dynamic = ipaddress.ip_network(network.subnet), ipaddress.ip_network(network.dynamic)
    address = ipaddress.ip_address(network.address)
    assert address in subnet
    assert address not in dynamic
    assert set(dynamic.hosts()) < set(subnet.hosts())


@pytest.mark.parametrize("network", node.NETWORKS, ids=str)
@pytest.mark.parametrize("inside", ["10.244.0.0/16", "10.96.0.0/16"])
def test_networks_do_not_overlap_the_clusters_own(network: node.Network, inside: str) -> None:
    assert not ipaddress.ip_network(network.subnet).overlaps(ipaddress.ip_network(inside))


def test_kubeconfig_leads_to_the_published_port_under_tpboxs_name() -> None:
    assert yaml.safe_load(node.kubeconfig(ADMIN, 7443)) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "tpbox", "cluster": {"server": "https://127.0.0.1:7443", "certificate-authority-data": "Y2E="}}
        ],
        "users": [{"name": "tpbox", "user": {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}}],
        "contexts": [{"name": "tpbox", "context": {"cluster": "tpbox", "user": "tpbox"}}],
        "current-context": "tpbox",
    }


def test_published_port_is_read_from_the_containers_configuration() -> None:
    inspected = {"HostConfig": {"PortBindings": {"6443/tcp": [{"HostIp": "127.0.0.1", "HostPort": "7443"}]}}}
    assert node.published_port(inspected) == 7443


@pytest.mark.parametrize(
    ("reference", "image_id", "expected"),
    [
        ("myapp:1", "sha256:i1", True),
        ("myapp:2", "sha256:i2", True),
        ("myapp:1", "sha256:i2", False),  # built again since
        ("myapp:1", "sha256:i", False),
        ("myapp:3", "sha256:i1", False),  # this content, not this name
        ("myapp", "sha256:i1", False),
        ("localhost/pause:1", "sha256:d3", False),  # not loaded by tpbox
    ],
)
def test_loaded_asks_for_name_and_content(reference: str, image_id: str, expected: bool) -> None:
    assert node.loaded(LISTING, reference, image_id) is expected


def test_loaded_names_leaves_out_ids() -> None:
    assert node.loaded_names(LISTING) == [
        "docker.io/library/myapp:1",
        "docker.io/library/myapp:2",
        "localhost/pause:1",
    ]


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("myapp", "docker.io/library/myapp:latest"),
        ("myapp:1", "docker.io/library/myapp:1"),
        ("me/myapp", "docker.io/me/myapp:latest"),
        ("localhost/pause:1", "localhost/pause:1"),
        ("registry.test/a/b", "registry.test/a/b:latest"),
        ("registry:5000/a", "registry:5000/a:latest"),
        ("myapp@sha256:00", "docker.io/library/myapp@sha256:00"),
    ],
)
def test_full_name_is_containerds(reference: str, expected: str) -> None:
    assert node.full_name(reference) == expected
