from __future__ import annotations

import json
import socket
from typing import Any

import agent
import pytest


def test_each_name_has_its_addresses_or_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def getaddrinfo(name: str, *_: object, **__: object) -> list[Any]:
        if name == "nowhere":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in ("10.1.2.3", "fd00::1", "10.1.2.3")]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert agent.main(["resolve", "db.corp", "nowhere"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "addresses": {"db.corp": ["10.1.2.3", "fd00::1"]},
        "errors": {"nowhere": "Name or service not known"},
    }
