"""Policy routing for the engine netstack: which packets go to its TUN device, and which leave by the Docker bridge.

    await routing.lead(bypass, info, carried)         # once the namespace has the Pod's address

By destination alone this cannot be told: the cluster's addresses may lie within Docker's own subnets, and a reply to a
published port goes back to whoever asked. Docker's routes stay as they are, in the table `main`. The device outlives
the engine: while that is away packets are lost, and the kernel sends a SYN again for the next one.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from supervisor import children, netns
from supervisor.carried import Carried
from supervisor.protocol import Endpoint

DEVICE = netns.TUN
MTU = 65000  # bytes; netstack/internal/near/tun.go
TABLE = 2020
# Between the table `local` (0) and the table `main` (32766), in the order in which they count.
PAST, CARRIED = 100, 200
OUR_RULES = range(PAST, CARRIED + 1)
DEVICES = Path("/sys/class/net")
DISABLED = Path(f"/proc/sys/net/ipv6/conf/{DEVICE}/disable_ipv6")


def rules(
    version: int,
    bypass: Iterable[Endpoint],
    gateway: str,
    bridge: Iterable[str],
    carried: Carried = netns.EVERYTHING_CARRIED,
) -> list[str]:
    """What `ip rule add` is told for IP `version`. `bridge` are the namespace's addresses on Docker's networks."""
    past = [f"to {end.address} ipproto tcp dport {end.port}" for end in bypass if end.address.version == version]
    if gateway:
        past.append(f"to {gateway}")
    # Replies to published ports: whoever opens a connection gets the Pod's address, and does not match.
    past += [f"from {address}" for address in bridge]
    return [*(f"{match} lookup main pref {PAST}" for match in past), *outside_rules(version, carried)]


def outside_rules(version: int, carried: Carried) -> list[str]:
    """The rules of what is the user's to choose. The first that matches counts: what never is carried comes first."""
    past = [f"to {network}" for network in carried.local(version)]
    past += [
        f"to {resolver} ipproto {protocol} dport 53"
        for resolver in carried.resolvers
        for protocol in ("udp", "tcp")
        if resolver.version == version
    ]
    led = [""] if carried.everything else [f"to {network} " for network in carried.networks(version)]
    return [
        *(f"{match} lookup main pref {PAST}" for match in past),
        *(f"{match}lookup {TABLE} pref {CARRIED}" for match in led),
    ]


def bridge_addresses(links: Iterable[Mapping[str, Any]]) -> list[str]:
    """Of the output of `ip -json address`, the addresses on Docker's networks."""
    return netns.local_addresses(link for link in links if link.get("ifname") not in ("lo", DEVICE))


def default_route(pod_ip: str) -> str:
    """What `ip route replace` is told: connections that the process opens have the Pod's address."""
    return f"default dev {DEVICE} table {TABLE} src {pod_ip}"


async def lead(
    bypass: Sequence[Endpoint], info: Mapping[str, Any], carried: Carried = netns.EVERYTHING_CARRIED
) -> None:
    """Leads the namespace's packets to the device, which is made where it is not there. Raises CommandError."""
    if not (DEVICES / DEVICE).exists():
        await children.run(["ip", "tuntap", "add", "dev", DEVICE, "mode", "tun"])
        # No address of its own, of either version: the Pod has one interface, and programs count them.
        await children.run(["ip", "link", "set", DEVICE, "mtu", str(MTU), "addrgenmode", "none", "up"])
    await _lead(4, bypass, info["podIP"], await netns.gateway(), carried)
    pod_ipv6 = next((ip for ip in info["podIPs"] if ipaddress.ip_address(ip).version == 6), "")
    if pod_ipv6 and _has_ipv6():
        # Not on `lo`, which has no IPv6 where Docker's network has none.
        await children.run(["ip", "address", "replace", f"{pod_ipv6}/128", "dev", DEVICE, "nodad"])
        await _lead(6, bypass, pod_ipv6, "", carried)


async def _lead(version: int, bypass: Sequence[Endpoint], pod_ip: str, gateway: str, carried: Carried) -> None:
    links = json.loads(await children.run(["ip", "-json", f"-{version}", "address", "show", "scope", "global"]) or "[]")
    await _batch(["route replace " + default_route(pod_ip)], version)
    await _replace_rules(rules(version, bypass, gateway, bridge_addresses(links), carried), version)


def _has_ipv6() -> bool:
    """Whether the device may have IPv6: the launcher asks Docker for it where the kernel has it."""
    return DISABLED.exists() and DISABLED.read_text().strip() == "0"


async def _replace_rules(wanted: Sequence[str], version: int) -> None:
    present = json.loads(await children.run(["ip", "-json", f"-{version}", "rule"]) or "[]")
    old = [f"rule del pref {rule['priority']}" for rule in present if rule.get("priority") in OUR_RULES]
    await _batch([*old, *(f"rule add {rule}" for rule in wanted)], version=version)


async def _batch(commands: Sequence[str], version: int) -> None:
    await children.run(["ip", f"-{version}", "-batch", "-"], input="\n".join(commands) + "\n")
