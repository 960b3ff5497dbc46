from __future__ import annotations

import json
from typing import Any

import pytest
from supervisor import protocol
from supervisor.protocol import Command, Configure, Expose, Guard, HostPort, Inbound, Refused, Stop, Withdraw


def parse(command: object) -> Command:
    return protocol.parse(json.dumps(command).encode())


def test_configure_is_read_whole(configure: dict[str, Any]) -> None:
    found = parse(configure)
    assert isinstance(found, Configure)
    assert (found.session, found.namespace, found.pod) == ("abcdefgh", "shop", "tpbox-abcdefgh-x2x4z")
    assert found.ssh == protocol.Ssh(port=20022, user="tpbox", private_key="PRIVATE", host_key="ssh-ed25519 AAAA")
    assert found.kubeconfig == {"kind": "Config"}
    assert found.volumes == protocol.Volumes(live=False, copies={})
    assert found.engine == protocol.Engine("sshuttle", 20023, (protocol.endpoint("172.30.0.2:6443"),))
    assert found.inbound == Inbound()


def test_inbound_ports_are_read(configure: dict[str, Any]) -> None:
    configure["inbound"] = {
        "expose": [{"local": 8080, "remote": 80, "required": True}],
        "toPod": [5432],
        "fromPod": [9000, 9001],
        "host": [{"container": 5678, "host": 5679}],
    }
    found = parse(configure)
    assert isinstance(found, Configure)
    assert found.inbound == Inbound((Expose(8080, 80, True),), (5432,), (9000, 9001), (HostPort(5678, 5679),))


def test_secrets_are_not_in_the_repr(configure: dict[str, Any]) -> None:
    configure["kubeconfig"] = {"token": "TOKEN"}
    shown = repr(parse(configure))
    assert "PRIVATE" not in shown
    assert "TOKEN" not in shown
    assert "TOKEN" not in repr(parse({"command": "guard", "guard": {"token": "TOKEN"}}))


def test_the_other_commands() -> None:
    assert parse({"command": "guard", "guard": {"token": "T"}}) == Guard({"token": "T"})
    assert parse({"command": "withdraw"}) == Withdraw()
    assert parse({"command": "stop"}) == Stop()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["pod"], None, "configure: pod is missing or is not of type str"),
        (["ssh"], "key", "configure: ssh is missing or is not of type dict"),
        (["ssh", "port"], "20022", "configure: ssh.port is missing or is not of type int"),
        (["ssh", "hostKey"], None, "configure: ssh.hostKey is missing"),
        (["engine", "name"], "magic", "unknown engine 'magic'; known here: netstack, sshuttle"),
        (["engine", "bypass"], ["example:6443"], "something other than IP:PORT"),
        (["engine", "bypass"], ["10.0.0.1"], "something other than IP:PORT"),
        (["engine", "bypass"], [6443], "something other than IP:PORT"),
        (["inbound"], None, "configure: inbound is missing"),
        (["inbound", "toPod"], ["5432"], "inbound .* other than ports: '5432' is no port"),
        (["inbound", "fromPod"], [65536], "65536 is no port"),
        (["inbound", "expose"], [{"local": 1, "remote": 2}], "inbound lacks something, .*'required'"),
        (["inbound", "host"], [5678], "inbound lacks something"),
    ],
)
def test_a_wrong_configure_is_refused(configure: dict[str, Any], path: list[str], value: object, words: str) -> None:
    target = configure
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(Refused, match=words):
        parse(configure)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b'{"command": "reboot"}', "unknown command 'reboot'"),
        (b"{}", "unknown command None"),
        (b'{"command": "guard"}', "guard: guard is missing or is not of type dict"),
    ],
)
def test_what_is_no_command_is_refused(line: bytes, words: str) -> None:
    with pytest.raises(Refused, match=words):
        protocol.parse(line)


@pytest.mark.parametrize("text", ["172.30.0.2:6443", "[fd00::1]:6443"])
def test_an_endpoint_is_written_as_it_was_read(text: str) -> None:
    assert str(protocol.endpoint(text)) == text


def test_an_event_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    protocol.emit("link", state="down", reason="two\nlines")
    assert capsys.readouterr().out == '{"event": "link", "state": "down", "reason": "two\\nlines"}\n'
