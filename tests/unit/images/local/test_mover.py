from __future__ import annotations

import errno
import io
import json
import os
from typing import Any

import mover
import pytest
from mover import Mover


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The system calls that were made, instead of making them; the n-th gives the descriptor 100 + n."""
    made: list[tuple[Any, ...]] = []

    def call(number: int, path: str, *arguments: Any) -> int:
        if path == "/gone":
            raise OSError(errno.ENOENT, "No such file or directory", path)
        made.append((number, path, *arguments))
        return 100 + len(made)

    monkeypatch.setattr(mover, "_call", call)
    monkeypatch.setattr(Mover, "_enter", lambda self, process: made.append(("enter", process)))
    monkeypatch.setattr(os, "close", lambda descriptor: made.append(("close", descriptor)))
    return made


def serve(*commands: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    answers = io.StringIO()
    code = mover.serve([json.dumps(command) for command in commands], answers, Mover(proc=3))
    return code, [json.loads(line) for line in answers.getvalue().splitlines()]


def mount(source: str, target: str, read_only: bool = False) -> dict[str, Any]:
    return {"source": source, "target": target, "readOnly": read_only}


def test_mounts_are_taken_out_of_one_namespace_and_put_into_another(calls: list[tuple[Any, ...]]) -> None:
    take = {"command": "take", "pid": 11, "mounts": [mount("/root/a", "/a"), mount("/root/a/b", "/a/b")]}
    code, answers = serve(take, {"command": "put", "pid": 22})
    assert code == 0
    assert [answer["event"] for answer in answers] == ["ready", "taken", "put"]
    assert [call[1] for call in calls if call[0] == "enter"] == ["self", "11", "22"]
    assert [call[1] for call in calls if call[0] == mover.MOVE_MOUNT] == ["/a", "/a/b"]


def test_what_the_pod_may_not_write_is_attached_read_only() -> None:
    assert mover.attributes(read_only=True) & mover.MOUNT_ATTR_RDONLY
    assert not mover.attributes(read_only=False) & mover.MOUNT_ATTR_RDONLY
    assert mover.attributes(read_only=False) & mover.MOUNT_ATTR_NOSUID


def test_a_failure_is_told_and_ends_it(calls: list[tuple[Any, ...]]) -> None:
    code, answers = serve(
        {"command": "take", "pid": 11, "mounts": [mount("/gone", "/a")]}, {"command": "put", "pid": 2}
    )
    assert code == 1
    assert answers[-1]["event"] == "failed"
    assert "/gone" in answers[-1]["message"]
    assert ("enter", "2") not in calls


def test_the_end_of_the_channel_ends_it(calls: list[tuple[Any, ...]]) -> None:
    assert serve() == (0, [{"event": "ready"}])
