"""The master connection with a shell script in the place of ssh: conftest.FORWARDER."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from supervisor import forwards
from supervisor.forwards import Forward, Master
from supervisor.link import LinkError

SetProgram = Callable[[str, str], Path]

WEB = Forward("-R", "0.0.0.0", 80, "127.0.0.1", 8080)
ADMIN = Forward("-R", "0.0.0.0", 81, "127.0.0.1", 8081)
DB = Forward("-L", "127.0.0.1", 5432, "127.0.0.1", 5432)


def log(tmp_path: Path) -> list[str]:
    return (tmp_path / "fake-forwarder.log").read_text().splitlines()


def test_the_master_holds_a_socket_and_runs_nothing() -> None:
    assert forwards.master_argv() == [
        "ssh", "-F", "/run/tpbox/ssh_config", "-N", "-o", "ControlMaster=yes",
        "-o", "ControlPath=/run/tpbox/forwards.sock", "pod",
    ]  # fmt: skip


def test_several_forwards_are_one_call() -> None:
    assert forwards.ask_argv("forward", {WEB, ADMIN, DB}) == [
        "ssh", "-F", "/run/tpbox/ssh_config", "-o", "ControlPath=/run/tpbox/forwards.sock", "-O", "forward",
        "-L", "127.0.0.1:5432:127.0.0.1:5432", "-R", "0.0.0.0:80:127.0.0.1:8080",
        "-R", "0.0.0.0:81:127.0.0.1:8081", "pod",
    ]  # fmt: skip


def test_forwards_come_and_go_and_only_the_difference_is_asked_for(program: SetProgram, tmp_path: Path) -> None:
    elsewhere = Forward("-R", "0.0.0.0", 80, "localhost", 8080)

    async def use() -> set[Forward]:
        async with forwards.master() as master:
            await master.change({WEB, DB})
            await master.change({WEB, DB})
            await master.change({elsewhere, DB})
            return master.there

    assert asyncio.run(use()) == {elsewhere, DB}
    assert log(tmp_path) == [
        "forward -L 127.0.0.1:5432:127.0.0.1:5432 -R 0.0.0.0:80:127.0.0.1:8080",
        "cancel -R 0.0.0.0:80:127.0.0.1:8080",
        "forward -R 0.0.0.0:80:localhost:8080",
    ]


def test_a_refused_forward_is_known_by_its_words_and_the_others_stand(program: SetProgram, tmp_path: Path) -> None:
    async def use() -> Master:
        (tmp_path / "refused").write_text("80")
        async with forwards.master() as master:
            await master.change({WEB, ADMIN})
            await master.change({WEB, ADMIN})
        return master

    master = asyncio.run(use())
    assert master.there == {ADMIN}
    assert {forward: refusal.words for forward, refusal in master.refused.items()} == {
        WEB: "remote port forwarding failed for listen port 80"
    }
    assert log(tmp_path)[1:] == ["forward -R 0.0.0.0:80:127.0.0.1:8080", "forward -R 0.0.0.0:81:127.0.0.1:8081"]


def test_a_refused_forward_is_tried_again_later(
    program: SetProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use() -> Master:
        (tmp_path / "refused").write_text("80")
        async with forwards.master() as master:
            await master.change({WEB})
            since = master.refused[WEB].since
            await asyncio.sleep(0.1)
            await master.change({WEB})
            assert (master.there, master.refused[WEB].since) == (set(), since)
            (tmp_path / "refused").unlink()
            await asyncio.sleep(0.1)
            await master.change({WEB})
        return master

    monkeypatch.setattr(forwards, "RETRY", 0.05)
    master = asyncio.run(use())
    assert (master.there, master.refused) == ({WEB}, {})


def test_what_is_asked_for_no_more_is_not_refused_any_more(program: SetProgram, tmp_path: Path) -> None:
    async def use() -> Master:
        (tmp_path / "refused").write_text("80")
        async with forwards.master() as master:
            await master.change({WEB})
            await master.change(set())
        return master

    assert asyncio.run(use()).refused == {}


@pytest.mark.parametrize(
    ("script", "words"),
    [("echo 'Connection closed' >&2; exit 255", "Connection closed"), ("exec sleep 60", "was not ready after 0 s")],
)
def test_a_master_that_does_not_come_up_says_why(
    program: SetProgram, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    async def use() -> None:
        async with forwards.master():
            pass

    monkeypatch.setattr(forwards, "START_TIMEOUT", 0.3)
    program("forwarder", script)
    with pytest.raises(LinkError, match=words):
        asyncio.run(use())


def test_a_master_that_is_gone_is_no_refusal(program: SetProgram) -> None:
    async def use() -> None:
        async with forwards.master() as master:
            program("forwarder", "echo 'Control socket connect(/run): Connection refused' >&2; exit 255")
            await master.change({WEB})

    with pytest.raises(LinkError, match="Control socket connect"):
        asyncio.run(use())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Connection to 127.0.0.1 closed by remote host.", "Connection to 127.0.0.1 closed by remote host."),
        ("mux_confirm_remote_forward: remote port forwarding failed for listen port 80", "for exposed ports has ended"),
        ("", "ssh ended with 255"),
    ],
)
def test_the_end_of_a_master_is_not_told_by_an_earlier_refusal(
    program: SetProgram, tmp_path: Path, words: str, reason: str
) -> None:
    async def use() -> str:
        async with forwards.master() as master:
            return await master.ended()

    program("forwarder", f"touch {tmp_path}/{forwards.SOCKET}; sleep 0.2; echo '{words}' >&2; exit 255")
    assert reason in asyncio.run(use())


def test_a_socket_left_by_an_earlier_master_is_not_taken_for_the_new_ones(
    program: SetProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use() -> None:
        async with forwards.master():
            pass

    (tmp_path / forwards.SOCKET).touch()
    monkeypatch.setattr(forwards, "START_TIMEOUT", 0.2)
    program("forwarder", "exec sleep 60")
    with pytest.raises(LinkError):
        asyncio.run(use())
