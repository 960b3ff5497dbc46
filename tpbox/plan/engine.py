"""Which engine carries a session's traffic. Pure.

engine.choose("auto", refusal="")       # "netstack"
engine.choose("auto", refusal="this machine has no /dev/net/tun")       # "sshuttle"

netstack is exact, and needs a TUN device and its far end in the pod's image; sshuttle works everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tpbox.errors import TunnelError

Engine = Literal["netstack", "sshuttle"]
Asked = Literal["auto", "netstack", "sshuttle"]

TUN_DEVICE = "/dev/net/tun"
PORT = 20023  # of netstack's far end, on the pod's loopback
# A program that opens very many connections gets local ports that are in TIME_WAIT, after a second (the kernel looks at
# timestamps). Else 28 000 of them in a minute are all that there are. A wider range would do too, and would take ports
# that programs listen on.
REUSE = {"net.ipv4.tcp_tw_reuse": "1"}
# The TUN device may have the pod's IPv6 address; Docker's own interfaces stay as they are.
IPV6 = {"net.ipv6.conf.default.disable_ipv6": "0"}


def cannot_be_exact(docker: Mapping[str, Any], host: str, has_tun: bool) -> str:
    """Why netstack cannot work with this Docker engine (as `docker info` tells it); empty when it can, or when only
    the attempt can tell: an engine on another machine has devices of its own."""
    elsewhere = not host.startswith("unix://") or docker.get("OperatingSystem") == "Docker Desktop"
    return "" if has_tun or elsewhere else f"this machine has no {TUN_DEVICE}"


def sysctls(ipv6: bool) -> dict[str, str]:
    """The helper's. `ipv6`: the Docker engine's kernel has it; else a container that asks for it does not start."""
    return {**REUSE, **(IPV6 if ipv6 else {})}


def choose(asked: Asked, refusal: str) -> Engine:
    """`refusal` says why netstack cannot work here, if so; check() has seen it."""
    return "sshuttle" if asked == "sshuttle" or refusal else "netstack"


def check(asked: Asked, refusal: str) -> None:
    """Raises TunnelError when netstack was asked for in so many words, and cannot work because of `refusal`."""
    if asked == "netstack" and refusal:
        raise TunnelError(f"--engine netstack cannot work here: {refusal}", hint="What can: --engine sshuttle")


def words(asked: Asked, refusal: str) -> str:
    """The choice, and why it is that one."""
    chosen = choose(asked, refusal)
    why = "as asked" if asked == chosen else refusal or "exact refusals, UDP, and the faster one"
    return f"engine {chosen}: {why}"
