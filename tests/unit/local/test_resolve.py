from __future__ import annotations

import socket
from typing import Any

import pytest

from tpbox.errors import TpboxError
from tpbox.local import resolve


def knows(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(*_: object, **__: object) -> list[Any]:
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_ipv4_counts_and_ipv6_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, "fd00::1", "192.0.2.9", "192.0.2.9", "192.0.2.10")
    assert resolve.here("wiki.corp") == ("192.0.2.9", "192.0.2.10")
    knows(monkeypatch, "fe80::1%eth0", "fd00::1")
    assert resolve.here("wiki.corp") == ("fe80::1", "fd00::1")


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch)
    with pytest.raises(TpboxError) as raised:
        resolve.here("wiki.crop")
    assert raised.value.lines()[:2] == [
        "--never-proxy: 'wiki.crop' does not resolve on this machine",
        "Name or service not known",
    ]


def test_this_machines_loopback_is_not_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, "127.0.1.1")
    with pytest.raises(TpboxError, match="'desk' is this machine's loopback"):
        resolve.here("desk")
