"""The embedded cluster's node, in Docker's terms, and the kubeconfig that leads to it.

    spec = node.container("tpbox-cluster", image, network, port=6443, modules=True)
    text = node.kubeconfig(admin, port=6443)

The volume is mounted at one path; the node's image says what is kept there (cluster/node/README.md).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import yaml

from tpbox import names
from tpbox.plan.containers import ContainerSpec, PortBinding

CONTEXT = "tpbox"
API_PORT = 6443
STATE = "/var/lib/node"
KUBECONFIG = "/run/node/kubeconfig"  # the node writes it once the cluster is ready
MODULES = "/lib/modules"
IMAGE_LABEL = "tpbox.dev/docker-id"
LABELS = names.labels(names.Role.CLUSTER)


@dataclass(frozen=True)
class Network:
    """A subnet for the node and who joins it. Its upper half is for containers that name no address, so that
    none of them takes the node's while the node is stopped."""

    subnet: str

    @property
    def address(self) -> str:
        """The node's; the first one is the gateway's."""
        return str(ipaddress.ip_network(self.subnet)[2])

    @property
    def dynamic(self) -> str:
        return str(list(ipaddress.ip_network(self.subnet).subnets(1))[1])


# One for each usual neighbour (Docker's own pools, home and company networks) to be out of the way of.
NETWORKS = tuple(Network(n) for n in ("172.30.77.0/24", "10.213.77.0/24", "192.168.213.0/24", "100.72.77.0/24"))


def container(name: str, image: str, network: Network, *, port: int, modules: bool) -> ContainerSpec:
    """The node's container, on Docker's network and volume of the same name; `port` is the API's on the host's
    loopback, `modules` whether the host has kernel modules to load."""
    return ContainerSpec(
        name=name,
        image=image,
        labels=LABELS,
        hostname=name,
        network=name,
        ip_address=network.address,
        # Not --privileged: rootless and hardened hosts refuse it for the one capability that is dropped here.
        cap_add=("ALL",),
        cap_drop=("SYS_RESOURCE",),
        # containerd mounts, makes namespaces and sets sysctls for its containers.
        security_opt=("seccomp=unconfined", "apparmor=unconfined"),
        system_paths_masked=False,
        # The pods' cgroups lie in the node's own, and go with it.
        cgroup_namespace="private",
        devices=("/dev/kmsg:/dev/kmsg:r",),  # the kubelet watches it for killed processes
        device_cgroup_rules=("a *:* rwm",),  # what pods are allowed is containerd's to say
        tmpfs={"/run": "", "/tmp": ""},
        mounts=(f"{name}:{STATE}", *((f"{MODULES}:{MODULES}:ro",) if modules else ())),
        ports=(PortBinding("127.0.0.1", port, API_PORT),),
    )


def kubeconfig(admin: str, port: int) -> str:
    """The node's own administrator's kubeconfig, for use on the host."""
    found: dict[str, Any] = yaml.safe_load(admin)
    cluster, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
    cluster["server"] = f"https://127.0.0.1:{port}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": CONTEXT, "user": user}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
            "current-context": CONTEXT,
        },
        sort_keys=False,
    )


def published_port(inspected: dict[str, Any]) -> int:
    """The API's port on the host, as `docker inspect` of the node tells it, running or not."""
    return int(inspected["HostConfig"]["PortBindings"][f"{API_PORT}/tcp"][0]["HostPort"])


def loaded(listing: str, reference: str, image_id: str) -> bool:
    """Whether containerd has this very image under this name, by what `ctr images ls` prints. Its own digests are
    not Docker's ids, so `tpbox cluster load` labels what it has loaded."""
    rows = {fields[0]: fields[-1].split(",") for fields in map(str.split, listing.splitlines()) if fields}
    return f"{IMAGE_LABEL}={image_id}" in rows.get(full_name(reference), [])


def loaded_names(listing: str) -> list[str]:
    """The names of the images that `ctr images ls` prints, without digests and ids."""
    first = [line.split()[0] for line in listing.splitlines()[1:] if line.strip()]
    return [name for name in first if "@" not in name and not name.startswith("sha256:")]


def full_name(reference: str) -> str:
    """`myapp` as containerd and the kubelet write it: `docker.io/library/myapp:latest`."""
    name, slash, _ = reference.partition("/")
    registry = slash and ("." in name or ":" in name or name == "localhost")
    prefix = "" if registry else "docker.io/" if slash else "docker.io/library/"
    tag = "" if ":" in reference.rpartition("/")[2] or "@" in reference else ":latest"
    return f"{prefix}{reference}{tag}"
