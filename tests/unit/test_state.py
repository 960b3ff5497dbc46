from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tpbox import state
from tpbox.state import Exposed, LiveState, ObjectRef, SessionRecord


def record(session: str = "abcdefgh", **fields: object) -> SessionRecord:
    basics = {
        "session": session, "owner": "ann@desk", "target": "new pod", "docker_host": "unix:///d.sock",
        "kubeconfig": "/k", "context": "dev", "namespace": "shop",
    }  # fmt: skip
    return SessionRecord(**{**basics, **fields})  # type: ignore[arg-type]


def test_a_record_is_private_and_comes_back_as_it_was() -> None:
    made = record(objects=[ObjectRef("job", "tpbox-abcdefgh")])
    made.save()
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.parent.stat().st_mode & 0o777 == 0o700
    assert state.records() == [made]
    made.remove()
    assert state.records() == []


def test_the_format_is_the_documented_one() -> None:
    made = record(pid=7, pid_start="9", boot_id="b", host="desk", created="2026-11-22T10:00:00Z")
    made.objects.append(ObjectRef("job", "j"))
    made.save()
    assert json.loads(made.path.read_text()) == {
        "version": 1, "session": "abcdefgh", "owner": "ann@desk", "pid": 7, "pidStart": "9", "bootId": "b",
        "host": "desk", "created": "2026-11-22T10:00:00Z", "dockerHost": "unix:///d.sock", "kubeconfig": "/k",
        "context": "dev", "namespace": "shop", "target": "new pod", "objects": [{"kind": "job", "name": "j"}],
        "name": "",
    }  # fmt: skip


def test_a_record_of_a_version_without_names_is_read() -> None:
    made = record()
    made.save()
    data = json.loads(made.path.read_text())
    del data["name"]
    made.path.write_text(json.dumps(data))
    assert state.records() == [made]


def test_this_process_is_alive_and_one_that_ended_is_not() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert record().alive()
    assert not record(pid=ended.pid, pid_start="1").alive()


def test_a_process_that_nobody_waited_for_is_not_alive() -> None:
    killed = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = state.process_start(killed.pid)
    assert start
    killed.kill()
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
    assert not record(pid=killed.pid, pid_start=start).alive()
    killed.communicate()


def test_a_reused_pid_and_another_boot_fool_nobody() -> None:
    assert not record(pid=os.getpid(), pid_start="12345").alive()
    assert not record(boot_id="another").alive()


def test_a_record_of_another_host_counts_as_alive() -> None:
    assert record(host="elsewhere", pid=1).alive()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}'])
def test_a_broken_record_is_passed_over(text: str) -> None:
    made = record()
    made.save()
    made.path.with_name("broken.json").write_text(text)
    assert state.records() == [made]


LIVE = LiveState("abcdefgh", "tpbox-abcdefgh-x2x4z", "up", 2, (Exposed(8080, 80, True), Exposed(9000, 9000, False)))


def test_what_a_launcher_knows_is_private_and_comes_back_as_it_was() -> None:
    made = record()
    made.save()
    assert state.live_state("abcdefgh") is None
    LIVE.save()
    path = made.path.with_name("abcdefgh.state.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert state.live_state("abcdefgh") == LIVE
    assert state.records() == [made]


def test_it_goes_with_the_record_and_never_comes_without_one() -> None:
    made = record()
    made.save()
    LIVE.save()
    made.remove()
    LIVE.save()
    assert list(made.path.parent.iterdir()) == []


def test_a_state_that_cannot_be_written_or_read_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    made = record()
    made.save()
    path = made.path.with_name("abcdefgh.state.json")
    for text in ("", "{", '{"session": "abcdefgh"}', '{"exposed": [], "session": "a", "new": 1}', '{"exposed": [1]}'):
        path.write_text(text)
        assert state.live_state("abcdefgh") is None

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(state, "write_private", full)
    LIVE.save()
    assert state.live_state("abcdefgh") is None
