"""What the tunnel carries, and what leaves by the Docker bridge. Pure; every engine takes its rules from here.

    carried = Carried(only=networks("10.96.0.0/16"), never=networks("10.96.7.0/24"))
    carried.networks(4)                # for the tunnel: [10.96.0.0/16]
    carried.local(4)                   # for the bridge: [10.96.7.0/24]
    carried.takes(ip_address("10.96.7.1"))    # False

Of `networks` and `local` the longest prefix decides, as in a routing table; no network is in both. What must leave by
the bridge in any case (the API server, Docker's gateway, replies) is not the user's to choose and stands elsewhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

EVERYTHING: Mapping[int, Network] = {4: ipaddress.IPv4Network("0.0.0.0/0"), 6: ipaddress.IPv6Network("::/0")}


@dataclass(frozen=True)
class Wanted:
    """What `configure` says of it.

    `only`: nothing else is carried; empty: everything is. `also`: names whose addresses in the pod are carried too.
    `hosts`: names that have these addresses, wherever those are. `split_names`: names outside the cluster are the local
    resolver's. `local_names` are its own in any case: those of a Compose project's networks.
    """

    only: tuple[Network, ...] = ()
    also: tuple[str, ...] = ()
    never: tuple[Network, ...] = ()
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split_names: bool = False
    local_names: frozenset[str] = frozenset()

    @property
    def forwards(self) -> bool:
        """Whether some names are the local resolver's, so that a forwarder has to choose."""
        return self.split_names or bool(self.local_names)


@dataclass(frozen=True)
class Carried:
    """`only` empty means everything. `never` wins over it. `resolvers` are asked for names by the bridge, on port 53
    and whatever `only` says: a resolver of the laptop's network may have an address that is a pod's too."""

    only: tuple[Network, ...] = ()
    never: tuple[Network, ...] = ()
    resolvers: tuple[Address, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether all is carried but `never`."""
        return not self.only

    def networks(self, version: int) -> list[Network]:
        """What the tunnel carries, less what is wholly local; maybe with smaller networks of `local` within."""
        if self.everything:
            return [EVERYTHING[version]]
        local = self.local(version)
        return [network for network in _collapsed(version, self.only) if not any(map(network.subnet_of, local))]  # type: ignore[arg-type]

    def local(self, version: int) -> list[Network]:
        """What is never carried, though it may lie within what is. Without `everything` the rest is local too."""
        return _collapsed(version, self.never)

    def takes(self, address: Address) -> bool:
        """Whether the tunnel carries what goes to this address."""
        return not any(address in network for network in self.never) and (
            self.everything or any(address in network for network in self.only)
        )


def parse_wanted(engine: Mapping[str, Any]) -> Wanted:
    """`engine` of the `configure` command. Raises KeyError, TypeError or ValueError."""
    names = {str(name): tuple(str(ipaddress.ip_address(a)) for a in found) for name, found in engine["hosts"].items()}
    return Wanted(
        only=networks(*engine["only"]),
        also=tuple(str(name) for name in engine["also"]),
        never=networks(*engine["never"]),
        hosts=names,
        split_names=bool(engine["splitNames"]),
        local_names=frozenset(str(name).lower() for name in engine["localNames"]),
    )


def networks(*texts: str) -> tuple[Network, ...]:
    """Raises ValueError when one is not a network or an address."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def _collapsed(version: int, found: Iterable[Network]) -> list[Network]:
    """Those of one version, each as large as it can be, so that no two of them overlap."""
    return list(ipaddress.collapse_addresses(network for network in found if network.version == version))  # type: ignore[type-var]
