"""What sshfs is answered from here, and that it is what the pod would have said."""

from __future__ import annotations

from typing import Any

import pytest
from sftp import ahead, packets
from sftp.packets import Type, text, u32

from tests.unit.images.local.ahead.far import Between

FILES = {f"/d/{number:03}": b"content %d" % number for number in range(40)}
LARGE = bytes(range(256)) * 4096 * 3
CHANGES: dict[str, Any] = {
    "WRITE": (6, text(b"7"), u32(0), u32(0), text(b"x")),
    "REMOVE": (13, text(b"/d/030")),
    "RENAME": (18, text(b"/d/030"), text(b"/d/031")),
    "an extension": (200, text(b"posix-rename@openssh.com"), text(b"/d/030"), text(b"/d/031")),
}


@pytest.fixture
def between() -> Between:
    """A folder that has just been listed."""
    found = Between(dict(FILES))
    found.list("/d")
    found.pod.asked.clear()
    return found


def test_files_in_a_row_are_read_as_the_pod_has_them(between: Between) -> None:
    assert {path: between.read(path) for path in FILES} == FILES


def test_the_pod_is_asked_for_each_file_once(between: Between) -> None:
    for path in FILES:
        between.read(path)
    assert sorted(between.pod.asked).count("OPEN /d/020") == 1
    assert sorted(between.pod.asked).count("READ /d/020") == 1
    assert between.pod.open == {}


def test_a_file_whose_answer_is_on_its_way_is_waited_for(between: Between) -> None:
    between.read("/d/000")
    between.now += 2 * ahead.FRESH
    between.ahead.expire(between.now)
    between.settle()
    between.list("/d")
    between.pod.asked.clear()
    between.held = True
    assert between.sshfs(Type.OPEN, text(b"/d/000"), u32(1), u32(0)) == b""
    assert between.sshfs(Type.LSTAT, text(b"/d/001")) == b""
    assert len(between.ahead.to_pod) > 1 and all(raw[4] == Type.OPEN for raw in between.ahead.to_pod)
    between.held = False
    between.settle()
    answers = [Type(raw[4]).name for raw in between.ahead.to_sshfs]
    assert sorted(answers) == ["ATTRS", "HANDLE"]


def test_attributes_are_told_once_and_then_asked_for(between: Between) -> None:
    between.pod.files["/d/000"] = b"longer than it was"
    assert between.size("/d/000") == len(FILES["/d/000"])
    assert between.size("/d/000") == len(b"longer than it was")


def test_a_change_in_the_pod_is_seen_when_what_is_known_is_old(between: Between) -> None:
    between.read("/d/000")
    between.pod.files["/d/001"] = b"CONTENT 1"
    assert between.read("/d/001") == b"content 1"
    between.pod.files["/d/002"] = b"CONTENT 2"
    between.now += ahead.FRESH
    assert between.read("/d/002") == b"CONTENT 2"


def test_a_handle_that_was_fetched_ahead_stays_good(between: Between) -> None:
    between.read("/d/000")
    handle = between.open("/d/001")
    between.now += ahead.FRESH
    between.pod.files["/d/001"] = b"CONTENT 1"
    assert between.content(handle) == b"CONTENT 1"


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changes_something_makes_all_forgotten(between: Between, change: Any) -> None:
    between.read("/d/000")
    held = between.open("/d/001")
    kind, *fields = change
    between.held = True
    between.sshfs(kind, *fields)
    # What was open ahead is closed before the change reaches the pod.
    assert [raw[4] for raw in between.ahead.to_pod][-1] == kind
    between.ahead.to_pod.pop()
    between.held = False
    between.settle()
    between.pod.files |= {"/d/001": b"CONTENT 1", "/d/002": b"CONTENT 2"}
    assert between.content(held) == b"CONTENT 1"
    assert between.read("/d/002") == b"CONTENT 2"


def test_what_was_fetched_in_vain_is_closed(between: Between) -> None:
    between.read("/d/000")
    assert between.pod.open
    between.now += ahead.FRESH
    between.ahead.expire(between.now)
    between.settle()
    assert between.pod.open == {} and between.ahead.idle


def test_a_file_that_is_gone_says_so(between: Between) -> None:
    del between.pod.files["/d/001"]
    between.read("/d/000")
    assert between.sshfs(Type.OPEN, text(b"/d/001"), u32(1), u32(0))[4] == Type.STATUS


def test_a_file_whose_size_is_made_up_is_left_to_sshfs(between: Between, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "read_range", lambda raw: (0, 3))  # as /sys answers: less than the size
    between.read("/d/000")
    assert between.open("/d/001")
    assert between.pod.asked.count("OPEN /d/001") == 2


def test_who_opens_for_writing_is_passed_on(between: Between) -> None:
    between.read("/d/000")
    assert between.sshfs(Type.OPEN, text(b"/d/001"), u32(3), u32(0))[4] == Type.HANDLE
    assert between.pod.asked[-1] == "OPEN /d/001"


def test_a_large_file_is_left_to_sshfs() -> None:
    between = Between({"/d/a": b"small", "/d/large": LARGE})
    between.list("/d")
    between.read("/d/a")
    handle = between.open("/d/large")
    parts = [between.content(handle, offset, 32768) for offset in range(0, len(LARGE), 32768)]
    assert b"".join(parts) == LARGE
    assert between.pod.asked.count("READ /d/large") == len(parts)


def test_ids_that_could_be_ours_end_it(between: Between) -> None:
    between._number = ahead.OWN
    assert between.read("/d/000") == FILES["/d/000"]
    assert [what for what in between.pod.asked if what == "OPEN /d/001"] == []
