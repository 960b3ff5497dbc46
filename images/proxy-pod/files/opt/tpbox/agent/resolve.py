"""`python3 -I /opt/tpbox resolve NAME…`: the addresses of names as the Pod's resolver knows them.

    {"addresses": {"db.corp": ["10.1.2.3"]}, "errors": {"db.crop": "Name or service not known"}}

A name may mean something else here than on the client's machine, or nothing there.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

AT_ONCE = 8  # a resolver that does not answer takes seconds for each name


def resolve(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Addresses by name, without doubles and in the resolver's order; and why the others have none."""
    addresses: dict[str, Any] = {}
    errors: dict[str, Any] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for name, found in zip(names, pool.map(_lookup, names), strict=True):
            if isinstance(found, OSError):
                errors[name] = found.strerror or str(found)
            else:
                addresses[name] = found
    return {"addresses": addresses, "errors": errors}


def _lookup(name: str) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
