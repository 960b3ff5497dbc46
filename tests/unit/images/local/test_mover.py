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
    monkeypatch.setattr(mover, "_join", lambda namespace, what: made.append(("join", namespace)))
    monkeypatch.setattr(os, "close", lambda descriptor: made.append(("close", descriptor)))
    return made


def serve(*commands: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    answers = io.StringIO()
    code = mover.serve([json.dumps(command) for command in commands], answers, Mover(proc=3, home=4))
    return code, [json.loads(line) for line in answers.getvalue().splitlines()]


def mount(source: str, target: str, read_only: bool = False) -> dict[str, Any]:
    return {"source": source, "target": target, "readOnly": read_only}


def move(source: int, target: int, *mounts: dict[str, Any]) -> dict[str, Any]:
    return {"command": "move", "from": source, "to": target, "mounts": mounts}


def test_mounts_are_taken_out_of_one_namespace_and_put_into_others(calls: list[tuple[Any, ...]]) -> None:
    both = mount("/root/a", "/a"), mount("/root/a/b", "/a/b")
    code, answers = serve(move(11, 22, *both), move(11, 33, both[0]))
    assert code == 0
    assert [answer["event"] for answer in answers] == ["ready", "moved", "moved"]
    assert [call[1] for call in calls if call[0] in ("enter", "join")] == ["self", "11", "22", 4, "11", "33", 4]
    assert [call[1] for call in calls if call[0] == mover.MOVE_MOUNT] == ["/a", "/a/b", "/a"]


def test_no_descriptor_stays_open(calls: list[tuple[Any, ...]]) -> None:
    serve(move(11, 22, mount("/root/a", "/a")), move(11, 22, mount("/root/a", "/a"), mount("/gone", "/b")))
    taken = [100 + number for number, call in enumerate(calls, 1) if call[0] == mover.OPEN_TREE]
    assert len(taken) == 3  # the probe's, and one each
    assert sorted(call[1] for call in calls if call[0] == "close") == taken


def test_what_the_pod_may_not_write_is_attached_read_only() -> None:
    assert mover.attributes(read_only=True) & mover.MOUNT_ATTR_RDONLY
    assert not mover.attributes(read_only=False) & mover.MOUNT_ATTR_RDONLY
    assert mover.attributes(read_only=False) & mover.MOUNT_ATTR_NOSUID


def test_a_failure_is_told_and_the_next_is_served(calls: list[tuple[Any, ...]]) -> None:
    code, answers = serve(move(11, 2, mount("/gone", "/a")), {"command": "take"}, move(11, 3, mount("/root/a", "/a")))
    assert code == 0
    assert [answer["event"] for answer in answers] == ["ready", "failed", "failed", "moved"]
    assert "/gone" in answers[1]["message"]
    assert answers[2]["message"] == "unknown command 'take'"
    assert ("enter", "2") not in calls


def test_where_nothing_can_be_moved_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Mover, "_enter", refused)
    code, answers = serve(move(11, 22))
    assert code == 1
    assert [answer["event"] for answer in answers] == ["failed"]


def test_the_end_of_the_channel_ends_it(calls: list[tuple[Any, ...]]) -> None:
    assert serve() == (0, [{"event": "ready"}])
