from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from agent import channel
from agent.channel import Beat
from agent.guard import Guard

from tests.unit.images.proxy_pod.cluster import GUARD

Take = Callable[[Guard], Awaitable[str]]
INFO = {"podIP": "10.244.0.7"}


def said(guard: Guard) -> bytes:
    return json.dumps({"guard": asdict(guard)}).encode() + b"\n"


def beat(number: int, ready: bool = False) -> bytes:
    return json.dumps({"beat": number, "ready": ready}).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        (b'{"beat": 7, "ready": true}\n', Beat(7, True)),
        (b'{"beat": 7, "ready": false}\n', Beat(7, False)),
        (said(GUARD), GUARD),
        (b"", None),
        (b"hello\n", None),
        (b"[]\n", None),
        (b"7\n", None),
        (b'{"other": 1}\n', None),
        (b'{"beat": 7}\n', None),
        (b'{"beat": 7, "ready": 1}\n', None),
        (b'{"guard": {"token": "TOKEN"}}\n', None),
        (b'{"guard": "TOKEN"}\n', None),
    ],
)
def test_a_line_is_a_beat_or_a_guard_or_nothing(line: bytes, meaning: object) -> None:
    assert channel.parse(line) == meaning


async def take(guard: Guard) -> str:
    return "Unauthorized (401)" if guard.token == "EXPIRED" else ""


async def session(path: Path, *lines: bytes) -> tuple[list[object], int, list[bool]]:
    """Attaches, says `lines` one after the other's answer, and hangs up: what was heard, the code, the beats."""
    beats: list[bool] = []
    near_in, far_in = os.pipe()
    far_out, near_out = os.pipe()
    with os.fdopen(far_in, "wb", buffering=0) as speak, os.fdopen(far_out, "rb", buffering=0) as listen:
        async with channel.listening(path, lambda: INFO, beats.append, take):
            attached = asyncio.create_task(asyncio.to_thread(channel.attach, path, near_in, near_out))
            heard = [json.loads(await asyncio.to_thread(listen.readline))]
            for line in lines:
                speak.write(line)
                if line.startswith(b"{"):
                    heard.append(json.loads(await asyncio.to_thread(listen.readline)))
            speak.close()
            code = await asyncio.wait_for(attached, 5)
    os.close(near_in)
    os.close(near_out)
    return heard, code, beats


def test_a_client_hears_the_info_and_an_answer_to_each_line(tmp_path: Path) -> None:
    lines = (beat(1), said(GUARD), beat(2, ready=True), said(replace(GUARD, token="EXPIRED")))
    heard, code, beats = asyncio.run(session(tmp_path / "s", *lines))
    assert heard == [
        {"info": INFO},
        {"beat": 1},
        {"guard": "up"},
        {"beat": 2},
        {"guard": "failed", "reason": "Unauthorized (401)"},
    ]
    assert (code, beats) == (0, [False, True])


def test_a_client_that_says_else_is_hung_up_on(tmp_path: Path) -> None:
    heard, code, beats = asyncio.run(session(tmp_path / "s", b"hello\n"))
    assert (len(heard), code, beats) == (1, 0, [])


def test_beats_are_answered_while_a_guard_waits_for_the_api_server(tmp_path: Path) -> None:
    async def use() -> list[dict[str, Any]]:
        answered = asyncio.Event()

        async def slow(guard: Guard) -> str:
            await answered.wait()
            return ""

        async with channel.listening(tmp_path / "s", lambda: INFO, lambda ready: None, slow):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
            writer.write(said(GUARD) + beat(1))
            heard = [json.loads(await reader.readline()) for _ in range(2)]
            writer.write_eof()  # what was asked before is answered all the same
            answered.set()
            return [*heard, json.loads(await reader.readline())]

    assert asyncio.run(asyncio.wait_for(use(), 5)) == [{"info": INFO}, {"beat": 1}, {"guard": "up"}]


def test_clients_are_hung_up_on_at_the_end(tmp_path: Path) -> None:
    async def use() -> list[bool]:
        beats: list[bool] = []
        async with channel.listening(tmp_path / "s", lambda: INFO, beats.append, take):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
            await reader.readline()
            writer.write(beat(1))
            assert json.loads(await reader.readline()) == {"beat": 1}
            writer.write(beat(2))
        with suppress(ConnectionResetError):  # the second beat was not read
            assert await reader.read() == b""
        return beats

    assert asyncio.run(asyncio.wait_for(use(), 5)) == [False]


def test_without_an_agent_attach_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert channel.attach(tmp_path / "s") == 1
    assert capsys.readouterr().err == f"tpbox: no agent at {tmp_path}/s: No such file or directory\n"


def test_a_socket_that_was_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    heard, code, _ = asyncio.run(session(tmp_path / "s"))
    assert (len(heard), code) == (1, 0)
