from __future__ import annotations

import pytest

from tpbox import process
from tpbox.local import probe
from tpbox.process import ProcessError


def test_the_capability_is_read_where_the_container_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def run(argv: list[str], *, timeout: float) -> str:
        seen.append(argv)
        return "CapEff:\t0000000000001000\n"

    monkeypatch.setattr(process, "run", run)
    assert probe.net_admin("unix:///d.sock", "image:1") == ""
    options = "--rm --network none --label app.kubernetes.io/managed-by=tpbox --pull never --cap-drop ALL"
    program = "--entrypoint grep image:1 CapEff /proc/self/status"
    assert [" ".join(argv) for argv in seen] == [
        f"docker -H unix:///d.sock run {options} --cap-add NET_ADMIN {program}"
    ]


def test_an_engine_that_grants_less_than_it_says_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run", lambda *_, **__: "CapEff:\t0000000000000000\n")
    assert probe.net_admin("unix:///d.sock", "image:1") == probe.NOT_GRANTED


def test_a_device_that_the_engine_lacks_is_named_in_dockers_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], **_: object) -> str:
        raise ProcessError(argv, 125, "error gathering device information: /dev/fuse: no such file or directory")

    monkeypatch.setattr(process, "run", run)
    assert "/dev/fuse" in probe.device("unix:///d.sock", "image:1", "/dev/fuse")
