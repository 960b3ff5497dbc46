from __future__ import annotations

import json
from typing import Any

import pytest
from supervisor import protocol
from supervisor.protocol import Configure, Refused, Stop


def parse(command: object) -> Configure | Stop:
    return protocol.parse(json.dumps(command).encode())


def test_configure_is_read_whole(configure: dict[str, Any]) -> None:
    found = parse(configure)
    assert isinstance(found, Configure)
    assert (found.session, found.namespace, found.pod) == ("abcdefgh", "shop", "tpbox-abcdefgh-x2x4z")
    assert found.ssh == protocol.Ssh(port=20022, user="tpbox", private_key="PRIVATE", host_key="ssh-ed25519 AAAA")
    assert found.kubeconfig == {"kind": "Config"}
    assert found.volumes == protocol.Volumes(live=False, copies={})
    assert (found.engine, found.bypass) == ("sshuttle", (protocol.endpoint("172.30.0.2:6443"),))


def test_secrets_are_not_in_the_repr(configure: dict[str, Any]) -> None:
    configure["kubeconfig"] = {"token": "TOKEN"}
    shown = repr(parse(configure))
    assert "PRIVATE" not in shown
    assert "TOKEN" not in shown


def test_stop() -> None:
    assert parse({"command": "stop"}) == Stop()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["pod"], None, "configure: pod is missing or is not of type str"),
        (["ssh"], "key", "configure: ssh is missing or is not of type dict"),
        (["ssh", "port"], "20022", "configure: ssh.port is missing or is not of type int"),
        (["ssh", "hostKey"], None, "configure: ssh.hostKey is missing"),
        (["engine", "name"], "netstack", "unknown engine 'netstack'; known here: sshuttle"),
        (["engine", "bypass"], ["example:6443"], "something other than IP:PORT"),
        (["engine", "bypass"], ["10.0.0.1"], "something other than IP:PORT"),
        (["engine", "bypass"], [6443], "something other than IP:PORT"),
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
