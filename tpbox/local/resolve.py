"""Names as this machine knows them, for what --never-proxy keeps local.

resolve.here("db.example.com")      # ("192.0.2.10",)
"""

from __future__ import annotations

import ipaddress
import socket

from tpbox.errors import TpboxError
from tpbox.plan.outside import NEVER


def here(name: str) -> tuple[str, ...]:
    """The name's IPv4 addresses, or if it has none its IPv6 addresses. Raises TpboxError."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TpboxError(
            f"{NEVER}: '{name}' does not resolve on this machine",
            detail=reason,
            hint=f"Name its address: {NEVER} CIDR; a name that only the cluster knows needs no option.",
        ) from error
    addresses = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    if any(ipaddress.ip_address(address).is_loopback for address in addresses):
        raise TpboxError(
            f"{NEVER}: '{name}' is this machine's loopback, which in the process is its own",
            hint="A port of this machine's: --container-to-host PORT",
        )
    return tuple(a for a in addresses if ":" not in a) or tuple(addresses)
