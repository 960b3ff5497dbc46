"""What the user asked for, parsed and checked as far as words alone allow. Nothing here knows Docker or a cluster."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tpbox.errors import UsageError
from tpbox.plan.containers import PortBinding
from tpbox.plan.volumes import VolumeOptions

Engine = Literal["auto", "sshuttle"]
Method = Literal["auto", "container"]

DEFAULT_GRACE = 30  # seconds


@dataclass(frozen=True)
class WorkloadRef:
    """`KIND/NAME[:CONTAINER]`, the kind as its API plural."""

    kind: str
    name: str
    container: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}" + (f":{self.container}" if self.container else "")


# As kubectl names them; a bare NAME means a deployment.
KINDS = {
    "deploy": "deployments",
    "deployment": "deployments",
    "deployments": "deployments",
    "sts": "statefulsets",
    "statefulset": "statefulsets",
    "statefulsets": "statefulsets",
    "rs": "replicasets",
    "replicaset": "replicasets",
    "replicasets": "replicasets",
    "po": "pods",
    "pod": "pods",
    "pods": "pods",
}

_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"  # RFC 1123


def parse_workload(text: str) -> WorkloadRef:
    """Raises UsageError when it is not `[KIND/]NAME[:CONTAINER]`."""
    head, _, container = text.partition(":")
    kind, slash, name = head.rpartition("/")
    if slash and kind not in KINDS:
        known = ", ".join(sorted({"deploy", "sts", "rs", "pod"}))
        raise UsageError(f"'{text}': there is no kind '{kind}'", hint=f"The kinds are {known}: --like deploy/web")
    if not re.fullmatch(_NAME, name) or (":" in text and not re.fullmatch(_NAME, container)):
        raise UsageError(f"'{text}' is not KIND/NAME[:CONTAINER]", hint="For instance: --like deploy/web:app")
    return WorkloadRef(KINDS[kind or "deployment"], name, container)


def parse_ports(text: str) -> tuple[PortBinding, ...]:
    """`docker run -p`: [[IP:]HOSTPORT:]PORT[-PORT][/PROTOCOL]. Without an IP it is 127.0.0.1 and not, as docker has it,
    every address of the host. Raises UsageError."""
    head, _, protocol = text.partition("/")
    address, rest = _split_address(head)
    host, _, inner = rest.rpartition(":")
    try:
        host_ip = str(ipaddress.ip_address(address)) if address else "127.0.0.1"
        inside = _range(inner)
        outside: list[int] | list[None] = _range(host) if host else [None] * len(inside)
    except ValueError as error:
        raise _bad_port(text, str(error)) from error
    if protocol not in ("", "tcp", "udp") or len(inside) != len(outside):
        raise _bad_port(text, "")
    return tuple(PortBinding(host_ip, o, i, protocol or "tcp") for o, i in zip(outside, inside, strict=True))


def _split_address(text: str) -> tuple[str, str]:
    if text.startswith("["):
        address, _, rest = text[1:].partition("]")
        return address, rest.removeprefix(":")
    if text.count(":") == 2:
        address, _, rest = text.partition(":")
        return address, rest
    return "", text


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    numbers = [int(first), int(last or first)]
    if not 0 < numbers[0] <= numbers[1] < 65536:
        raise ValueError(f"{text} is not a port between 1 and 65535")
    return list(range(numbers[0], numbers[1] + 1))


def _bad_port(text: str, detail: str) -> UsageError:
    detail = "" if detail.startswith("invalid literal") else detail
    return UsageError(f"-p '{text}' is not [IP:][HOSTPORT:]PORT", detail=detail, hint="For instance: -p 8080:80")


def parse_environment(given: tuple[str, ...], own: Mapping[str, str]) -> dict[str, str]:
    """`-e NAME=VALUE`, or `-e NAME` with the value that tpbox's own environment has, as docker does.

    Raises UsageError for a name that is empty.
    """
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or any(c.isspace() for c in name):
            raise UsageError(f"-e '{text}' is not NAME=VALUE", hint="For instance: -e DEBUG=1")
        if equals:
            found[name] = value
        elif name in own:
            found[name] = own[name]
    return found


@dataclass(frozen=True)
class ProcessOptions:
    """How the user's container is run: docker's own options. `extra` passes to `docker create` unchanged.

    Without an image there is no process: a session that only looks (`tpbox env`).
    """

    image: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[PortBinding, ...] = ()
    volumes: tuple[str, ...] = ()
    user: str = ""
    workdir: str = ""
    entrypoint: str | None = None
    platform: str = ""
    name: str = ""
    init: bool = True
    tty: bool = False
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class SessionRequest:
    """One `tpbox run`, as the command line says it."""

    process: ProcessOptions
    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    service_account: str = ""
    like: WorkloadRef | None = None
    engine: Engine = "auto"
    method: Method = "auto"
    grace: int = DEFAULT_GRACE
    helper_image: str = ""
    pod_image: str = ""
    pod_cpu: str = "20m"
    pod_memory: str = "64Mi"
    pull_secret: str = ""
    service_links: bool = True
    env_exclude: tuple[str, ...] = ()
    keep: bool = False
    volumes: VolumeOptions = field(default_factory=VolumeOptions)

    @property
    def target(self) -> str:
        return f"new pod like {self.like}" if self.like else "new pod"
