"""What the user asked for, parsed and checked as far as words alone allow. Nothing here knows Docker or a cluster."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tpbox.errors import UsageError
from tpbox.plan import engine
from tpbox.plan.containers import PortBinding
from tpbox.plan.inbound import Inbound, port_number
from tpbox.plan.outside import Outside
from tpbox.plan.volumes import VolumeOptions

Method = Literal["auto", "container"]

NATIVE_LATER = "native processes come in a later version; for now a process runs in a container"

DEFAULT_GRACE = 30  # seconds
DEFAULT_RESTORE_WAIT = 60  # seconds


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

# Whose place cannot be taken, and why.
_ON_EACH_NODE = ("DaemonSet", "a DaemonSet has a pod on each node: there is no one pod to take the place of")
_JOB = ("Job", "the pods of a Job run to their end: there is none that stays to take the place of")
_CRON_JOB = ("CronJob", "a CronJob has pods only at its times, which run to their end: there is none that stays")
_REFUSED = {
    **dict.fromkeys(("ds", "daemonset", "daemonsets"), _ON_EACH_NODE),
    **dict.fromkeys(("job", "jobs"), _JOB),
    **dict.fromkeys(("cj", "cronjob", "cronjobs"), _CRON_JOB),
}

_NAME = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"  # RFC 1123
_SESSION = r"[A-Za-z0-9][-_.A-Za-z0-9]{0,127}"  # PROJECT-SERVICE is one, too
_SERVICE = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"  # RFC 1035


def parse_workload(text: str, option: str = "--like") -> WorkloadRef:
    """`option` is --like or --swap. Raises UsageError when it is not `[KIND/]NAME[:CONTAINER]`, and for a kind that
    cannot be had."""
    head, _, container = text.partition(":")
    kind, slash, name = head.rpartition("/")
    kind = kind.lower() if slash else "deployment"
    if kind in _REFUSED:
        raise _refused(text, option, *_REFUSED[kind])
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, [*KINDS, *_REFUSED], n=1)
        known = f"Did you mean '{near[0]}'?" if near else "The kinds are deploy, pod, rs, sts."
        raise UsageError(
            f"{option} '{text}': there is no kind '{kind}'", hint=f"{known} For instance: {option} deploy/web"
        )
    if not re.fullmatch(_NAME, name) or (":" in text and not re.fullmatch(_NAME, container)):
        raise UsageError(
            f"{option} '{text}' is not KIND/NAME[:CONTAINER]", hint=f"For instance: {option} deploy/web:app"
        )
    return WorkloadRef(KINDS[kind], name, container)


def _refused(text: str, option: str, kind: str, reason: str) -> UsageError:
    if option == "--like":
        return UsageError(f"--like '{text}': it takes no {kind}", hint="Name one of its pods: --like pod/NAME")
    return UsageError(f"{option} '{text}': {reason}", hint="A new pod can be like one of its pods: --like pod/NAME")


def parse_service_name(text: str) -> str:
    """`--as NAME`. Raises UsageError."""
    if not re.fullmatch(_SERVICE, text):
        raise UsageError(
            f"--as '{text}' is no name for a Service: at most 63 of a-z, 0-9 and '-', a letter first",
            hint="For instance: --as my-web",
        )
    return text


def parse_session_name(text: str) -> str:
    """NAME of `tpbox up`: a folder has it. Raises UsageError."""
    if not re.fullmatch(_SESSION, text):
        raise UsageError(
            f"'{text}' is no name for a session: at most 128 letters, digits, '-', '_' and '.', no sign first",
            hint="For instance: tpbox up dev --swap deploy/web",
        )
    return text


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
    first, dash, last = text.partition("-")
    numbers = range(port_number(first), port_number(last if dash else first) + 1)
    if not numbers:
        raise ValueError(f"{text} ends before it begins")
    return list(numbers)


def _bad_port(text: str, detail: str) -> UsageError:
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

    Without an image there is no process: a session that only looks (`tpbox env`), or a named one.
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
class Composed:
    """A session of `tpbox compose`: Docker Compose makes its helper and runs its process.

    `local_names` are Docker's resolver's to answer; `hosts` are lines for the hosts file; `attached`: the session ends
    with whoever has started it. In `env_file` Docker Compose finds the environment of the process.
    """

    local_names: tuple[str, ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attached: bool = False
    env_file: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Composed:
        """Out of JSON. Raises KeyError or TypeError when it is something else."""
        hosts = {name: tuple(found) for name, found in data["hosts"].items()}
        return cls(tuple(data["local_names"]), hosts, data["attached"], data["env_file"])


@dataclass(frozen=True)
class SessionRequest:
    """One `tpbox run`, as the command line says it.

    With a `session_name` it is a `tpbox up`: processes come later, and `process` has the ports and what is common to
    them.
    """

    process: ProcessOptions
    session_name: str = ""
    composed: Composed | None = None
    kubeconfig: str = ""
    context: str = ""
    namespace: str = ""
    service_account: str = ""
    like: WorkloadRef | None = None
    swap: WorkloadRef | None = None
    now: bool = False
    take_over: bool = False
    restore_wait: int = DEFAULT_RESTORE_WAIT
    inbound: Inbound = field(default_factory=Inbound)
    outside: Outside = field(default_factory=Outside)
    as_name: str = ""
    engine: engine.Asked = "auto"
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
    def looks_only(self) -> bool:
        """`tpbox env`: there will be no process."""
        return not self.process.image and not self.session_name

    @property
    def target(self) -> str:
        """In words, for the record and the report."""
        if self.swap:
            return f"swap {self.swap}"
        like = f" like {self.like}" if self.like else ""
        service = f", Service {self.as_name}" if self.as_name else ", with a Service" if self.inbound.exposed else ""
        return f"new pod{like}{service}"
