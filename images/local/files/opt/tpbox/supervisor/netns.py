"""The namespace: made like the Pod's, and closed towards the Docker bridge.

    await netns.close_off(bypass)           # before anything else: nothing leaves but what must
    await netns.resemble(info)              # resolver, hosts file and address of the Pod
    netns.nameservers(resolv_conf)          # ["10.96.0.10"]

The user's process lives in this namespace. What the engine carries is redirected to loopback before the filter sees
it; whatever else the process sends is refused here, so that it never leaves by the bridge, engine up or down. What is
the user's to keep local (`carried`) is let out.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from supervisor import children
from supervisor.carried import Carried
from supervisor.protocol import Endpoint

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")
IF_INET6 = Path("/proc/net/if_inet6")
TUN = "tpbox0"  # the device of the engine netstack

EVERYTHING_CARRIED = Carried()
NEIGHBOUR_DISCOVERY = ("neighbour-solicitation", "neighbour-advertisement")


def output_rules(
    version: int, bypass: Iterable[Endpoint], gateway: str = "", carried: Carried = EVERYTHING_CARRIED
) -> str:
    """The filter table of IP `version` as `iptables-restore` reads it; it replaces the table in one step."""
    accepted = [
        f"-o {TUN}",  # to the engine
        "-o lo",  # the process talking to itself, by whatever address
        # What the engine has redirected: its address is the new one here, but its interface still the old one.
        "-d 127.0.0.0/8" if version == 4 else "-d ::1",
        "-m conntrack --ctstate ESTABLISHED,RELATED",  # replies to published ports
        *(f"-d {end.address} -p tcp --dport {end.port}" for end in bypass if end.address.version == version),
    ]
    if gateway:
        accepted.append(f"-d {gateway}")
    if version == 6:
        # Without neighbour discovery no reply finds its way; IPv4's ARP does not pass here.
        accepted += [f"-p ipv6-icmp --icmpv6-type {kind}" for kind in NEIGHBOUR_DISCOVERY]
    accepted += [
        f"-d {resolver} -p {protocol} --dport 53"
        for resolver in carried.resolvers
        for protocol in ("udp", "tcp")
        if resolver.version == version
    ]
    accepted += [f"-d {network}" for network in carried.local(version)]
    refused = [""] if carried.everything else [f" -d {network}" for network in carried.networks(version)]
    # Not "port unreachable": the process would take it for the answer of the service it asked.
    reject = "icmp6-adm-prohibited" if version == 6 else "icmp-admin-prohibited"
    return "\n".join(
        [
            "*filter",
            ":INPUT ACCEPT [0:0]",
            ":FORWARD DROP [0:0]",
            ":OUTPUT ACCEPT [0:0]",
            *(f"-A OUTPUT {match} -j ACCEPT" for match in accepted),
            *(f"-A OUTPUT{match} -j REJECT --reject-with {reject}" for match in refused),
            "COMMIT",
            "",
        ]
    )


def nameservers(resolv_conf: str) -> list[str]:
    """The IPv4 name servers of a resolv.conf, in its order; the engine carries IPv4 only."""
    words = (line.split() for line in resolv_conf.splitlines())
    return [found[1] for found in words if len(found) > 1 and found[0] == "nameserver" and _is_ipv4(found[1])]


def default_gateway(routes: Iterable[Mapping[str, Any]]) -> str:
    """The gateway in the output of `ip -json -4 route show default`; empty when there is none."""
    return next((str(route["gateway"]) for route in routes if "gateway" in route), "")


def local_addresses(links: Iterable[Mapping[str, Any]]) -> list[str]:
    """The addresses in the output of `ip -json -4 address`."""
    return [str(info["local"]) for link in links for info in link.get("addr_info", ()) if "local" in info]


async def gateway() -> str:
    """Docker's side of the bridge; empty when there is none. Raises CommandError."""
    return default_gateway(json.loads(await children.run(["ip", "-json", "-4", "route", "show", "default"]) or "[]"))


async def addresses() -> list[str]:
    """The namespace's own IPv4 addresses. Raises CommandError."""
    return local_addresses(json.loads(await children.run(["ip", "-json", "-4", "address"])))


async def close_off(bypass: Iterable[Endpoint], carried: Carried = EVERYTHING_CARRIED) -> None:
    """Lets nothing out but to `bypass` and the gateway, replies to published ports, and what is not `carried`.

    Raises CommandError.
    """
    bypass = tuple(bypass)
    await children.run(["iptables-restore"], input=output_rules(4, bypass, await gateway(), carried))
    if IF_INET6.exists() and IF_INET6.read_text():
        await children.run(["ip6tables-restore"], input=output_rules(6, bypass, carried=carried))


async def resemble(info: Mapping[str, Any]) -> None:
    """Gives the namespace the Pod's resolver, hosts file and address. Raises CommandError."""
    # Docker bind-mounts both files, for the user's container too: they can be written, not replaced.
    RESOLV_CONF.write_text(info["resolvConf"])
    HOSTS.write_text(info["hosts"])
    pod_ip = info["podIP"]
    if pod_ip not in await addresses():
        # Only addresses that we put there: 127.0.0.1 has scope host.
        await children.run(["ip", "-4", "address", "flush", "dev", "lo", "scope", "global"])
        if _is_ipv4(pod_ip):
            await children.run(["ip", "address", "add", f"{pod_ip}/32", "dev", "lo"])


def _is_ipv4(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False
