"""The control channel: what the launcher may say, and how events are written.

    command = protocol.parse(line)        # Configure(...) | Guard(...) | Withdraw() | Stop(); raises Refused
    protocol.emit("link", state="up", reconnects=0)

docs/architecture.md, "The control channel", is the contract.
"""

from __future__ import annotations

import ipaddress
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from supervisor.carried import Wanted, parse_wanted

PROTOCOL = 4
ENGINES = ("netstack", "sshuttle")

Emit = Callable[..., None]


class Refused(Exception):
    """The command means nothing; it changes nothing."""


@dataclass(frozen=True)
class Endpoint:
    """An address outside the tunnel, which leaves by the Docker bridge."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Ssh:
    port: int
    user: str
    private_key: str = field(repr=False)
    host_key: str


@dataclass(frozen=True)
class Engine:
    """`port` is that of the engine's own far end in the Pod, 0 where it has none; `outside` what it is to carry."""

    name: str
    port: int
    bypass: tuple[Endpoint, ...]
    outside: Wanted = field(default_factory=Wanted)


@dataclass(frozen=True)
class Volumes:
    """`live`: sshfs is wanted, for all volumes but `copies`, which are paths in the pod and directories here."""

    live: bool = False
    copies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Expose:
    """The pod's port `remote` leads to the namespace's `local`. `required`: the user has asked for it by name."""

    local: int
    remote: int
    required: bool


@dataclass(frozen=True)
class HostPort:
    """127.0.0.1:`container` of the namespace leads to 127.0.0.1:`host` of the launcher's machine."""

    container: int
    host: int


@dataclass(frozen=True)
class Inbound:
    """Ports besides what the engine carries. `to_pod`: the namespace's loopback to the pod's; `from_pod`: back."""

    expose: tuple[Expose, ...] = ()
    to_pod: tuple[int, ...] = ()
    from_pod: tuple[int, ...] = ()
    host: tuple[HostPort, ...] = ()


@dataclass(frozen=True)
class Configure:
    session: str
    namespace: str
    pod: str
    ssh: Ssh
    kubeconfig: dict[str, Any] = field(repr=False)
    engine: Engine
    volumes: Volumes
    inbound: Inbound


@dataclass(frozen=True)
class Guard:
    """What the agent needs to restore by itself; it holds a token."""

    payload: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Withdraw:
    """The agent is to be told that the process is not ready, whatever it does."""


@dataclass(frozen=True)
class Stop:
    pass


Command = Configure | Guard | Withdraw | Stop


def parse(line: bytes) -> Command:
    """The command in one line. Raises Refused, with what is wrong."""
    try:
        command = json.loads(line)
    except ValueError as error:
        raise Refused(f"not a JSON object: {error}") from error
    if not isinstance(command, dict):
        raise Refused("not a JSON object")
    match command.get("command"):
        case "configure":
            return _configure(command)
        case "guard":
            return Guard(_get(command, "guard", dict, "guard: "))
        case "withdraw":
            return Withdraw()
        case "stop":
            return Stop()
        case other:
            raise Refused(f"unknown command {other!r}")


def endpoint(text: str) -> Endpoint:
    """`IP:PORT` or `[IPv6]:PORT`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    return Endpoint(ipaddress.ip_address(host.strip("[]")), int(port))


def emit(event: str, **fields: object) -> None:
    """Writes one event to stdout."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _configure(command: dict[str, Any]) -> Configure:
    ssh = _get(command, "ssh", dict)
    volumes = _get(command, "volumes", dict)
    return Configure(
        session=_get(command, "session", str),
        namespace=_get(command, "namespace", str),
        pod=_get(command, "pod", str),
        ssh=Ssh(
            port=_get(ssh, "port", int, "configure: ssh."),
            user=_get(ssh, "user", str, "configure: ssh."),
            private_key=_get(ssh, "privateKey", str, "configure: ssh."),
            host_key=_get(ssh, "hostKey", str, "configure: ssh."),
        ),
        kubeconfig=_get(command, "kubeconfig", dict),
        engine=_engine(_get(command, "engine", dict)),
        volumes=Volumes(
            live=_get(volumes, "live", bool, "configure: volumes."),
            copies=_get(volumes, "copies", dict, "configure: volumes."),
        ),
        inbound=_inbound(_get(command, "inbound", dict)),
    )


def _engine(found: dict[str, Any]) -> Engine:
    place = "configure: engine."
    name = _get(found, "name", str, place)
    if name not in ENGINES:
        raise Refused(f"configure: unknown engine {name!r}; known here: {', '.join(ENGINES)}")
    try:
        bypass = tuple(endpoint(text) for text in _get(found, "bypass", list, place))
    except (AttributeError, ValueError) as error:
        raise Refused(f"configure: engine.bypass holds something other than IP:PORT: {error}") from error
    try:
        outside = parse_wanted(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refused(f"configure: engine lacks something, or holds something other than networks: {error}") from error
    return Engine(name, _get(found, "port", int, place), bypass, outside)


def _inbound(found: dict[str, Any]) -> Inbound:
    try:
        return Inbound(
            expose=tuple(Expose(_port(e["local"]), _port(e["remote"]), bool(e["required"])) for e in found["expose"]),
            to_pod=tuple(_port(port) for port in found["toPod"]),
            from_pod=tuple(_port(port) for port in found["fromPod"]),
            host=tuple(HostPort(_port(pair["container"]), _port(pair["host"])) for pair in found["host"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"configure: inbound lacks something, or holds something other than ports: {error}") from error


def _port(found: object) -> int:
    if isinstance(found, int) and 0 < found < 65536:
        return found
    raise ValueError(f"{found!r} is no port")


def _get(found: dict[str, Any], key: str, kind: type, place: str = "configure: ") -> Any:
    if not isinstance(found.get(key), kind):
        raise Refused(f"{place}{key} is missing or is not of type {kind.__name__}")
    return found[key]
