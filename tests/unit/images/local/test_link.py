from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from supervisor import link, protocol
from supervisor.link import LinkError
from supervisor.protocol import Configure
from supervisor.standing import Standing

SetProgram = Callable[[str, str], Path]


@pytest.fixture
def parsed(configure: dict[str, Any]) -> Configure:
    found = protocol.parse(json.dumps(configure).encode())
    assert isinstance(found, Configure)
    return found


def test_the_port_forward(parsed: Configure) -> None:
    assert link.kubectl_argv(parsed) == [
        "kubectl",
        "--kubeconfig=/run/tpbox/kubeconfig",
        "--namespace=shop",
        "port-forward",
        "--address=127.0.0.1",
        "pod/tpbox-abcdefgh-x2x4z",
        ":20022",
    ]


def test_beside_netstack_the_port_forward_comes_behind(configure: dict[str, Any]) -> None:
    configure["engine"]["name"] = "netstack"
    found = protocol.parse(json.dumps(configure).encode())
    assert isinstance(found, Configure)
    assert link.kubectl_argv(found)[:4] == ["nice", "-n", "10", "kubectl"]


def test_the_session_that_holds_the_link() -> None:
    assert link.attach_argv() == [
        "ssh", "-F", "/run/tpbox/ssh_config", "pod", "/usr/bin/python3", "-I", "/opt/tpbox", "attach",
    ]  # fmt: skip


def test_ssh_trusts_one_key_and_asks_nobody() -> None:
    assert link.ssh_config(41234, "tpbox").splitlines() == [
        "Host pod",
        "  HostName 127.0.0.1",
        "  Port 41234",
        "  User tpbox",
        "  HostKeyAlias pod",
        "  UserKnownHostsFile /run/tpbox/known_hosts",
        "  GlobalKnownHostsFile /dev/null",
        "  StrictHostKeyChecking yes",
        "  HostKeyAlgorithms ssh-ed25519",
        "  IdentityFile /run/tpbox/id_ed25519",
        "  IdentitiesOnly yes",
        "  IdentityAgent none",
        "  PreferredAuthentications publickey",
        "  BatchMode yes",
        "  Ciphers aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
        "  Compression no",
        "  ConnectTimeout 5",
        "  LogLevel ERROR",
    ]


@pytest.mark.parametrize(
    ("words", "final"),
    [
        ('Error from server (Forbidden): pods "p" is forbidden', True),
        ('Error from server (NotFound): pods "p" not found', True),
        ("error: You must be logged in to the server (Unauthorized)", True),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", True),
        ("Host key verification failed.", True),
        ("tpbox@127.0.0.1: Permission denied (publickey).", True),
        ("The connection to the server 172.30.0.2:6443 was refused", False),
        ("error: lost connection to pod", False),
        ("Error from server (ServiceUnavailable): the server is currently unable", False),
    ],
)
def test_which_words_make_another_attempt_useless(words: str, final: bool) -> None:
    assert LinkError(words).final is final


async def connect(configure: Configure, timeout: float = 10) -> dict[str, Any]:
    async with link.connect(configure, timeout) as connected:
        return connected.info


def test_a_link_knows_the_pod_and_its_files_are_private(program: SetProgram, parsed: Configure, tmp_path: Path) -> None:
    assert asyncio.run(connect(parsed))["podIP"] == "10.244.0.7"
    assert "Port 41234" in (tmp_path / "ssh_config").read_text()
    assert (tmp_path / "id_ed25519").read_text() == "PRIVATE\n"
    assert (tmp_path / "known_hosts").read_text() == "pod ssh-ed25519 AAAA\n"
    assert json.loads((tmp_path / "kubeconfig").read_text()) == {"kind": "Config"}
    modes = {(tmp_path / name).stat().st_mode & 0o777 for name in ("id_ed25519", "kubeconfig", "ssh_config")}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        ("kubectl", "echo 'Error from server (Forbidden): no' >&2; exit 1", "Forbidden"),
        ("kubectl", "sleep 60", "kubectl said nothing in time"),
        ("ssh", "echo 'Host key verification failed.' >&2; exit 255", "Host key verification failed"),
        ("ssh", "echo '{}'; sleep 60", "first line is not its info"),
        ("ssh", "echo 'stuck' >&2; sleep 60", "stuck"),
    ],
)
def test_a_link_that_cannot_be_made_says_why(
    program: SetProgram, parsed: Configure, name: str, script: str, words: str
) -> None:
    program(name, script)
    with pytest.raises(LinkError, match=words):
        asyncio.run(connect(parsed, timeout=0.5))


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        (
            "kubectl",
            "echo 'Forwarding from 127.0.0.1:1 -> 2'; sleep 0.3; echo 'lost connection' >&2",
            "lost connection",
        ),
        (
            "ssh",
            "echo '{\"info\": {}}'; read beat; echo 'closed by remote host' >&2; exit 255",
            "closed by remote host",
        ),
        ("ssh", "echo '{\"info\": {}}'; exec sleep 60", "the agent has not answered for 1 s"),
        ("ssh", "echo '{\"info\": {}}'; echo 'Hello!'; exec sleep 60", "the agent's answer means nothing: b'Hello!"),
    ],
)
def test_a_lost_link_says_why(
    program: SetProgram, parsed: Configure, monkeypatch: pytest.MonkeyPatch, name: str, script: str, words: str
) -> None:
    async def lose() -> str:
        async with link.connect(parsed, 10) as connected:
            return await connected.lost(Standing(lambda *_, **fields: None))

    monkeypatch.setattr(link, "BEAT_TIMEOUT", 0.6)
    program(name, script)
    assert words in asyncio.run(lose())


# Notes each question, and answers it as the agent does; a guard takes longer than a beat may.
AGENT = """echo '{"info": {}}'
while read -r question; do
  echo "$question" >> "$0.log"
  case "$question" in
    *guard*) sleep 0.5; echo '{"guard": "up"}' ;;
    *) echo "$question" ;;
  esac
done"""


class Conversation:
    """A link to an agent that notes what it is asked."""

    def __init__(self, program: SetProgram, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = program("ssh", AGENT).with_suffix(".log")
        self.events: list[dict[str, Any]] = []
        self.standing = Standing(lambda event, **fields: self.events.append({"event": event, **fields}))
        monkeypatch.setattr(link, "BEAT_INTERVAL", 30.0)
        monkeypatch.setattr(link, "BEAT_TIMEOUT", 0.4)

    def questions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    async def until(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.questions()) < number:
                await asyncio.sleep(0.01)

    async def hold(self, configure: Configure, play: Callable[[], Awaitable[None]]) -> None:
        async with link.connect(configure, 10) as connected:
            held = asyncio.create_task(connected.lost(self.standing))
            await play()
            assert not held.done()
            held.cancel()
            await asyncio.gather(held, return_exceptions=True)


@pytest.fixture
def conversation(program: SetProgram, monkeypatch: pytest.MonkeyPatch) -> Conversation:
    return Conversation(program, monkeypatch)


def test_a_change_of_readiness_does_not_wait_for_the_next_beat(conversation: Conversation, parsed: Configure) -> None:
    async def play() -> None:
        await conversation.until(1)
        conversation.standing.exposed([80], True)
        await conversation.until(2)
        conversation.standing.withdraw()
        await conversation.until(3)
        await asyncio.sleep(0.1)

    asyncio.run(conversation.hold(parsed, play))
    assert conversation.questions() == [
        {"beat": 1, "ready": False}, {"beat": 2, "ready": True}, {"beat": 3, "ready": False},
    ]  # fmt: skip
    assert conversation.events[-1] == {"event": "withdrawn"}


def test_a_guard_is_handed_over_between_beats_and_may_take_longer(
    conversation: Conversation, parsed: Configure
) -> None:
    async def play() -> None:
        await conversation.until(1)
        conversation.standing.guard = {"token": "T"}
        await conversation.until(3)
        conversation.standing.exposed([80], True)  # not before the guard is answered
        await conversation.until(4)

    asyncio.run(conversation.hold(parsed, play))
    assert conversation.questions() == [
        {"beat": 1, "ready": False},
        {"beat": 2, "ready": False},
        {"guard": {"token": "T"}},
        {"beat": 3, "ready": True},
    ]
    assert {"event": "guard", "state": "up"} in conversation.events


def test_each_link_is_handed_the_latest_guard(conversation: Conversation, parsed: Configure) -> None:
    async def play() -> None:
        await conversation.until(len(conversation.questions()) + 3)

    async def twice() -> None:
        conversation.standing.guard = {"token": "old"}
        conversation.standing.guard = {"token": "new"}
        for _ in range(2):
            await conversation.hold(parsed, play)

    asyncio.run(twice())
    guards = [question["guard"] for question in conversation.questions() if "guard" in question]
    assert guards == [{"token": "new"}, {"token": "new"}]
    assert conversation.events == [{"event": "guard", "state": "up"}] * 2


def test_a_guard_without_an_answer_is_a_lost_link(
    conversation: Conversation, parsed: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose() -> str:
        conversation.standing.guard = {"token": "T"}
        async with link.connect(parsed, 10) as connected:
            return await connected.lost(conversation.standing)

    monkeypatch.setattr(link, "GUARD_TIMEOUT", 0.1)
    assert asyncio.run(lose()) == "the agent has not answered for 0 s"
