"""Who listens in the namespace, by the kernel's tables: nobody is connected to.

found = listeners.read({8080, 9000})       # {8080: {IPv4Address("0.0.0.0")}}
listeners.target(found[8080])              # "127.0.0.1"
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # proc_pid_net(5)
LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h
WORD = 8  # hexadecimal digits
LOOPBACK = IPv4Address("127.0.0.1")

Address = IPv4Address | IPv6Address


def read(ports: Collection[int]) -> dict[int, set[Address]]:
    """The addresses on which each of `ports` is listened on; a port without a listener is not in it."""
    found: dict[int, set[Address]] = {}
    for table in TABLES:
        with suppress(FileNotFoundError), table.open() as rows:  # a kernel without IPv6 has no tcp6
            for address, port in listening(rows):
                if port in ports:
                    found.setdefault(port, set()).add(address)
    return found


def listening(rows: Iterable[str]) -> Iterator[tuple[Address, int]]:
    """The LISTEN sockets of a table. They come first: of the connections, which may be thousands, one row is read."""
    following = iter(rows)
    next(following, "")  # the head
    for row in following:
        _, local, _, state, *_ = row.split(maxsplit=4)
        if state != LISTEN:
            return
        address, _, port = local.partition(":")
        yield parse_address(address), int(port, 16)


def parse_address(text: str) -> Address:
    """An address as the kernel prints it: words of 32 bits, each a number of the machine's own byte order.

    An IPv4 address in IPv6's clothes (::ffff:127.0.0.1), as Java's sockets have it, is returned as what it is.
    """
    words = (text[start : start + WORD] for start in range(0, len(text), WORD))
    address = ipaddress.ip_address(b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words))
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def target(addresses: Iterable[Address]) -> str:
    """By which host, as ssh's -R has it, a listener on `addresses` is reached from within the namespace."""
    found = set(addresses)
    if found & {IPv4Address("0.0.0.0"), LOOPBACK}:
        return str(LOOPBACK)
    if IPv6Address("::") in found:
        # The table does not tell whether it takes IPv4 too. Of a name ssh tries each address.
        return "localhost"
    first = min(found, key=lambda address: (address.version, int(address)))
    return f"[{first}]" if first.version == 6 else str(first)
