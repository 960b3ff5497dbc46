"""What of this machine a session might have changed, and the things by label that it might have left.

    before = host.snapshot()
    ...
    assert host.snapshot() == before

Docker's own bridges, chains and mounts come and go with any container; they are left out.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.launcher import CLIENTS, POLL, state_directory
from tests.e2e.shop import docker, items, kubectl
from tpbox import preflight
from tpbox.local import images
from tpbox.plan import swap

SESSION_LABEL = "tpbox.dev/session"
GONE_WITHIN = 15  # seconds from the end of tpbox until Kubernetes has removed the last object
KUBERNETES_KINDS = (
    "jobs,pods,services,serviceaccounts,roles,rolebindings,leases,secrets,configmaps,endpointslices,replicasets"
)

_LISTINGS = {
    "container": (("ps", "-a"), "Names"),
    "volume": (("volume", "ls"), "Name"),
    "network": (("network", "ls"), "Name"),
}
_LABEL_AND_NAME = f'{{{{.Label "{SESSION_LABEL}"}}}} {{{{.%s}}}}'

# Of the host's network namespace; in a container, since iptables-save asks for root.
_NETWORK_COMMANDS = {
    "routes": "ip route show table all; ip -6 route show table all",
    "rules": "ip rule; ip -6 rule",
    "iptables": "iptables-save; iptables-legacy-save; ip6tables-save",
}
_BRIDGE = re.compile(r"\b(docker0|br-[0-9a-f]{12}|veth[0-9a-f]+|DOCKER[-\w]*)\b")
_COUNTERS = re.compile(r"\[\d+:\d+\]")
_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")


def snapshot() -> dict[str, list[str]]:
    """Resolver, hosts, routes, rules, iptables and mounts of the host, all less Docker's own."""
    found = {name: Path(name).read_text().splitlines() for name in _FILES}
    found["mounts"] = _mounts()
    script = "; ".join(f"echo '=== {name}'; {{ {command}; }}" for name, command in _NETWORK_COMMANDS.items())
    options = ("--rm", "--network", "host", "--cap-add", "NET_ADMIN")
    shown = docker("run", *options, CLIENTS, "sh", "-c", f"({script}) 2>/dev/null")
    subnets = _docker_subnets()
    for part in shown.split("=== ")[1:]:
        name, *lines = part.splitlines()
        found[name] = [_COUNTERS.sub("", line) for line in lines if not _is_dockers(line, subnets)]
    return found


def _mounts() -> list[str]:
    root = docker("info", "--format", "{{.DockerRootDir}}").strip()
    dockers = (root, "/run/docker", "/var/run/docker")
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [line for line in lines if not line.split()[1].startswith(dockers)]


def _docker_subnets() -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    names = docker("network", "ls", "-q").split()
    configs = [n["IPAM"]["Config"] or [] for n in json.loads(docker("network", "inspect", *names))]
    return [ipaddress.ip_network(c["Subnet"]) for config in configs for c in config if "Subnet" in c]


def _is_dockers(line: str, subnets: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Docker's bridges and chains, the rules about containers' addresses, and iptables-save's time stamps."""
    if _BRIDGE.search(line) or line.startswith("#"):
        return True
    address = re.search(r"-s (\S+)", line)
    if not address or "MASQUERADE" not in line:
        return False
    source = ipaddress.ip_network(address.group(1))
    return any(source.version == s.version and source.subnet_of(s) for s in subnets)  # type: ignore[arg-type]


def inventory(sessions: Collection[str]) -> set[str]:
    """All that these sessions have at this moment, on the host and in the cluster, one line each."""
    on_host = {f"record {path.name}" for path in (state_directory() / "sessions").glob("*")}
    for kind, (command, name) in _LISTINGS.items():
        shown = docker(*command, "--filter", f"label={SESSION_LABEL}", "--format", _LABEL_AND_NAME % name)
        on_host |= {f"{kind} {line}" for line in shown.splitlines()}
    return {line for line in on_host if any(session in line for session in sessions)} | in_cluster(sessions)


def expect_nothing_of(sessions: Collection[str]) -> None:
    """Fails the test when anything of these sessions is still there after GONE_WITHIN."""
    deadline = time.monotonic() + GONE_WITHIN
    while left := sessions and inventory(sessions):
        assert time.monotonic() < deadline, f"left behind: {', '.join(sorted(left))}"
        time.sleep(POLL)


def kubeconfig() -> str:
    """The embedded cluster's, wherever the command that gets it keeps its state."""
    return str(state_directory() / "cluster" / "kubeconfig")


def pod_image() -> str:
    """The proxy pod's, as the cluster has it."""
    return images.find("images/proxy-pod", "tpbox-proxy-pod").reference


def kubeconfig_of(namespace: str, account: str, path: Path) -> str:
    """A kubeconfig for a new account with exactly the rights that a session with a swap asks for."""
    rights = {*preflight.RIGHTS, *swap.rights("deployments")}
    rules = [
        {"verbs": [verb], "apiGroups": [group], "resources": [f"{resource}/{sub}".rstrip("/")]}
        for verb, group, resource, sub in sorted(rights)
    ]
    metadata = {"name": account, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        },
    ]  # fmt: skip
    kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, made)))
    config = yaml.safe_load(Path(kubeconfig()).read_text())
    config["users"][0]["user"] = {"token": kubectl("-n", namespace, "create", "token", account).strip()}
    path.write_text(yaml.safe_dump(config))
    return str(path)


def pods(sessions: Collection[str]) -> set[str]:
    """What these sessions have in the cluster that runs."""
    return {line for line in in_cluster(sessions) if line.startswith("Pod ")}


def in_cluster(sessions: Collection[str]) -> set[str]:
    """What these sessions have in the cluster."""
    return {
        f"{found['kind']} {found['metadata']['namespace']}/{found['metadata']['name']}"
        for found in items(KUBERNETES_KINDS, "-A", "-l", SESSION_LABEL)
        if found["metadata"]["labels"][SESSION_LABEL] in sessions
    }
