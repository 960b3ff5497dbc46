from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from agent import channel


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b'{"beat": 7}\n', b'{"beat": 7}\n'),
        (b"", None),
        (b"hello\n", None),
        (b"[]\n", None),
        (b'{"other": 1}\n', None),
    ],
)
def test_a_beat_is_answered_and_nothing_else(line: bytes, answer: bytes | None) -> None:
    assert channel.answer(line) == answer


async def session(path: Path, *lines: bytes) -> tuple[list[object], int, int]:
    """Attaches, says `lines` one after the other's answer, and hangs up: what was heard, the code, the beats."""
    beats: list[None] = []
    near_in, far_in = os.pipe()
    far_out, near_out = os.pipe()
    with os.fdopen(far_in, "wb", buffering=0) as speak, os.fdopen(far_out, "rb", buffering=0) as listen:
        async with channel.listening(path, lambda: {"podIP": "10.244.0.7"}, lambda: beats.append(None)):
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
    return heard, code, len(beats)


def test_a_client_hears_the_info_and_its_beats(tmp_path: Path) -> None:
    heard, code, beats = asyncio.run(session(tmp_path / "s", b'{"beat": 1}\n', b'{"beat": 2}\n'))
    assert heard == [{"info": {"podIP": "10.244.0.7"}}, {"beat": 1}, {"beat": 2}]
    assert (code, beats) == (0, 2)


def test_a_client_that_says_else_is_hung_up_on(tmp_path: Path) -> None:
    heard, code, beats = asyncio.run(session(tmp_path / "s", b"hello\n"))
    assert (len(heard), code, beats) == (1, 0, 0)


def test_without_an_agent_attach_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert channel.attach(tmp_path / "s") == 1
    assert capsys.readouterr().err == f"tpbox: no agent at {tmp_path}/s: No such file or directory\n"


def test_a_socket_that_was_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    heard, code, _ = asyncio.run(session(tmp_path / "s"))
    assert (len(heard), code) == (1, 0)
