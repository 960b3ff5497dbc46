"""The ports that lead to the process from outside its network namespace, and from it to the pod's sidecars. Pure.

inbound = parse(expose=("9000:80",), to_pod=("5432",))
inbound.listen()             # "*:80": what sshd in the pod may listen on for the session
inbound.configuration()      # what the helper is told

--expose LOCAL[:REMOTE]      the cluster reaches the pod's REMOTE: the process's LOCAL
--from-pod PORT              the pod's sidecars reach the process at their own 127.0.0.1:PORT
--to-pod PORT                the process reaches a sidecar at its own 127.0.0.1:PORT
--container-to-host C[:H]    the process reaches this machine's 127.0.0.1:H at its own 127.0.0.1:C
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tpbox.errors import UsageError

SSH_PORT = 20022  # the agent's own, on the pod's loopback
FIRST_UNPRIVILEGED = 1024

EXPOSE, TO_POD, FROM_POD, TO_HOST = "--expose", "--to-pod", "--from-pod", "--container-to-host"
_USAGE = {
    EXPOSE: ("LOCAL[:REMOTE]", "--expose 8080, or --expose 9000:80"),
    TO_POD: ("PORT", "--to-pod 5432"),
    FROM_POD: ("PORT", "--from-pod 9000"),
    TO_HOST: ("CONTAINER[:HOST]", "--container-to-host 5678, or --container-to-host 5678:5679"),
}


@dataclass(frozen=True)
class Expose:
    """`required`: the user named it, and the pod is not ready before the process listens there."""

    local: int
    remote: int
    required: bool = True

    def __str__(self) -> str:
        return str(self.local) if self.local == self.remote else f"{self.local}:{self.remote}"


@dataclass(frozen=True)
class HostPort:
    """`container` is a port of the process's loopback, `host` one of this machine's."""

    container: int
    host: int

    def __str__(self) -> str:
        return str(self.container) if self.container == self.host else f"{self.container}:{self.host}"


@dataclass(frozen=True)
class Inbound:
    """All of them."""

    exposed: tuple[Expose, ...] = ()
    to_pod: tuple[int, ...] = ()
    from_pod: tuple[int, ...] = ()
    host: tuple[HostPort, ...] = ()

    def configuration(self) -> dict[str, Any]:
        """`inbound` of the `configure` command."""
        return {
            "expose": [{"local": e.local, "remote": e.remote, "required": e.required} for e in self.exposed],
            "toPod": list(self.to_pod),
            "fromPod": list(self.from_pod),
            "host": [{"container": port.container, "host": port.host} for port in self.host],
        }

    def listen(self) -> str:
        """TPBOX_LISTEN: the addresses of the pod that sshd may listen on for its client."""
        everywhere = (f"*:{expose.remote}" for expose in self.exposed)
        return " ".join([*everywhere, *(f"127.0.0.1:{port}" for port in self.from_pod)])

    def opens(self) -> str:
        """TPBOX_OPEN: the addresses of the pod that sshd may connect to for its client."""
        return " ".join(f"127.0.0.1:{port}" for port in self.to_pod)

    def low_ports(self) -> tuple[int, ...]:
        """Those that sshd in the pod, who is not root, may only listen on where the pod's kernel is told so."""
        ports = (*(expose.remote for expose in self.exposed), *self.from_pod)
        return tuple(sorted(port for port in ports if port < FIRST_UNPRIVILEGED))

    def with_own(self, ports: Iterable[Mapping[str, Any]]) -> Inbound:
        """The same, and besides the TCP ports that a container's manifest declares: one for one, unless an option
        has a use for that port."""
        named = {claim.port for claim in (*self._in_pod(), *self._taken_here())}
        declared = dict.fromkeys(p["containerPort"] for p in ports if p.get("protocol", "TCP") == "TCP")
        own = tuple(Expose(port, port, required=False) for port in declared if port not in {*named, SSH_PORT})
        return replace(self, exposed=(*self.exposed, *own))

    def words(self) -> str:
        """For people."""
        kinds = {
            "exposed": [f"{e.remote}" if e.local == e.remote else f"{e.remote} (here {e.local})" for e in self.exposed],
            "to the pod": self.to_pod,
            "from the pod": self.from_pod,
            "to this machine": self.host,
        }
        return "; ".join(f"{kind} {', '.join(map(str, ports))}" for kind, ports in kinds.items() if ports) or "none"

    def check(self) -> None:
        """Raises UsageError when two of them want one port."""
        _once([_Claim(SSH_PORT, "tpbox itself"), *self._in_pod()], "in the pod")
        served = {claim.port: claim for claim in self._served_here()}  # the process's own: one may be exposed twice
        _once([*self._taken_here(), *served.values()], "in the process's network namespace")

    def _in_pod(self) -> list[_Claim]:
        return [
            *(_Claim(e.remote, EXPOSE, e) for e in self.exposed),
            *(_Claim(port, FROM_POD, port) for port in self.from_pod),
            *(_Claim(port, TO_POD, port) for port in self.to_pod),
        ]

    def _served_here(self) -> list[_Claim]:
        """Where the process is to listen."""
        return [
            *(_Claim(e.local, EXPOSE, e) for e in self.exposed),
            *(_Claim(port, FROM_POD, port) for port in self.from_pod),
        ]

    def _taken_here(self) -> list[_Claim]:
        """Where the helper listens, on the process's loopback."""
        return [
            *(_Claim(port, TO_POD, port) for port in self.to_pod),
            *(_Claim(port.container, TO_HOST, port) for port in self.host),
        ]


@dataclass(frozen=True)
class _Claim:
    """A port, and what wants it."""

    port: int
    option: str
    value: object = ""

    def __str__(self) -> str:
        return f"{self.option} {self.value}".strip()


def parse(
    expose: Iterable[str] = (), to_pod: Iterable[str] = (), from_pod: Iterable[str] = (), to_host: Iterable[str] = ()
) -> Inbound:
    """The options' words. Raises UsageError that names the option, with an example."""
    found = Inbound(
        exposed=tuple(parse_expose(text) for text in expose),
        to_pod=tuple(_port(TO_POD, text, text) for text in to_pod),
        from_pod=tuple(_port(FROM_POD, text, text) for text in from_pod),
        host=tuple(HostPort(*_pair(TO_HOST, text)) for text in to_host),
    )
    found.check()
    return found


def parse_expose(text: str) -> Expose:
    """`LOCAL[:REMOTE]`. Raises UsageError."""
    return Expose(*_pair(EXPOSE, text))


def port_number(text: str) -> int:
    """Raises ValueError, in words for the user, when it is no number of a port."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise ValueError(f"'{text}' is not a port between 1 and 65535")
    return int(text)


def not_carried(ports: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Those of a container's declared ports that nothing forwards, as Kubernetes writes them: "53/UDP"."""
    return tuple(f"{p['containerPort']}/{p['protocol']}" for p in ports if p.get("protocol", "TCP") != "TCP")


def _pair(option: str, text: str) -> tuple[int, int]:
    first, colon, second = text.partition(":")
    return _port(option, first, text), _port(option, second if colon else first, text)


def _port(option: str, number: str, text: str) -> int:
    try:
        return port_number(number)
    except ValueError as error:
        form, example = _USAGE[option]
        raise UsageError(
            f"{option} '{text}' is not {form}", detail=str(error), hint=f"For instance: {example}"
        ) from None


def _once(claims: Iterable[_Claim], where: str) -> None:
    """Raises UsageError for the first port that is wanted twice."""
    seen: dict[int, _Claim] = {}
    for claim in claims:
        taker = seen.setdefault(claim.port, claim)
        if taker is not claim:
            raise UsageError(
                f"{claim}: port {claim.port} {where} is taken by {taker}",
                hint=f"For instance: {_USAGE[claim.option][1]}",
            )
