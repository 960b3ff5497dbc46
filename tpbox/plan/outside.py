"""What of the process's traffic goes through the pod, and what leaves by this machine's own network. Pure.

asked = parse(also=("10.1.0.0/16", "db.corp"), never=("192.0.2.0/24",), only_cluster=True)
asked.remarks()                                        # what the user is to know
asked.configuration(Found(ranges=…, hosts=…))          # of the helper's engine

Without any of the options everything goes through the pod. --also-proxy says what else does beside the cluster's own
ranges, and so needs --only-cluster; --never-proxy wins over both.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tpbox.errors import ClusterError, TpboxError, UsageError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ALSO, NEVER, ONLY = "--also-proxy", "--never-proxy", "--only-cluster"
LOOPBACKS = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}")  # RFC 1123
# Meant as an address, right or wrong; resolvers take 10.1 for 10.0.0.1. No name ends in a number.
_NUMBERS = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)|.*:.*", re.IGNORECASE)


@dataclass(frozen=True)
class Ranges:
    """The cluster's own ranges, as far as they could be found. `guessed`: `pods` are only those that the pods of the
    namespace are in."""

    services: tuple[Network, ...] = ()
    pods: tuple[Network, ...] = ()
    guessed: bool = False


@dataclass(frozen=True)
class Found:
    """What preflight found for the words: the cluster's ranges, and the addresses of --never-proxy's names here."""

    ranges: Ranges = field(default_factory=Ranges)
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Outside:
    """The options, read: networks and names."""

    only_cluster: bool = False
    also: tuple[Network, ...] = ()
    also_names: tuple[str, ...] = ()
    never: tuple[Network, ...] = ()
    never_names: tuple[str, ...] = ()

    def remarks(self) -> list[str]:
        """What both options name stays local: once for each."""
        covered = [(inner, outer) for inner in self.also for outer in self.never if _within(inner, outer)]
        return [
            *(f"{NEVER} {outer} wins over {ALSO} {inner}: it stays local" for inner, outer in covered),
            *(f"{NEVER} {name} wins over {ALSO} {name}: it stays local" for name in self.both_names()),
        ]

    def both_names(self) -> list[str]:
        return [name for name in self.also_names if name in self.never_names]

    def check_carried(self, engine: str) -> None:
        """Raises TpboxError for what this engine does not carry."""
        for network in self.also:
            if network.version == 6 and engine == "sshuttle":
                raise TpboxError(
                    f"{ALSO} {network}: the engine {engine} does not carry IPv6",
                    hint="Name IPv4 networks, or take --engine netstack where the pod has IPv6.",
                )

    def check_server(self, address: str) -> None:
        """Raises TpboxError where the tunnel would have to carry what carries it."""
        server = ipaddress.ip_address(address)
        for network in self.also:
            if server in network:
                raise TpboxError(
                    f"{ALSO} {network} covers the API server's address {server}",
                    detail="The helper itself reaches it, always directly: the tunnel hangs on it.",
                    hint="Name networks without it. By kubernetes.default it is reached through the pod.",
                )

    def check_ranges(self, ranges: Ranges) -> list[str]:
        """What the user is to know of the ranges that were found. Raises ClusterError where one was not, and no CIDR
        of --also-proxy could be it."""
        missing = [kind for kind, found in (("Services", ranges.services), ("pods", ranges.pods)) if not found]
        if missing and not self.also:
            raise ClusterError(
                f"{ONLY}: with this credential the address range of the cluster's {' and '.join(missing)} is not found",
                hint=f"Name it, as whoever runs the cluster knows it: {ALSO} CIDR, for instance {ALSO} 10.96.0.0/12",
            )
        remarks = [f"the range of the cluster's {kind} is not known: {ALSO} has to name it" for kind in missing]
        if ranges.guessed:
            seen = ", ".join(map(str, ranges.pods))
            remarks.append(
                f"no node tells its pods' range: {seen} is taken, from the pods here; {ALSO} CIDR adds to it"
            )
        return remarks

    def configuration(self, found: Found, local_names: Iterable[str] = ()) -> dict[str, Any]:
        """Of `engine` in the `configure` command (docs/architecture.md). `local_names` are those of the networks that
        the helper is on, in a Compose project."""
        only = (*found.ranges.services, *found.ranges.pods, *self.also) if self.only_cluster else ()
        hosts = {name: list(addresses) for name, addresses in found.hosts.items()}
        return {
            "only": [str(network) for network in only],
            "also": [name for name in self.also_names if name not in self.never_names],
            "never": [*map(str, self.never), *(address for addresses in hosts.values() for address in addresses)],
            "hosts": hosts,
            "splitNames": self.only_cluster,
            "localNames": list(local_names),
        }

    def words(self, found: Found) -> str:
        """For people."""
        made = self.configuration(found)
        through = ", ".join([*made["only"], *made["also"], "the pod's resolver"]) if self.only_cluster else "everything"
        names = {address: name for name, addresses in found.hosts.items() for address in addresses}
        never = [f"{network} ({names[network]})" if network in names else network for network in made["never"]]
        rest = "; the rest stays local" if self.only_cluster else ""
        return f"{through} through the pod{rest}" + (f"; never {', '.join(never)}" if never else "")


def parse(also: Iterable[str], never: Iterable[str], only_cluster: bool) -> Outside:
    """The options' words. Raises UsageError."""
    also_networks, also_names = _split(ALSO, also)
    never_networks, never_names = _split(NEVER, never)
    return Outside(only_cluster, also_networks, also_names, never_networks, never_names)


def _split(option: str, texts: Iterable[str]) -> tuple[tuple[Network, ...], tuple[str, ...]]:
    """Networks and names, each once."""
    found = [parse_one(option, text) for text in texts]
    networks = dict.fromkeys(one for one in found if not isinstance(one, str))
    return tuple(networks), tuple(dict.fromkeys(one for one in found if isinstance(one, str)))


def parse_one(option: str, text: str) -> Network | str:
    """A network, or a name in lower case without a last dot. Raises UsageError."""
    name = text.lower().removesuffix(".")
    if "/" not in text and not _NUMBERS.fullmatch(text):
        if name == "localhost":
            raise _loopback(option, text)
        if _HOST.fullmatch(name):
            return name
        raise UsageError(f"{option} '{text}' is neither CIDR nor host name", hint=_example(option))
    try:
        network = ipaddress.ip_network(text.replace("%", " "), strict=False)  # an interface's name means nothing there
    except ValueError as error:
        raise UsageError(f"{option} '{text}' is not a CIDR", detail=str(error), hint=_example(option)) from None
    _check(option, text, network)
    return network


def _check(option: str, text: str, network: Network) -> None:
    given = ipaddress.ip_interface(text).ip
    if given != network.network_address:
        raise UsageError(
            f"{option} '{text}' is an address within a network",
            hint=f"The network is {option} {network}, the address alone {option} {given}",
        )
    if any(_within(network, loopback) for loopback in LOOPBACKS):
        raise _loopback(option, text)
    if network.prefixlen == 0 and option == NEVER:
        raise UsageError(
            f"{NEVER} {network} leaves nothing to go through the pod", hint=f"The cluster alone through it: {ONLY}"
        )
    if network.prefixlen == 0:
        raise UsageError(
            f"{ALSO} {network} takes {ONLY} back", hint="Leave both out: without them everything goes through the pod."
        )


def _loopback(option: str, text: str) -> UsageError:
    return UsageError(
        f"{option} {text}: the loopback is the process's own, whatever goes through the pod",
        hint="A port of this machine's: --container-to-host PORT; of the pod's: --to-pod PORT",
    )


def _example(option: str) -> str:
    return f"For instance: {option} 10.1.0.0/16, or {option} db.example.com"


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
